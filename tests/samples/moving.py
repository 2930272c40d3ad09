"""One row for each optimizer and each schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepdsl import optimizers, schedules
from deepdsl.optimizers import Optimizer
from deepdsl.schedules import Schedule

from .feeds import Array, Formula

Slots = dict[str, Any]


@dataclass(frozen=True)
class OptimizerSample:
    """An optimizer, and its rule in NumPy: (weight, gradient, slots, t from 1) to next weight."""

    optimizer: Optimizer
    rule: Callable[[Array, Array, Slots, int], Array]


def sgd_rule(
    lr: float, momentum: float = 0.0, nesterov: bool = False, decay: float = 0.0
) -> Formula:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        g = g + decay * w
        m = slots["m"] = momentum * slots.get("m", 0) - lr * g
        return w + momentum * m - lr * g if nesterov else w + m

    return rule


def adam_rule(
    lr: float, b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-7, decay: float = 0.0
) -> Formula:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        m = slots["m"] = b1 * slots.get("m", 0) + (1 - b1) * g
        v = slots["v"] = b2 * slots.get("v", 0) + (1 - b2) * g * g
        w = w - lr * decay * w
        return w - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon)

    return rule


OPTIMIZERS = (
    OptimizerSample(optimizers.Sgd(lr=0.1), sgd_rule(0.1)),
    OptimizerSample(optimizers.Sgd(lr=0.1, weight_decay=0.1), sgd_rule(0.1, decay=0.1)),
    OptimizerSample(optimizers.Sgd(lr=0.05, momentum=0.9), sgd_rule(0.05, 0.9)),
    OptimizerSample(
        optimizers.Sgd(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.02),
        sgd_rule(0.05, 0.9, nesterov=True, decay=0.02),
    ),
    OptimizerSample(optimizers.Adam(lr=0.02), adam_rule(0.02)),
    OptimizerSample(
        optimizers.Adam(lr=0.02, beta_1=0.8, beta_2=0.9, epsilon=0.1),
        adam_rule(0.02, 0.8, 0.9, 0.1),
    ),
    OptimizerSample(optimizers.Adamw(lr=0.02, weight_decay=0.1), adam_rule(0.02, decay=0.1)),
)


@dataclass(frozen=True)
class ScheduleSample:
    """A schedule, and the rate after so many steps: `formula(lr, step, steps of an epoch)`."""

    schedule: Schedule
    formula: Callable[[float, int, int], float]


SCHEDULES = (
    ScheduleSample(schedules.Constant(), lambda lr, step, epoch: lr),
    ScheduleSample(
        schedules.Exponential(factor=0.1, every=2.0),
        lambda lr, step, epoch: lr * 0.1 ** (step / epoch / 2),
    ),
    ScheduleSample(
        schedules.Exponential(factor=0.5, every=3.0, staircase=True),
        lambda lr, step, epoch: lr * 0.5 ** (step // (3 * epoch)),
    ),
    ScheduleSample(
        schedules.Exponential(factor=0.5, every=49.0, per="step", staircase=True),
        lambda lr, step, epoch: lr * 0.5 ** (step // 49),
    ),
    ScheduleSample(
        schedules.Piecewise(((0.0, 0.1), (1.0, 0.01), (3.0, 0.001))),
        lambda lr, step, epoch: 0.1 if step < epoch else 0.01 if step < 3 * epoch else 0.001,
    ),
    ScheduleSample(
        schedules.Piecewise(((10.0, 0.0), (5.0, 0.2)), per="step"),
        lambda lr, step, epoch: lr if step < 5 else 0.2 if step < 10 else 0.0,
    ),
)
