"""One seed, one result, bit for bit: again, on two threads, and through a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from workbench import Memory, opened, run

from deepdsl.graph.backend import open_backend
from deepdsl.training.callbacks import NullCallback, Outcome
from deepdsl.training.trainer import Trainer
from deepdsl.transfer.weights.checkpoint import read, write

DIGITS = """
data digits {{ train builtin digits; take 400; valid split=10%; scale (1 / 16) }}
model net {{
  input image[8 8]
  flatten | dense 32 | batch_norm | relu | dropout 20%
  dense 16 | batch_norm | elu | dropout 10%
  dense 10 | softmax
}}
train net on digits {{
  loss cross_entropy; metric accuracy; optimizer {optimizer}; {rows}
  batch 32; epochs {epochs}; seed {seed}
}}
"""
SETTINGS = {"optimizer": "adam lr=3e-3", "rows": "", "epochs": 2, "seed": 5}


def text(**changes: Any) -> str:
    return DIGITS.format(**{**SETTINGS, **changes})


def same(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name


@pytest.fixture(scope="module")
def whole() -> Outcome:
    return run(text())


def test_again(whole: Outcome) -> None:
    again = run(text())
    same(whole.state, again.state)
    assert (whole.train, whole.valid) == (again.train, again.valid)


def test_on_two_threads(whole: Outcome) -> None:
    same(whole.state, run(text(), threads=2).state)


def test_another_seed_is_another_run(whole: Outcome) -> None:
    other = run(text(seed=6))
    assert not np.array_equal(other.state["dense_1.weight"], whole.state["dense_1.weight"])


class StopAt(NullCallback):
    """Asks for an end after a number of steps, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.trainer: Trainer | None = None

    def step_done(self, *what: Any) -> None:
        self.left -= 1
        if self.left == 0 and self.trainer is not None:
            self.trainer.interrupted = True


def interrupted(source: str, step: int) -> Memory:
    job, artifacts = opened(source)
    keeper, listener = Memory(), StopAt(step)
    listener.trainer = Trainer(job, artifacts, open_backend("cpu", 1), keeper, listener)
    assert listener.trainer.run().interrupted
    return keeper


@pytest.mark.parametrize("step", [1, 5, 11, 12, 17])
def test_resumed_from_any_step(whole: Outcome, step: int) -> None:
    # 360 rows in batches of 32: an epoch has twelve steps, the last of 8 rows.
    keeper = interrupted(text(), step)
    start = keeper.kept["last"]
    assert (start.epoch, start.steps_done) == divmod(step, 12)
    resumed = run(text(), start=start)
    same(resumed.state, whole.state)
    assert resumed.valid == whole.valid
    assert resumed.train == pytest.approx(whole.train, rel=1e-12)


class StopAfter(StopAt):
    """Asks for an end when an epoch is over and its checkpoint was put off."""

    def epoch_done(self, record: Any) -> None:
        if record.number == 2 and self.trainer is not None:
            self.trainer.interrupted = True


def test_ctrl_c_between_two_epochs_leaves_a_checkpoint(whole: Outcome) -> None:
    job, artifacts = opened(text())
    keeper, listener = Memory(), StopAfter(0)
    listener.trainer = Trainer(job, artifacts, open_backend("cpu", 1), keeper, listener)
    assert listener.trainer.run().interrupted
    start = keeper.kept["last"]
    assert (start.epoch, start.steps_done) == (2, 0)
    same(run(text(), start=start).state, whole.state)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd lr=0.1 momentum=0.9 nesterov=true weight_decay=1e-3"},
        {"optimizer": "adamw lr=1e-2", "rows": "clip global_norm=0.5;"},
        {"rows": "schedule exponential factor=0.1 every=1;"},
        {"rows": "schedule piecewise 1:1e-4; stop patience=1 restore=best;", "epochs": 3},
        {"optimizer": "nadam lr=3e-3", "rows": "schedule cosine warmup=1;"},
        {"optimizer": "amsgrad lr=3e-3", "rows": "accumulate 3;"},
        {"optimizer": "rmsprop momentum=0.9 centered=true", "rows": "schedule one_cycle;"},
        {"optimizer": "adagrad lr=0.1", "rows": "accumulate 5; clip norm=0.5;"},
        {"optimizer": "adamax", "rows": "schedule polynomial power=2;"},
        {"optimizer": "lion weight_decay=0.1 lr=1e-4"},
        {"rows": "schedule plateau patience=1 min_delta=9 warmup=1;", "epochs": 4},
    ],
    ids=str,
)
def test_resumed_with_other_optimizers_and_schedules(changes: dict[str, Any]) -> None:
    source = text(**changes)
    same(run(source, start=interrupted(source, 7).kept["last"]).state, run(source).state)


def test_resumed_through_files(whole: Outcome, tmp_path: Any) -> None:
    start = interrupted(text(), 7).kept["last"]
    _, artifacts = opened(text())
    roles = {s["name"]: s["role"] for s in artifacts.manifest["state"]}
    write(tmp_path / "last", start, roles, "")
    same(run(text(), start=read(tmp_path / "last")).state, whole.state)


def test_a_layer_at_the_end_leaves_the_first_weights() -> None:
    _, short = opened(text())
    _, long = opened(text().replace("dense 10 |", "dense 10 | tanh\n dense 10 |"))
    for name, value in short.state.items():
        if name.startswith(("dense_", "batch_norm_")):
            assert np.array_equal(value, long.state[name]), name
