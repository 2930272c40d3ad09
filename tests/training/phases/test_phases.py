"""Phases: the state carries over, time begins anew, and a run can be taken up in any of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from phased import interrupted, same, steps_of, text
from places import EXAMPLES
from workbench import Memory, opened, program, run

from deepdsl.compiler.build import write_artifacts
from deepdsl.graph.backend import open_backend
from deepdsl.training.callbacks import Outcome
from deepdsl.training.trainer import Trainer
from deepdsl.transfer.weights.checkpoint import Checkpoint

OPTIMIZERS = [
    "sgd lr=0.1 momentum=0.9",
    "adam lr=3e-3",
    "nadam lr=3e-3",
    "adamw lr=3e-3 weight_decay=0.01",
    "rmsprop lr=1e-3",
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_phases_alike_are_one_training(optimizer: str) -> None:
    whole = run(text(f"optimizer {optimizer}; epochs 4"))
    parts = run(text(f"optimizer {optimizer}; phase a {{ epochs 1 }}; phase b {{ epochs 3 }}"))
    same(whole.state, parts.state)
    assert (whole.epochs, whole.steps, whole.valid) == (parts.epochs, parts.steps, parts.valid)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_another_optimizer_begins_afresh(optimizer: str) -> None:
    """A phase behind another optimizer is a training of its own, from the weights before it."""
    both = run(
        text(
            "phase a { optimizer lion lr=1e-3; epochs 1 };"
            f"phase b {{ optimizer {optimizer}; epochs 2 }}"
        )
    )
    first = run(text("optimizer lion lr=1e-3; epochs 1"))
    job, artifacts = opened(text(f"optimizer {optimizer}; epochs 3"))
    start = {
        k: first.state.get(k, v) if not k.startswith("optimizer.") else v
        for k, v in artifacts.state.items()
    }
    # Time goes on for what is random (the order of rows, dropout); Adam's t does not.
    start["step"] = first.state["step"]
    alone = Trainer(
        job, artifacts, open_backend("cpu", 1), Memory(), start=Checkpoint(start, 1, 0)
    ).run()
    if optimizer.startswith(("sgd", "rmsprop")):
        same(both.state, {**both.state, **alone.state}, "body")
    else:
        # Alone, t goes on: the first steps of fresh moments are not corrected as they should be.
        assert not np.array_equal(
            both.state["head.dense_1.weight"], alone.state["head.dense_1.weight"]
        )


def test_the_time_of_fresh_state_begins_with_it() -> None:
    """The first step of Adam moves each number by its rate, whenever its state begins."""
    source = text(
        "phase a { optimizer sgd lr=0.1; epochs 2 }; phase b { optimizer adam lr=1e-3; epochs 1 }"
    )
    seen = steps_of(source, 25, 1)
    before, after = seen[0]
    moved = np.abs(after["head.dense_1.weight"] - before["head.dense_1.weight"])
    assert np.median(moved) == pytest.approx(1e-3, rel=1e-3)
    assert moved.max() <= 1.001e-3


def test_a_schedule_begins_with_its_phase() -> None:
    falling = "schedule exponential factor=0.1 every=1 staircase=true"
    rows = f"optimizer sgd lr=0.1; phase a {{ epochs 2 }}; phase b {{ {falling}; epochs 2 }}"
    keeper = Memory()
    run(text(rows), keeper=keeper)
    assert [r.lr for r in keeper.records] == pytest.approx([0.1, 0.1, 0.1, 0.01])
    assert [r.phase for r in keeper.records] == ["a", "a", "b", "b"]


def test_a_schedule_goes_on_where_layers_thaw() -> None:
    falling = "schedule exponential factor=0.1 every=1 staircase=true"
    rows = f"optimizer sgd lr=0.1; {falling}; epochs 3; freeze body until=2"
    keeper = Memory()
    run(text(rows), keeper=keeper)
    assert [r.lr for r in keeper.records] == pytest.approx([0.1, 0.01, 0.001])


PHASED = {
    "warm up and fine-tune": (
        "phase a { freeze body; optimizer adam lr=3e-3; epochs 2 };"
        "phase b { unfreeze body; lr_mult body=0.1; optimizer adam lr=1e-3;"
        "          schedule cosine; epochs 2 }"
    ),
    "thawing": "optimizer sgd lr=0.1 momentum=0.9; epochs 4; freeze body until=2",
    "another optimizer": (
        "phase a { optimizer sgd lr=0.1; epochs 2 }; phase b { optimizer nadam; epochs 2 }"
    ),
    "with sums of gradients": (
        "accumulate 5; phase a { freeze body; optimizer adam; epochs 2 };"
        "phase b { unfreeze body; optimizer adam; epochs 2 }"
    ),
    "watched": (
        "stop patience=1 restore=best min_delta=0.01 on=train.loss; optimizer sgd lr=0.1;"
        "phase a { epochs 2 }; phase b { schedule plateau patience=1 min_delta=9; epochs 2 }"
    ),
}


@pytest.fixture(scope="module")
def whole() -> dict[str, Outcome]:
    return {name: run(text(rows)) for name, rows in PHASED.items()}


@pytest.mark.parametrize("step", [5, 12, 17, 23, 24, 25, 36, 40])
@pytest.mark.parametrize("name", PHASED)
def test_taken_up_in_any_phase(name: str, step: int, whole: dict[str, Outcome]) -> None:
    source = text(PHASED[name])
    keeper = Memory()
    interrupted(source, step, keeper)
    resumed = run(source, start=keeper.kept["last"], keeper=keeper)
    same(whole[name].state, resumed.state)
    assert resumed.valid == whole[name].valid
    assert resumed.epochs == whole[name].epochs


def test_each_phase_stops_by_itself() -> None:
    rows = (
        "optimizer sgd lr=0.1; phase a { stop patience=1 on=train.loss min_delta=9; epochs 5 };"
        "phase b { epochs 2 }"
    )
    keeper = Memory()
    made = run(text(rows), keeper=keeper)
    assert [r.phase for r in keeper.records] == ["a", "a", "b", "b"]
    assert (made.epochs, made.stopped) == (4, "")
    assert [r.best for r in keeper.records] == [True, False, True, True]


def test_the_best_of_a_phase_is_what_the_next_one_begins_with() -> None:
    """From the second epoch on the rate is far too high."""
    rows = (
        "phase a { optimizer sgd lr=0.1; schedule piecewise 1:60; stop restore=best; epochs 3 };"
        "phase b { optimizer sgd lr=1e-9; epochs 1 }"
    )
    keeper = Memory()
    run(text(rows), keeper=keeper)
    first = [r for r in keeper.records if r.phase == "a"]
    best = min(first, key=lambda r: r.valid["loss"])
    last = keeper.records[-1]
    assert best is first[0]
    # The statistics of batch norm go on; the weights are those of the first epoch.
    assert last.valid["loss"] == pytest.approx(best.valid["loss"], rel=0.05)
    assert first[-1].valid["loss"] > 2 * best.valid["loss"]


def test_another_host_runs_the_phases(tmp_path: Path) -> None:
    """From the files alone, in numpy and onnxruntime, the frozen tensors stand still and thaw."""
    _, artifacts = opened(text(PHASED["warm up and fine-tune"]))
    write_artifacts(artifacts, tmp_path / "net")
    manifest = json.loads((tmp_path / "net" / "manifest.json").read_text())
    assert [(p["name"], p["epochs"], p["step"]["file"]) for p in manifest["phases"]] == [
        ("a", 2, "step_1.onnx"),
        ("b", 2, "step_2.onnx"),
    ]
    a, b = manifest["phases"]
    assert not any(n.startswith("body.") for n in a["next"])
    assert {n for n in b["fresh"] if "body.dense_1.weight" in n} == {
        "optimizer.first_moment.body.dense_1.weight",
        "optimizer.second_moment.body.dense_1.weight",
    }
    assert not any("head" in n for n in b["fresh"])
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "rows.npz", x=rng.standard_normal((64, 8, 8)), y=rng.integers(0, 10, 64))
    host = EXAMPLES / "run_step.py"
    command = [sys.executable, host, tmp_path / "net", "--data", tmp_path / "rows.npz"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in made.stdout.splitlines()] == ["1", "2", "3", "4"]


def test_phases_know_their_names_and_epochs() -> None:
    whole = program(text(PHASED["warm up and fine-tune"])).trainings[0]
    assert [(s.phase, s.epochs) for s in whole.stages] == [("a", 2), ("b", 2)]
    assert whole.epochs == 4
    (alone,) = program(text("epochs 3")).trainings[0].stages
    assert (alone.phase, alone.epochs) == ("", 3)
