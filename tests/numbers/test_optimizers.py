"""Optimizers through the whole compiled step, against their rules in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from samples import OPTIMIZERS, OptimizerSample, adam_rule, sgd_rule
from workbench import Training, near, training_file

from deepdsl.step import SMALL

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
    decay = bool(getattr(sample.optimizer, "weight_decay", 0.0))
    undecayed = sample.rule if not decay else _without_decay(sample)
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


def _without_decay(sample: OptimizerSample) -> Any:
    """The rule for biases: that of the row with the same optimizer and no decay."""
    options = {s.name: getattr(sample.optimizer, s.name) for s in sample.optimizer.signature()}
    if sample.optimizer.name == "sgd":
        return sgd_rule(options["lr"], options["momentum"], options["nesterov"])
    return adam_rule(options["lr"])


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
