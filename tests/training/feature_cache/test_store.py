"""Kept outputs on the disk: found again, made anew where anything differs or is damaged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frozen import drawn, frozen_job, trained, uncached
from workbench import Array, program, training_file

from deepdsl.compiler.job import Job
from deepdsl.graph.backend import open_backend
from deepdsl.training.feature_cache.job import Cached, Refused, cached_job
from deepdsl.training.feature_cache.store import Store, byte_text

TRAIN = "loss cross_entropy; metric accuracy; optimizer sgd lr=0.05; batch 16; epochs 2; seed 3"
BODY = "input x[20]; part body { dense 32 | relu }; dense 5 | softmax"
TEXT = training_file(BODY, TRAIN, "valid split=20%; standardize")


def kept(place: Path, job: Job, state: dict[str, Array]) -> Cached:
    made = cached_job(job, job.task.training, state, open_backend("cpu", 1), place)
    assert isinstance(made, Cached), made
    return made


def entries(place: Path) -> list[Path]:
    return sorted(file.parent for file in place.glob("*/entry.json"))


@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_an_entry_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    """Rows that the memory does not hold are read ahead from the disk."""
    monkeypatch.setattr("deepdsl.training.feature_cache.job.memory_budget", lambda: budget)
    job, state = frozen_job(TEXT, "body", cache="disk")
    first = kept(tmp_path / "runs" / ".cache", job, state)
    second = kept(tmp_path / "runs" / ".cache", job, state)
    assert f" kB in {tmp_path}" in first.told
    assert f" kB found in {tmp_path}" in second.told
    place = tmp_path / "runs" / ".cache"
    assert len(entries(place)) == 2  # rows to train on, rows to validate on
    rows = {json.loads((e / "entry.json").read_text())["rows"] for e in entries(place)}
    assert rows == {62, 15}
    assert first.job.splits.train is not None
    assert first.job.splits.train.slow == (not budget)
    assert trained(first.job, state).told == trained(uncached(job), state).told
    assert trained(second.job, state).told == trained(uncached(job), state).told


def test_there_is_a_list_for_people(tmp_path: Path) -> None:
    job, state = frozen_job(TEXT, "body", cache="disk")
    kept(tmp_path, job, state)
    head, *lines = (tmp_path / "index.txt").read_text().splitlines()
    assert head == "# Outputs of frozen layers, kept for later runs. Any folder may be deleted."
    today = time.strftime("%Y-%m-")
    told = [(line.startswith(today), line.split("  ")[-1]) for line in lines]
    assert told == [(True, "m: body"), (True, "m: body")]
    assert {line.split()[-3] for line in lines} == {e.name for e in entries(tmp_path)}
    assert not list(tmp_path.glob(".*"))


def other_weights(job: Job, state: dict[str, Array]) -> tuple[Job, dict[str, Array]]:
    weight = state["body.dense_1.weight"].copy()
    weight[0, 0] += 1e-3
    return job, {**state, "body.dense_1.weight": weight}


def other_head(job: Job, state: dict[str, Array]) -> tuple[Job, dict[str, Array]]:
    return job, {**state, "dense_1.weight": state["dense_1.weight"] * 2}


def other_constants(job: Job, state: dict[str, Array]) -> tuple[Job, dict[str, Array]]:
    name = "data.x.standardize_1.mean"
    return job, {**state, name: state[name] + np.float32(1e-3)}


def changed_text(old: str, new: str) -> Callable[..., Any]:
    def change(job: Job, state: dict[str, Array]) -> tuple[Job, dict[str, Array]]:
        other, _ = frozen_job(TEXT.replace(old, new), "body", cache="disk")
        return other, state

    return change


def one_row(job: Job, state: dict[str, Array]) -> tuple[Job, dict[str, Array]]:
    x = drawn(program(TEXT).models["m"], 77)
    x["x"][40, 3] += 1e-3
    other, _ = frozen_job(TEXT, "body", cache="disk", x=x)
    return other, state


# What is changed, and how many entries there are then, of two before.
CHANGES = {
    "a weight": (other_weights, 4),
    "a constant of the preprocessing": (other_constants, 4),
    "another transform": (changed_text("standardize", "standardize; scale 2"), 4),
    "one number of one row": (one_row, 3),
    "the size of a batch": (changed_text("batch 16", "batch 8"), 3),
    "the rows held out": (changed_text("seed 3", "seed 4"), 4),
    "the activation": (changed_text("relu", "tanh"), 4),
    "the weights behind": (other_head, 2),
    "the optimizer": (changed_text("lr=0.05", "lr=0.5"), 2),
    "the layers behind": (changed_text("; dense 5", "; dense 7 | relu | dense 5"), 2),
}


@pytest.mark.parametrize(("change", "count"), CHANGES.values(), ids=CHANGES)
def test_what_is_made_of_other_things_is_another_entry(
    tmp_path: Path, change: Callable[..., Any], count: int
) -> None:
    job, state = frozen_job(TEXT, "body", cache="disk")
    kept(tmp_path, job, state)
    other = change(job, state)
    if "dense_2.weight" in {p.name for p in other[0].task.model.params}:
        _, fresh = frozen_job(other[0].source.text, "body", cache="disk")
        other = (
            other[0],
            {**fresh, **{k: v for k, v in state.items() if k.startswith(("body", "data"))}},
        )
    kept(tmp_path, *other)
    assert len(entries(tmp_path)) == count


def cut_short(folder: Path) -> None:
    with (folder / "0.bin").open("r+b") as file:
        file.truncate(100)


def flip(folder: Path) -> None:
    with (folder / "0.bin").open("r+b") as file:
        file.seek(50)
        byte = file.read(1)
        file.seek(50)
        file.write(bytes([byte[0] ^ 1]))


def spoil_entry(folder: Path) -> None:
    (folder / "entry.json").write_text("{")


def no_rows(folder: Path) -> None:
    (folder / "0.bin").unlink()


def no_entry(folder: Path) -> None:
    (folder / "entry.json").unlink()


def another_format(folder: Path) -> None:
    entry = json.loads((folder / "entry.json").read_text())
    (folder / "entry.json").write_text(json.dumps({**entry, "format": 0}))


def leave_the_folder(folder: Path) -> None:
    entry = json.loads((folder / "entry.json").read_text())
    entry["arrays"][0]["file"] = "../" + folder.name + "x/0.bin"
    (folder / "entry.json").write_text(json.dumps(entry))
    (folder / "0.bin").rename(folder / "1.bin")


@pytest.mark.parametrize(
    "damage", [cut_short, flip, spoil_entry, no_rows, no_entry, another_format, leave_the_folder]
)
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    job, state = frozen_job(TEXT, "body", cache="disk")
    kept(tmp_path, job, state)
    places = entries(tmp_path)
    for folder in places:
        damage(folder)
    again = kept(tmp_path, job, state)
    assert "found" not in again.told
    assert trained(again.job, state).told == trained(uncached(job), state).told
    assert entries(tmp_path) == places
    assert "found" in kept(tmp_path, job, state).told
    assert not list(tmp_path.glob(".*"))


def test_numbers_of_another_machine_are_made_anew(tmp_path: Path) -> None:
    """Whole files whose numbers are not what this runtime computes."""
    job, state = frozen_job(TEXT, "body", cache="disk")
    kept(tmp_path, job, state)
    for folder in entries(tmp_path):
        flip(folder)
        entry = json.loads((folder / "entry.json").read_text())
        import hashlib

        entry["arrays"][0]["sha256"] = hashlib.sha256((folder / "0.bin").read_bytes()).hexdigest()
        (folder / "entry.json").write_text(json.dumps(entry))
    again = kept(tmp_path, job, state)
    assert trained(again.job, state).told == trained(uncached(job), state).told


def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deepdsl.training.feature_cache.store._written", full)
    job, state = frozen_job(TEXT, "body", cache="disk")
    made = cached_job(job, job.task.training, state, open_backend("cpu", 1), tmp_path)
    assert isinstance(made, Refused)
    assert made.told == "not cached: they could not be written: No space left on device"
    assert not list(tmp_path.glob("*"))


def test_what_a_killed_run_left_is_removed_after_a_day(tmp_path: Path) -> None:
    for name, age in ((".a.1.tmp", 100_000), (".b.2.tmp", 60)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    layout = {"x": ((2,), np.dtype(np.float32))}
    Store(tmp_path).keep("k", layout, 3, [{"x": np.ones((3, 2), np.float32)}], "m: body")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".b.2.tmp", "index.txt", "k"]
    found = Store(tmp_path).find("k", layout, 3)
    assert found is not None
    np.testing.assert_array_equal(found["x"], np.ones((3, 2)))
    assert Store(tmp_path).find("k", layout, 4) is None
    assert Store(tmp_path).find("k", {"y": layout["x"]}, 3) is None


def test_several_write_the_same_entry(tmp_path: Path) -> None:
    layout = {"x": ((50,), np.dtype(np.float32))}
    rows = np.arange(5000, dtype=np.float32).reshape(100, 50)
    parts = [{"x": rows[i : i + 10]} for i in range(0, 100, 10)]

    def write(_: int) -> bool:
        Store(tmp_path).keep("k", layout, 100, parts, "m: body")
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write, range(12)))
    found = Store(tmp_path).find("k", layout, 100)
    assert found is not None
    np.testing.assert_array_equal(found["x"], rows)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.txt", "k"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (94_000, "94 kB"),
        (1_230_000, "1.2 MB"),
        (3.2e12, "3200 GB"),
    ],
)
def test_sizes_are_told(count: float, text: str) -> None:
    assert byte_text(count) == text
