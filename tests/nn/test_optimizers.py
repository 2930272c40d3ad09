"""Optimizers through the whole compiled step, against their rules in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from samples import OPTIMIZERS, OptimizerSample
from workbench import Training, near, training_file

from deepdsl.compiler.training_step import SMALL

Array = np.ndarray[Any, Any]

# One weight matrix and one bias on the identity: the loss is a quadratic in both.
MODEL = "input x[3]\n dense 2 init=normal(std=0.5) bias=normal(std=0.5)"
STEPS = 50


def gradient(weight: Array, bias: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Of the mean of (x w + b - y)^2, by hand."""
    error = 2 * (x @ weight + bias - y) / y.size
    return x.T @ error, error.sum(0)


@pytest.mark.parametrize("sample", OPTIMIZERS, ids=lambda s: s.optimizer.show())
def test_fifty_steps_of_the_rule(sample: OptimizerSample) -> None:
    rows = f"loss mean_squared_error; optimizer {sample.optimizer.show()}"
    made = Training(training_file(MODEL, rows))
    weight, bias = (made.weight(f"dense_1.{n}").astype(np.float64) for n in ("weight", "bias"))
    undecayed = sample.plain or sample.rule
    slots: tuple[dict[str, Any], ...] = ({}, {})
    rng = np.random.default_rng(0)
    for t in range(1, STEPS + 1):
        x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
        made.step(x=x.astype(np.float32), target=y.astype(np.float32))
        to_weight, to_bias = gradient(weight, bias, x, y)
        weight = sample.rule(weight, to_weight, slots[0], t)
        bias = undecayed(bias, to_bias, slots[1], t)
    near(made.weight("dense_1.weight"), weight, 2e-5)
    near(made.weight("dense_1.bias"), bias, 2e-5)
    assert made.weight("step") == STEPS


def test_gradient_descent_on_a_quadratic_in_closed_form() -> None:
    # The mean of (w - y)^2 with x = 1: w - y shrinks by 1 - 2 lr each step.
    text = training_file(
        "input x[1]\n dense 1 bias=false init=constant(5)",
        "loss mean_squared_error; optimizer sgd lr=0.1",
    )
    made = Training(text)
    for t in range(1, 30):
        result = made.step(x=np.ones((4, 1), np.float32), target=np.full((4, 1), 2, np.float32))
        near(float(result["loss"]), 9 * 0.8 ** (2 * (t - 1)), 1e-5)
        near(made.weight("dense_1.weight"), [[2 + 3 * 0.8**t]], 1e-5)


def test_first_step_of_adam_has_the_length_of_the_rate() -> None:
    # m / sqrt(v) is g / |g| after bias correction, whatever the size of g.
    for scale in (1e-2, 1.0, 1e4):
        text = training_file(
            "input x[1]\n dense 1 bias=false init=zeros",
            "loss mean_squared_error; optimizer adam lr=0.25 epsilon=1e-12",
        )
        made = Training(text)
        made.step(x=np.ones((2, 1), np.float32), target=np.full((2, 1), scale, np.float32))
        near(made.weight("dense_1.weight"), [[0.25]], 1e-5)


@pytest.mark.parametrize("optimizer", ["sgd momentum=0.5", "adamw lr=1e-2"])
def test_tensors_stepped_together_or_alone_move_alike(optimizer: str) -> None:
    """Small tensors are stepped as one vector; a large one by itself.  The rule is the same."""
    units = SMALL // 4 + 1
    text = training_file(
        f"input x[4]\n dense {units} | tanh | dense 2",
        f"loss mean_squared_error; optimizer {optimizer}",
    )
    whole = Training(text)
    sizes = {p.name: p.type.count or 0 for p in whole.graph.params}
    assert sizes["dense_1.weight"] > SMALL > sizes["dense_2.weight"]
    rng = np.random.default_rng(1)
    x = rng.standard_normal((8, 4)).astype(np.float32)
    y = rng.standard_normal((8, 2)).astype(np.float32)
    before = {k: v.copy() for k, v in whole.state.items()}
    grads = whole.gradient(x=x, target=y)
    whole.step(x=x, target=y)
    for name in ("dense_1.weight", "dense_2.weight"):
        move = whole.weight(name).astype(np.float64) - before[name]
        g = grads[name].astype(np.float64)
        if optimizer.startswith("sgd"):
            want = -0.01 * g
        else:
            want = -0.01 * g / (np.abs(g) + 1e-7 / np.sqrt(1e-3)) - 0.01 * 4e-3 * before[name]
        near(move, want, 1e-6)


def test_decay_leaves_biases_and_normalization_alone() -> None:
    text = training_file(
        "input x[3]\n dense 4 bias=ones | batch_norm | dense 2 bias=false",
        "loss mean_squared_error; optimizer adamw lr=0.1 weight_decay=0.5",
    )
    made = Training(text)
    # With an input and a target of zero, only beta and what lies above it has a gradient.
    before = made.weight("dense_1.weight")
    made.step(x=np.zeros((4, 3), np.float32), target=np.zeros((4, 2), np.float32))
    near(made.weight("dense_1.weight"), before * 0.95, 1e-6)
    near(made.weight("dense_1.bias"), np.ones(4), 1e-6)
    near(made.weight("batch_norm_1.gamma"), np.ones(4), 1e-6)


