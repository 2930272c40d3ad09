"""Reading ahead: the same batches as without it, errors in their place, and no thread left."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdsl.compiler.build import build
from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.job import open_job
from deepdsl.core.source import Source
from deepdsl.data import View, from_arrays
from deepdsl.data.prefetch import WAITING, Direct, Prefetcher, reading
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.data.csv import NoRows
from deepdsl.graph.backend import open_backend
from deepdsl.training.callbacks import Epoch, NullCallback
from deepdsl.training.evaluation import evaluate
from deepdsl.training.trainer import Trainer
from deepdsl.transfer.weights.checkpoint import Checkpoint

ROWS = 53


class SlowView(View):
    """Rows that take a while; what is read is counted."""

    slow = True  # type: ignore[assignment]

    def __init__(self, pause: float = 0.0, fails_at: int | None = None) -> None:
        x = np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3)
        table = from_arrays({"x": x}, {"y": np.arange(ROWS)})
        super().__init__(table, np.arange(ROWS))
        self.pause, self.fails_at = pause, fails_at
        self.read_rows: list[int] = []

    def read(self, positions: Any, buffers: Any, epoch: int | None = None) -> None:
        time.sleep(self.pause * (1 + int(positions[0]) % 3))
        if self.fails_at is not None and self.fails_at in positions:
            raise DnnError([NoRows(None, f"row {self.fails_at}")])
        self.read_rows += positions.tolist()
        super().read(positions, buffers)
        buffers["x"] += 0 if epoch is None else 1000 * epoch


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("deepdsl")]


def pieces_of(size: int) -> list[np.ndarray]:
    order = np.random.default_rng(1).permutation(ROWS)
    return [order[i : i + size] for i in range(0, ROWS, size)]


def like(rows: int) -> dict[str, np.ndarray]:
    return {"x": np.empty((rows, 3), np.float32), "y": np.empty(rows, np.int64)}


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("size", [1, 8, 53, 99])
def test_batches_come_in_order(workers: int, size: int) -> None:
    view = SlowView(0.0005)
    pieces = pieces_of(size)
    with reading(view, pieces, like(size), 2, workers) as reader:
        assert isinstance(reader, Direct if workers == 0 or len(pieces) == 1 else Prefetcher)
        for piece in pieces:
            out = like(len(piece))
            reader.fill(out)
            np.testing.assert_array_equal(out["y"], piece)
            np.testing.assert_array_equal(out["x"][:, 0], piece * 3 + 2000)
        assert reader.waited > 0
    assert sorted(view.read_rows) == list(range(ROWS))


def test_quick_rows_are_read_directly() -> None:
    view = View(SlowView().table, np.arange(ROWS))
    with reading(view, pieces_of(8), like(8)) as reader:
        assert isinstance(reader, Direct)


def test_no_more_is_read_ahead_than_there_are_buffers() -> None:
    view = SlowView()
    with reading(view, pieces_of(1), like(1), 0, 2) as reader:
        reader.fill(like(1))
        deadline = time.monotonic() + 5
        while len(view.read_rows) < 2 + WAITING + 1 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert len(view.read_rows) == 2 + WAITING + 1


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_comes_with_its_batch(workers: int) -> None:
    view = SlowView(0.0005, fails_at=int(pieces_of(5)[4][2]))
    pieces = pieces_of(5)
    with reading(view, pieces, like(5), 0, workers) as reader:
        for piece in pieces[:4]:
            reader.fill(like(len(piece)))
        with pytest.raises(DnnError) as caught:
            reader.fill(like(5))
    assert caught.value.diagnostics[0].code == "E427"


def test_leaving_early_ends_the_threads() -> None:
    view = SlowView(0.002)
    with reading(view, pieces_of(2), like(2), 0, 3) as reader:
        reader.fill(like(2))
    assert len(view.read_rows) < ROWS


# In a training ------------------------------------------------------------------------------------

TEXT = """
model m { input image[8 8]; flatten; dense 8 | relu; dropout 20%; dense 10 | softmax }
data digits {
  train builtin digits; take 150; valid split=20%
  augment crop pad=1; augment rotate degrees=10
  scale (1 / 16)
}
train m on digits {
  loss cross_entropy; metric accuracy; optimizer adam; batch 32; epochs 3; seed 2
}
"""


class Memory:
    """Keeps what a training writes."""

    def __init__(self) -> None:
        self.records: list[Epoch] = []
        self.saved: dict[str, Checkpoint] = {}

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        state = {k: v.copy() for k, v in checkpoint.state.items()}
        self.saved[name] = replace(checkpoint, state=state)

    def load(self, name: str) -> Checkpoint | None:
        return self.saved.get(name)

    def log(self, record: Epoch) -> None:
        self.records.append(record)


class Interrupts(NullCallback):
    """Presses Ctrl-C in the middle of an epoch."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, 0

    def step_done(self, *args: Any) -> None:
        self.steps += 1
        if self.steps == self.at:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def job() -> Any:
    program, _ = load_program(Source("a.dnn", TEXT))
    return open_job(program, program.trainings[0], Path())


