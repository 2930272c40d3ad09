"""The schedule plateau: the rate falls when the watched number has not improved for long enough."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import EXAMPLES
from workbench import Memory, opened

from deepdsl.api import loads
from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.graph.backend import open_backend
from deepdsl.nn.schedules import FACTOR_PATH, Plateau
from deepdsl.training.early_stopping import PlateauRule
from deepdsl.training.trainer import Trainer
from deepdsl.training.training_state import PlateauCounters
from deepdsl.transfer.weights.checkpoint import Checkpoint, read, write

# A. Géron's notebook of chapter 11; five epochs after the thirteenth are not better.
LOSSES = (
    ".4814 .4615 .4199 .3845 .3742 .3853 .3627 .3574 .3410 .3410 .3629 .3379 .3223 "
    ".3405 .3480 .3350 .3421 .3360 .3162"
)
TRACE = [float(loss) for loss in LOSSES.split()]

TEXT = """
data d {{ train builtin digits; take 60; {valid} }}
model m {{ input image[8 8]; flatten | dense 10 init=zeros | softmax }}
train m on d {{
  loss cross_entropy; metric accuracy; optimizer sgd lr=0.01
  schedule plateau {options}; epochs {epochs}; batch 16
}}
"""


def text(options: str = "factor=0.5 patience=5", epochs: int = 20, valid: str = "") -> str:
    return TEXT.format(options=options, epochs=epochs, valid=valid or "valid split=20%")


def factors(values: Sequence[float], lower: bool = True, lr: float = 1.0, **options: Any) -> Any:
    """What the rate of each epoch is multiplied with, when each ends with such a value."""
    rule, counters = PlateauRule(Plateau(**options), lower, lr), PlateauCounters()
    made = [1.0]
    for value in values:
        counters, factor = rule.after(counters, value, made[-1])
        made.append(factor)
    return made[:-1]


class Scripted(Trainer):
    """A trainer whose validation losses are given."""

    losses: Sequence[float] = TRACE

    def evaluate(self, view: Any) -> Any:
        step = int(self.running.stepper.state()["step"])
        return {"loss": self.losses[step // 3 - 1], "accuracy": 0.5}


def scripted(source: str, keeper: Memory, start: Checkpoint | None = None) -> None:
    job, artifacts = opened(source)
    assert job.steps_per_epoch == 3
    Scripted(job, artifacts, open_backend("cpu", 1), keeper, start=start).run()


def test_the_trace_of_the_book() -> None:
    keeper = Memory()
    scripted(text(epochs=19), keeper)
    assert [r.lr for r in keeper.records[:18]] == pytest.approx([0.01] * 18)
    assert keeper.records[18].lr == pytest.approx(0.005)


@pytest.mark.parametrize("epochs", [15, 18])
def test_the_trace_in_two_pieces(epochs: int, tmp_path: Path) -> None:
    """The count and the rate go through a checkpoint on the disk."""
    keeper = Memory()
    scripted(text(epochs=epochs), keeper)
    _, artifacts = opened(text())
    roles = {s["name"]: s["role"] for s in artifacts.manifest["state"]}
    write(tmp_path / "last", keeper.kept["last"], roles, "")
    start = read(tmp_path / "last")
    assert start.epoch == epochs
    scripted(text(epochs=19), keeper, start)
    assert [r.number for r in keeper.records] == list(range(1, 20))
    assert [r.lr for r in keeper.records] == pytest.approx([0.01] * 18 + [0.005])


def test_the_step_multiplies_and_never_changes_the_factor() -> None:
    _, artifacts = opened(text())
    (told,) = [s for s in artifacts.manifest["state"] if s["name"] == FACTOR_PATH]
    assert (told["shape"], told["dtype"], told["role"]) == ([], "f64", "counter")
    assert told["next"] is None
    assert artifacts.state[FACTOR_PATH] == 1.0
    plateau = artifacts.manifest["plateau"]
    assert plateau == {
        "state": FACTOR_PATH,
        "on": "valid.loss",
        "best": "min",
        "factor": 0.5,
        "patience": 5,
        "min_delta": 1e-4,
        "cooldown": 0,
        "lowest": 0.0,
    }


def test_counts_begin_anew_after_a_reduction() -> None:
    found = factors([1.0] * 10, patience=2, factor=0.5)
    assert found == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625]


def test_epochs_of_a_cooldown_are_not_counted() -> None:
    found = factors([1.0] * 12, patience=2, factor=0.5, cooldown=2)
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.125]


def test_the_rate_stops_at_the_lowest() -> None:
    found = factors([1.0] * 7, lr=0.2, patience=1, factor=0.5, min_lr=0.03)
    assert found == [1, 1, 0.5, 0.25, 0.15, 0.15, 0.15]
    assert factors([1.0] * 4, lr=0.2, patience=1, min_lr=0.5) == [1, 1, 1, 1]


def test_an_improvement_is_more_than_min_delta() -> None:
    falling = [1.0 - 0.01 * n for n in range(6)]
    assert factors(falling, patience=2, min_delta=0.001) == [1.0] * 6
    # From the best: 0.98 and 0.96 are each by less than 0.03 better than the last best.
    assert factors(falling, patience=2, min_delta=0.03, factor=0.5)[3:] == [0.5, 0.5, 0.5]
    rising = [0.1 * n for n in range(6)]
    assert factors(rising, lower=False, patience=1) == [1.0] * 6
    assert factors(rising, lower=True, patience=1, factor=0.5)[:4] == [1.0, 1.0, 0.5, 0.25]


def test_nan_is_no_improvement() -> None:
    assert factors([float("nan")] * 4, patience=2, factor=0.5) == [1.0, 1.0, 0.5, 0.5]
    assert factors([1.0, float("nan"), 0.5, 0.4], patience=1, factor=0.5) == [1, 1, 0.5, 0.5]


@pytest.mark.parametrize("seed", range(20))
def test_the_host_of_the_examples_decides_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = {
        "factor": 0.5,
        "patience": int(rng.integers(1, 4)),
        "min_delta": float(rng.choice([0.0, 0.05])),
        "cooldown": int(rng.integers(0, 3)),
        "min_lr": float(rng.choice([0.0, 0.2])),
    }
    lower = bool(rng.integers(0, 2))
    values = [float(v) for v in rng.choice([0.1, 0.2, 0.3, 0.33, float("nan")], 30)]
    host = runpy.run_path(str(EXAMPLES / "run_step.py"))
    told = {**options, "state": "f", "best": "min" if lower else "max"}
    plateau = host["Plateau"]({**told, "lowest": options["min_lr"] / 0.8})
    state, made = {"f": np.array(1.0)}, [1.0]
    for value in values:
        plateau.epoch_done(value, state)
        made.append(float(state["f"]))
    assert made[:-1] == factors(values, lower=lower, lr=0.8, **options)


def test_a_metric_that_should_rise() -> None:
    keeper = Memory()
    scripted(text("patience=2 on=valid.accuracy", epochs=5), keeper)
    assert [r.lr for r in keeper.records] == pytest.approx([0.01] * 3 + [0.001] * 2)


def test_training_rows_alone_may_be_watched() -> None:
    job, artifacts = opened(text("patience=1 on=train.loss min_delta=9", 4, "scale (1 / 16)"))
    keeper = Memory()
    Trainer(job, artifacts, open_backend("cpu", 1), keeper).run()
    assert [r.lr for r in keeper.records] == pytest.approx([0.01, 0.01, 0.001, 0.0001])


@pytest.mark.parametrize(
    ("options", "valid", "message"),
    [
        ("", "scale (1 / 16)", "`plateau` cannot watch `valid.loss`"),
        ("patience=3 on=valid.auc", "valid split=20%", "`plateau` cannot watch `valid.auc`"),
        ("patience=3 on=loss", "valid split=20%", "`plateau` cannot watch `loss`"),
    ],
)
def test_what_cannot_be_watched(options: str, valid: str, message: str) -> None:
    _, report = check(Source("p.dnn", text(options, valid=valid)))
    assert [(d.code, d.message) for d in report] == [("E306", message)]


@pytest.mark.parametrize(("row", "what"), [("schedule plateau", "plateau"), ("stop", "stop")])
def test_arrays_without_validation_rows(row: str, what: str, tmp_path: Path) -> None:
    source = text().replace("schedule plateau factor=0.5 patience=5", row)
    x, y = np.zeros((20, 8, 8), np.float32), np.zeros(20, np.int64)
    with pytest.raises(DnnError) as caught:
        loads(source.replace("take 60; valid split=20%", "")).train(x, y, out=tmp_path / "run")
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == ("E306", f"`{what}` cannot watch `valid.loss`")
    assert found.label == "there are no validation rows"
