"""Learning-rate schedules: the rate that each step reports and uses, against the formula."""

from __future__ import annotations

import numpy as np
import pytest
from samples import SCHEDULES, ScheduleSample
from workbench import Training, near, task, training_file

from deepdsl.backend import open_backend
from deepdsl.emit import emit
from deepdsl.ir import Builder, Type
from deepdsl.ops.arithmetic import cast
from deepdsl.rows import Clip
from deepdsl.schedules import Exponential, Piecewise, Schedule
from deepdsl.step import _rates

LR = 0.3


def rates(schedule: Schedule, steps: int, steps_per_epoch: int) -> list[float]:
    """The rate at each step from 0, by the part of the step graph that makes it."""
    rows = f"loss mean_squared_error; optimizer sgd lr={LR}; schedule {schedule.show()}"
    training = task(training_file("input x[1]\n dense 1", rows))
    assert training.training.schedule == schedule
    b = Builder()
    done = cast(b, b.input("done", Type((), "i64")), "f64")
    made = _rates(b, training, done, done, steps_per_epoch)
    runner = open_backend("cpu", 1).runner(emit(b.graph({"lr": made.lr}), "rate").serialize())
    return [float(runner.run({"done": np.array(t)})["lr"]) for t in range(steps)]


@pytest.mark.parametrize("sample", SCHEDULES, ids=lambda s: s.schedule.show())
@pytest.mark.parametrize("epoch", [1, 3, 49])
def test_rate_at_each_step(sample: ScheduleSample, epoch: int) -> None:
    steps = 4 * epoch + 2 if epoch > 1 else 101
    wanted = [sample.formula(LR, t, epoch) for t in range(steps)]
    near(rates(sample.schedule, steps, epoch), wanted, 2e-7)


@pytest.mark.parametrize("epoch", [49, 98, 103, 107, 161])
def test_jumps_fall_on_the_first_step_of_an_epoch(epoch: int) -> None:
    """1/49 * 49 is below 1 in floating point: time must be divided, not multiplied."""
    for schedule in (
        Piecewise(((0.0, 1.0), (1.0, 0.5))),
        Exponential(factor=0.5, every=1.0, staircase=True),
    ):
        found = rates(schedule, epoch + 1, epoch)
        assert found[epoch] == pytest.approx(found[0] / 2)
        assert found[epoch - 1] == found[0]


def test_the_step_moves_by_the_reported_rate() -> None:
    text = training_file(
        "input x[1]\n dense 1 bias=false init=zeros",
        "loss mean_squared_error; optimizer sgd lr=0.1;"
        " schedule exponential factor=0.5 every=1; clip value=0.5",
    )
    made = Training(text, steps_per_epoch=4)
    assert made.task.training.clip == Clip(value=0.5)
    for t in range(9):
        before = made.weight("dense_1.weight").copy()
        result = made.step(x=np.ones((2, 1), np.float32), target=np.full((2, 1), 9, np.float32))
        near(float(result["lr"]), 0.1 * 0.5 ** (t / 4), 1e-6)
        near(made.weight("dense_1.weight") - before, [[0.05 * 0.5 ** (t / 4)]], 1e-6)
