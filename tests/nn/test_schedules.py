"""Learning-rate schedules: the rate that each step reports and uses, against the formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from samples import SCHEDULES, ScheduleSample
from samples.moving import EPOCHS
from workbench import Training, near, task, training_file

from deepdsl.compiler.learning_rates import Pace
from deepdsl.graph import Builder, Type
from deepdsl.graph.arithmetic import cast
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.language.sections.train_options import Clip
from deepdsl.nn.schedules import (
    ConstantSchedule,
    Cosine,
    Exponential,
    Linear,
    OneCycle,
    Piecewise,
    Polynomial,
    Schedule,
)

LR = 0.3


def rate_at(
    schedule: Schedule, steps_per_epoch: int, epochs: int = EPOCHS, rows: str = ""
) -> Callable[[int], float]:
    """The rate after so many updates, by the part of the step graph that makes it."""
    rows = (
        f"loss mean_squared_error; optimizer sgd lr={LR}; schedule {schedule.show()}; "
        f"epochs {epochs}; {rows}"
    )
    training = task(training_file("input x[1]\n dense 1", rows, "valid split=10%"))
    assert training.training.schedule == schedule
    b = Builder()
    done = cast(b, b.input("done", Type((), "i64")), "f64")
    made = Pace(b, training.training, steps_per_epoch, done, done, None)
    graph = b.graph({"lr": made.lr})
    runner = open_backend("cpu", 1).runner(emit(graph, "rate").serialize())
    state = {p.name: np.ones((), np.float64) for p in graph.params}
    return lambda t: float(runner.run({**state, "done": np.array(t)})["lr"])


def rates(schedule: Schedule, steps: int, steps_per_epoch: int) -> list[float]:
    """The rate at each step from 0."""
    rate = rate_at(schedule, steps_per_epoch)
    return [rate(t) for t in range(steps)]


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


@pytest.mark.parametrize("sample", SCHEDULES, ids=lambda s: s.schedule.show())
def test_no_rate_is_negative_or_zero_at_the_start(sample: ScheduleSample) -> None:
    found = rates(sample.schedule, 12, 1)
    assert found[0] > 0
    assert min(found) >= 0
    assert np.isfinite(found).all()


def test_a_warm_up_rises_in_a_straight_line() -> None:
    found = rates(ConstantSchedule(warmup=2.0), 30, 10)
    near(found[:20], [LR * (n + 1) / 20 for n in range(20)], 1e-6)
    near(found[20:], [LR] * 10, 1e-7)
    # The schedule's own time begins behind it, and what is left of the training is its length.
    plain, behind = rates(Linear(), 101, 10), rates(Linear(warmup=4.0), 101, 10)
    near(behind[40:], [LR * (1 - n / 60) for n in range(61)], 1e-6)
    near(plain, [LR * (1 - n / 100) for n in range(101)], 1e-6)


def test_a_warm_up_of_half_an_epoch() -> None:
    near(rates(ConstantSchedule(warmup=0.5), 4, 3), [LR * 2 / 3, LR, LR, LR], 1e-6)


@pytest.mark.parametrize(
    "schedule", [Linear(), Polynomial(power=2.0), Cosine(), OneCycle(), Linear(warmup=1.0)]
)
def test_a_longer_training_has_a_longer_schedule(schedule: Schedule) -> None:
    """Resumed with more epochs, it goes on where the longer one is."""
    short, long = rate_at(schedule, 5, epochs=4), rate_at(schedule, 5, epochs=8)
    assert short(18) < long(18)
    # At the end, and behind it.
    near(short(20), short(25), 1e-9)
    assert short(20) < 2e-4 * LR
    if not getattr(schedule, "warmup", 0.0) and not isinstance(schedule, OneCycle):
        near(long(20), short(10), 1e-6)


@pytest.mark.parametrize("epoch", [1, 7, 49, 98, 103])
def test_restarts_fall_on_a_step(epoch: int) -> None:
    for schedule, starts in (
        (Cosine(over=1.0, restarts=True), (0, 1, 2, 3, 4)),
        (Cosine(over=1.0, restarts=True, multiplier=2.0), (0, 1, 3, 7, 15, 31, 63)),
        (Cosine(over=2.0, restarts=True, multiplier=3.0), (0, 2, 8, 26, 80)),
        (Cosine(over=4.0, restarts=True, multiplier=1.5), (0, 4, 10, 19)),
    ):
        rate = rate_at(schedule, epoch)
        for start in starts:
            near(rate(start * epoch), LR, 1e-6)
            if epoch > 1 and start:
                assert rate(start * epoch - 1) < 0.1 * LR


@pytest.mark.parametrize(("steps", "count"), [(49, 4), (10, 3), (7, 7), (5, 8)])
def test_epochs_are_epochs_where_batches_are_accumulated(steps: int, count: int) -> None:
    """An update has the rate of the time at which its first batch is drawn."""
    schedule = Piecewise(((0.0, 1.0), (1.0, 0.5), (3.0, 0.25)))
    rate = rate_at(schedule, steps, rows=f"accumulate {count}")
    for update in range(4 * steps // count + 2):
        time = update * count / steps
        near(rate(update), 1.0 if time < 1 else 0.5 if time < 3 else 0.25, 1e-7)
