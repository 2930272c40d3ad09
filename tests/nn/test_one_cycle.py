"""The schedule one_cycle: its corners, its momentum, and what the step makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from samples.moving import one_cycle
from workbench import Training, near, reference, training_file

from deepdsl.graph import Builder, Type
from deepdsl.nn.schedules import Clock, OneCycle

ONES = {"x": np.ones((2, 1), np.float32), "target": np.full((2, 1), 9, np.float32)}


def at(steps: int, times: list[int], top: float = 0.1) -> tuple[list[float], list[float]]:
    """Rate and momentum at some steps of a training of so many."""
    b = Builder()
    clock = Clock(b.input("time", Type((), "f64")), 1.0, float(steps))
    schedule = OneCycle(max=top)
    graph = b.graph({"lr": schedule.at(b, 1.0, clock), "momentum": schedule.momentum(b, clock)})
    made = [reference(graph, {"time": np.array(float(t))}) for t in times]
    return [float(m["lr"]) for m in made], [float(m["momentum"]) for m in made]


def test_corners_of_the_book() -> None:
    lr, momentum = at(10_750, [0, 4837, 9674, 10_750, 20_000])
    near(lr, [0.01, 0.1, 0.01, 1e-5, 1e-5], 1e-12)
    near(momentum, [0.95, 0.85, 0.95, 0.95, 0.95], 1e-12)


def test_lines_between_the_corners() -> None:
    lr, momentum = at(10_750, [2418, 2419, 7255, 7256, 10_212])
    near(lr[1] - lr[0], 0.09 / 4837, 1e-9)
    near(lr[3] - lr[2], -0.09 / 4837, 1e-9)
    near(lr[4], (0.01 + 1e-5) / 2, 1e-9)
    near(momentum[1] - momentum[0], -0.1 / 4837, 1e-9)
    near(momentum[4], 0.95, 1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 10, 11])
def test_short_trainings(steps: int) -> None:
    lr, momentum = at(steps, list(range(steps + 1)))
    near(lr, [one_cycle(0.1, t, steps) for t in range(steps + 1)], 1e-9)
    assert all(0.849 < m < 0.951 for m in momentum)


def training(optimizer: str, rows: str = "", epochs: int = 5) -> Training:
    text = training_file(
        "input x[1]\n dense 1 bias=false init=zeros",
        f"loss mean_squared_error; optimizer {optimizer}; schedule one_cycle; "
        f"epochs {epochs}; clip value=0.5; {rows}",
    )
    return Training(text, steps_per_epoch=4)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_of_sgd_moves_with_the_rate(nesterov: bool) -> None:
    """The gradient is clipped to -0.5 throughout, so that the steps are known."""
    made = training(f"sgd lr=0.1 momentum=0.9 nesterov={str(nesterov).lower()}")
    rates, momenta = at(20, list(range(20)))
    weight = velocity = 0.0
    for rate, momentum in zip(rates, momenta, strict=True):
        result = made.step(**ONES)
        near(float(result["lr"]), rate, 1e-6)
        velocity = momentum * velocity + rate * 0.5
        weight += momentum * velocity + rate * 0.5 if nesterov else velocity
        near(made.weight("dense_1.weight"), [[weight]], 1e-6)


def test_momentum_of_rmsprop_moves_with_the_rate() -> None:
    made = training("rmsprop lr=0.1 momentum=0.5")
    rates, momenta = at(20, list(range(20)))
    weight = velocity = square = 0.0
    for rate, momentum in zip(rates, momenta, strict=True):
        made.step(**ONES)
        square = 0.9 * square + 0.1 * 0.25
        velocity = momentum * velocity + rate * 0.5 / np.sqrt(square + 1e-7)
        weight += velocity
        near(made.weight("dense_1.weight"), [[weight]], 1e-5)


@pytest.mark.parametrize("optimizer", ["sgd lr=0.1", "adam lr=0.1", "lion lr=0.1"])
def test_without_momentum_the_rate_alone_is_moved(optimizer: str) -> None:
    made = training(optimizer)
    rates, _ = at(20, list(range(20)))
    near([float(made.step(**ONES)["lr"]) for _ in range(20)], rates, 1e-6)
    if optimizer.startswith("sgd"):
        near(made.weight("dense_1.weight"), [[0.5 * sum(rates)]], 1e-6)


def test_more_epochs_are_another_cycle() -> None:
    """What a run that is resumed with more epochs is compiled to."""
    longer, _ = at(40, list(range(40)))
    made = training("sgd lr=0.1", epochs=10)
    near([float(made.step(**ONES)["lr"]) for _ in range(40)], longer, 1e-6)


def test_updates_are_counted_where_batches_are_accumulated() -> None:
    made = training("sgd lr=0.1 momentum=0.9", "accumulate 2")
    rates, _ = at(10, list(range(10)))
    found = [float(made.step(**ONES)["lr"]) for _ in range(20)]
    near(found[::2], rates, 1e-6)
    assert found[::2] == found[1::2]