def trained(job: Any, workers: int | None, **options: Any) -> tuple[Any, Memory]:
    keeper = options.pop("keeper", None) or Memory()
    backend = open_backend("cpu", 1)
    trainer = Trainer(job, build(job), backend, keeper, workers=workers, **options)
    return trainer.run(), keeper


def test_the_number_of_workers_changes_nothing(job: Any) -> None:
    results = [trained(job, workers) for workers in (0, 1, 3)]
    (plain, kept), *others = results
    for outcome, keeper in others:
        for name, value in plain.state.items():
            np.testing.assert_array_equal(outcome.state[name], value)
        for ours, theirs in zip(keeper.records, kept.records, strict=True):
            assert (ours.train, ours.valid) == (theirs.train, theirs.valid)
    for _, keeper in results:
        for record in keeper.records:
            assert 0 < record.data_wait <= record.seconds
            assert record.as_json()["data_wait_s"] == round(record.data_wait, 4)


@pytest.mark.parametrize("at", [2, 7])
def test_resuming_in_the_middle_of_an_epoch(job: Any, at: int) -> None:
    whole, kept = trained(job, 2)
    stopped, keeper = trained(job, 3, listener=Interrupts(at))
    assert stopped.interrupted
    start = keeper.saved["last"]
    assert start.steps_done
    again, after = trained(job, 1, start=start, keeper=keeper)
    for name, value in whole.state.items():
        np.testing.assert_array_equal(again.state[name], value)
    assert after.records[-1].train == kept.records[-1].train


def test_an_evaluation_reads_ahead_too(job: Any) -> None:
    artifacts = build(job)
    runner = open_backend("cpu", 1).runner(artifacts.evaluate.serialize())
    graph, metrics = artifacts.evaluation_graph, job.task.training.metrics
    state = {p.name: artifacts.state[p.name] for p in graph.params}

    def run(batch: Any) -> Any:
        return runner.run({**state, **batch})

    view = job.splits.valid

    class Slow(View):
        slow = True  # type: ignore[assignment]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deepdsl.training.evaluation.MAX_BATCH", 7)
        expected = evaluate(run, graph, view, metrics)
        found = evaluate(run, graph, Slow(view.table, view.rows), metrics)
    assert found == expected


def test_damage_found_in_a_training_is_told(tmp_path: Path, page_module: Any) -> None:
    pytest.importorskip("PIL")
    page_module.write_images(tmp_path / "images", count=20)
    broken = tmp_path / "images" / "dog" / "7.png"
    broken.write_bytes(broken.read_bytes()[:-40])
    text = """
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    data d { train images "images" }
    train m on d { loss cross_entropy; optimizer sgd; batch 4; epochs 2; seed 1 }
    """
    program, _ = load_program(Source("a.dnn", text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deepdsl.data.image_field.AT_ONCE", 0)
        job = open_job(program, program.trainings[0], tmp_path)
    with pytest.raises(DnnError) as caught:
        trained(job, 2)
    (found,) = caught.value.diagnostics
    assert (found.code, "images/dog/7.png" in found.message) == ("E464", True)


def test_csv_on_the_disk_is_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["a,b,label", *(f"{i},{i * 2},{i % 2}" for i in range(60))]
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    text = """
    model m { input x[2]; dense 2 | softmax }
    data d { train csv "d.csv" target=label; standardize }
    train m on d { loss cross_entropy; optimizer sgd; batch 8; epochs 2; seed 1 }
    """
    program, _ = load_program(Source("a.dnn", text))
    in_memory = open_job(program, program.trainings[0], tmp_path)
    monkeypatch.setattr("deepdsl.data.files.IN_MEMORY", 0)
    monkeypatch.setattr("deepdsl.data.files.KEPT", 0)
    on_disk = open_job(program, program.trainings[0], tmp_path)
    assert (in_memory.splits.train.slow, on_disk.splits.train.slow) == (False, True)  # type: ignore[union-attr]
    one, two = (trained(job, 2)[0].state for job in (in_memory, on_disk))
    for name, value in one.items():
        np.testing.assert_array_equal(two[name], value)