# The first steps in closed form: a weight of 0, a gradient of -g in every step.
CLOSED = {
    "adagrad lr=0.5": lambda g: [
        0.5 * g / (0.1 + g * g) ** 0.5,
        0.5 * g / (0.1 + 2 * g * g) ** 0.5,
    ],
    # v is (1 - rho^t) g^2, whose root divides g.
    "rmsprop lr=0.01 epsilon=1e-30": lambda g: [0.01 / 0.1**0.5, 0.01 / 0.19**0.5],
    "rmsprop lr=0.01 rho=0.5 epsilon=1e-30 momentum=0.5": lambda g: [
        0.01 * 2**0.5,
        0.005 * 2**0.5 + 0.01 / 0.75**0.5,
    ],
    # The variance of t equal gradients is rho^t (1 - rho^t) g^2.
    "rmsprop lr=0.01 rho=0.5 epsilon=1e-30 centered=true": lambda g: [
        0.01 / 0.5,
        0.01 / (0.25 * 0.75) ** 0.5,
    ],
    # What is corrected for bias steps by the rate.
    "adamax lr=0.25 epsilon=1e-30": lambda g: [0.25, 0.25],
    "adam lr=0.25 epsilon=1e-30": lambda g: [0.25, 0.25],
    "amsgrad lr=0.25 epsilon=1e-30": lambda g: [0.25, 0.25],
    "lion lr=0.25": lambda g: [0.25, 0.25],
    "nadam lr=0.25 epsilon=1e-30": lambda g: [_nadam(0.25, 1), _nadam(0.25, 2)],
    "sgd lr=0.5 momentum=0.5": lambda g: [0.5 * g, 0.75 * g],
    "sgd lr=0.5 momentum=0.5 nesterov=true": lambda g: [0.75 * g, 0.875 * g],
}


def _nadam(lr: float, t: int) -> float:
    """Of equal gradients: mu_(t+1) (1 - 0.9^t) / (1 - P mu_(t+1)) + (1 - mu_t) / (1 - P)."""
    mu = [0.9 * (1 - 0.5 * 0.96**n) for n in range(t + 2)]
    product = float(np.prod(mu[1 : t + 1]))
    moment = mu[t + 1] * (1 - 0.9**t) / (1 - product * mu[t + 1])
    return lr * (moment + (1 - mu[t]) / (1 - product))


@pytest.mark.parametrize("size", [0.01, 1.0])
@pytest.mark.parametrize("optimizer", CLOSED)
def test_first_steps_in_closed_form(optimizer: str, size: float) -> None:
    text = training_file(
        "input x[1]\n dense 1 bias=false init=zeros",
        f"loss mean_squared_error; optimizer {optimizer}; clip value={size}",
    )
    made = Training(text)
    # So far away that the gradient is clipped to -size in both steps.
    fed = {"x": np.ones((2, 1), np.float32), "target": np.full((2, 1), 100, np.float32)}
    steps = []
    for _ in range(2):
        before = float(made.weight("dense_1.weight")[0, 0])
        made.step(**fed)
        steps.append(float(made.weight("dense_1.weight")[0, 0]) - before)
    near(steps, CLOSED[optimizer](size), 2e-6)


def test_the_centered_variance_never_falls_below_zero() -> None:
    """v - mean^2 of equal gradients would, by rounding, where they are large."""
    text = training_file(
        "input x[1]\n dense 1 bias=false init=zeros",
        "loss mean_squared_error; clip value=1e4;"
        " optimizer rmsprop centered=true lr=1e-9 rho=0.5 epsilon=1e-7",
    )
    made = Training(text)
    fed = {"x": np.full((2, 1), 1e6, np.float32), "target": np.full((2, 1), 1e6, np.float32)}
    for _ in range(200):
        made.step(**fed)
        assert made.weight("optimizer.variance.dense_1.weight")[0, 0] >= 0
        assert np.isfinite(made.weight("dense_1.weight")).all()


@pytest.mark.parametrize("sample", OPTIMIZERS, ids=lambda s: s.optimizer.show())
def test_state_begins_as_its_slots_say(sample: OptimizerSample) -> None:
    rows = f"loss mean_squared_error; optimizer {sample.optimizer.show()}"
    made = Training(training_file(MODEL, rows))
    known = {p.name: p for p in made.graph.params if p.name.startswith("optimizer.")}
    types = {p.name: p.type for p in made.graph.params}
    for slot in sample.optimizer.slots():
        for path in ("dense_1.weight", "dense_1.bias"):
            param = known.pop(f"optimizer.{slot.name}.{path}")
            assert (param.role, param.type) == ("slot", types[path])
            near(made.weight(param.name), np.full(made.weight(path).shape, slot.start), 1e-7)
    for slot in sample.optimizer.scalars():
        param = known.pop(f"optimizer.{slot.name}")
        assert (param.role, str(param.type)) == ("counter", "f64[]")
        assert made.weight(param.name) == slot.start
    assert not known


@pytest.mark.parametrize("sample", OPTIMIZERS, ids=lambda s: s.optimizer.show())
def test_usual_rates_hold_the_default(sample: OptimizerSample) -> None:
    low, high = type(sample.optimizer).usual
    default = {s.name: s.default for s in sample.optimizer.signature()}["lr"]
    assert low <= default <= high
