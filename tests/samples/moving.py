"""Rows for each optimizer and each schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import numpy as np

from deepdsl.nn import optimizers, schedules
from deepdsl.nn.optimizers import Optimizer
from deepdsl.nn.schedules import Schedule

from .feeds import Array

Slots = dict[str, Any]
Rule = Callable[[Array, Array, Slots, int], Array]


@dataclass(frozen=True)
class OptimizerSample:
    """An optimizer, and its rule in NumPy: (weight, gradient, slots, t from 1) to next weight.

    `plain` is the rule for what does not decay, where that is another.
    """

    optimizer: Optimizer
    rule: Rule
    plain: Rule | None = None


def sgd_rule(lr: float, momentum: float = 0.0, nesterov: bool = False, decay: float = 0.0) -> Rule:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        g = g + decay * w
        m = slots["m"] = momentum * slots.get("m", 0) - lr * g
        return w + momentum * m - lr * g if nesterov else w + m

    return rule


def adam_rule(
    lr: float,
    b1: float = 0.9,
    b2: float = 0.999,
    epsilon: float = 1e-7,
    decay: float = 0.0,
    largest: bool = False,
) -> Rule:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        m = slots["m"] = b1 * slots.get("m", 0) + (1 - b1) * g
        v = slots["v"] = b2 * slots.get("v", 0) + (1 - b2) * g * g
        if largest:
            v = slots["largest"] = np.maximum(slots.get("largest", 0), v)
        w = w - lr * decay * w
        return w - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon)

    return rule


def adagrad_rule(lr: float, start: float = 0.1, epsilon: float = 1e-7) -> Rule:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        a = slots["a"] = slots.get("a", start) + g * g
        return w - lr * g / np.sqrt(a + epsilon)

    return rule


def rmsprop_rule(
    lr: float,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
) -> Rule:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        v = slots["v"] = rho * slots.get("v", 0) + (1 - rho) * g * g
        if centered:
            a = slots["a"] = rho * slots.get("a", 0) + (1 - rho) * g
            v = v - a * a
        m = slots["m"] = momentum * slots.get("m", 0) + lr * g / np.sqrt(v + epsilon)
        return w - m

    return rule


def adamax_rule(lr: float, b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-7) -> Rule:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        m = slots["m"] = b1 * slots.get("m", 0) + (1 - b1) * g
        u = slots["u"] = np.maximum(b2 * slots.get("u", 0), np.abs(g))
        return w - lr / (1 - b1**t) * m / (u + epsilon)

    return rule


def nadam_rule(lr: float, b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-7) -> Rule:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        here, following = (b1 * (1 - 0.5 * 0.96**n) for n in (t, t + 1))
        product = slots["product"] = slots.get("product", 1.0) * here
        m = slots["m"] = b1 * slots.get("m", 0) + (1 - b1) * g
        v = slots["v"] = b2 * slots.get("v", 0) + (1 - b2) * g * g
        ahead = following * m / (1 - product * following) + (1 - here) * g / (1 - product)
        return w - lr * ahead / (np.sqrt(v / (1 - b2**t)) + epsilon)

    return rule


def lion_rule(lr: float, b1: float = 0.9, b2: float = 0.99, decay: float = 0.0) -> Rule:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        m = slots.get("m", 0)
        slots["m"] = b2 * m + (1 - b2) * g
        return w - lr * decay * w - lr * np.sign(b1 * m + (1 - b1) * g)

    return rule


OPTIMIZERS = (
    OptimizerSample(optimizers.Sgd(lr=0.1), sgd_rule(0.1)),
    OptimizerSample(
        optimizers.Sgd(lr=0.1, weight_decay=0.1), sgd_rule(0.1, decay=0.1), sgd_rule(0.1)
    ),
    OptimizerSample(optimizers.Sgd(lr=0.05, momentum=0.9), sgd_rule(0.05, 0.9)),
    OptimizerSample(
        optimizers.Sgd(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.02),
        sgd_rule(0.05, 0.9, nesterov=True, decay=0.02),
        sgd_rule(0.05, 0.9, nesterov=True),
    ),
    OptimizerSample(optimizers.Adam(lr=0.02), adam_rule(0.02)),
    OptimizerSample(
        optimizers.Adam(lr=0.02, beta_1=0.8, beta_2=0.9, epsilon=0.1),
        adam_rule(0.02, 0.8, 0.9, 0.1),
    ),
    OptimizerSample(
        optimizers.Adamw(lr=0.02, weight_decay=0.1), adam_rule(0.02, decay=0.1), adam_rule(0.02)
    ),
    # With a short memory, so that v falls below its largest value.
    OptimizerSample(optimizers.Amsgrad(lr=0.02), adam_rule(0.02, largest=True)),
    OptimizerSample(optimizers.Amsgrad(lr=0.02, beta_2=0.5), adam_rule(0.02, b2=0.5, largest=True)),
    OptimizerSample(optimizers.Adagrad(lr=0.1), adagrad_rule(0.1)),
    OptimizerSample(
        optimizers.Adagrad(lr=0.1, initial_accumulator=0.0, epsilon=0.01),
        adagrad_rule(0.1, 0.0, 0.01),
    ),
    OptimizerSample(optimizers.Rmsprop(lr=0.01), rmsprop_rule(0.01)),
    OptimizerSample(
        optimizers.Rmsprop(lr=0.01, rho=0.7, momentum=0.8, epsilon=1e-3),
        rmsprop_rule(0.01, 0.7, 0.8, 1e-3),
    ),
    OptimizerSample(optimizers.Rmsprop(lr=0.01, centered=True), rmsprop_rule(0.01, centered=True)),
    OptimizerSample(
        optimizers.Rmsprop(lr=0.01, momentum=0.5, centered=True),
        rmsprop_rule(0.01, momentum=0.5, centered=True),
    ),
    OptimizerSample(optimizers.Adamax(lr=0.02), adamax_rule(0.02)),
    OptimizerSample(
        optimizers.Adamax(lr=0.02, beta_1=0.5, beta_2=0.8, epsilon=0.1),
        adamax_rule(0.02, 0.5, 0.8, 0.1),
    ),
    OptimizerSample(optimizers.Nadam(lr=0.02), nadam_rule(0.02)),
    OptimizerSample(
        optimizers.Nadam(lr=0.02, beta_1=0.5, beta_2=0.9, epsilon=0.1),
        nadam_rule(0.02, 0.5, 0.9, 0.1),
    ),
    OptimizerSample(optimizers.Lion(lr=0.005), lion_rule(0.005)),
    OptimizerSample(
        optimizers.Lion(lr=0.005, beta_1=0.6, beta_2=0.8, weight_decay=0.5),
        lion_rule(0.005, 0.6, 0.8, 0.5),
        lion_rule(0.005, 0.6, 0.8),
    ),
)

# How long a training of the samples' formulas is.
EPOCHS = 10


@dataclass(frozen=True)
class ScheduleSample:
    """A schedule, and the rate after so many steps of a training of `EPOCHS` epochs:
    `formula(lr, step, steps of an epoch)`.
    """

    schedule: Schedule
    formula: Callable[[float, int, int], float]


def warming(length: float, formula: Callable[[float, float, float], float]) -> Any:
    """A formula of time and whole length in epochs, behind a warm-up of so many epochs."""

    def rate(lr: float, step: int, epoch: int) -> float:
        share = min(1.0, (step + 1) / epoch / length)
        return share * formula(lr, max(step / epoch - length, 0.0), EPOCHS - length)

    return rate


def cosine(lr: float, end: float, share: float) -> float:
    return end + (lr - end) * (1 + cos(pi * min(share, 1.0))) / 2


def restarting(lr: float, time: float, length: float, multiplier: int) -> float:
    """SGDR, cycle by cycle."""
    while time >= length:
        time, length = time - length, length * multiplier
    return cosine(lr, 0.0, time / length)


def one_cycle(top: float, step: int, whole: int) -> float:
    """As in A. Géron's book, chapter 11."""
    half = (whole - (whole // 10 + 1)) // 2
    low = top / 10
    if step < half:
        return low + (top - low) * step / half
    if step < 2 * half:
        return top + (low - top) * (step - half) / half
    left = min(step, whole) - 2 * half
    return low + (low / 1000 - low) * left / (whole - 2 * half)


SCHEDULES = (
    ScheduleSample(schedules.ConstantSchedule(), lambda lr, step, epoch: lr),
    ScheduleSample(schedules.ConstantSchedule(warmup=2.5), warming(2.5, lambda lr, t, whole: lr)),
    ScheduleSample(
        schedules.ConstantSchedule(warmup=5.0, per="step"),
        lambda lr, step, epoch: lr * min(1.0, (step + 1) / 5),
    ),
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
        schedules.Exponential(factor=0.1, every=2.0, warmup=1.0),
        warming(1.0, lambda lr, t, whole: lr * 0.1 ** (t / 2)),
    ),
    ScheduleSample(
        schedules.Piecewise(((0.0, 0.1), (1.0, 0.01), (3.0, 0.001))),
        lambda lr, step, epoch: 0.1 if step < epoch else 0.01 if step < 3 * epoch else 0.001,
    ),
    ScheduleSample(
        schedules.Piecewise(((10.0, 0.0), (5.0, 0.2)), per="step"),
        lambda lr, step, epoch: lr if step < 5 else 0.2 if step < 10 else 0.0,
    ),
    ScheduleSample(
        schedules.Piecewise(((0.0, 0.1), (2.0, 0.01)), warmup=1.0),
        warming(1.0, lambda lr, t, whole: 0.1 if t < 2 else 0.01),
    ),
    ScheduleSample(schedules.Power(every=2.0), lambda lr, step, epoch: lr / (1 + step / epoch / 2)),
    ScheduleSample(
        schedules.Power(every=7.0, exponent=0.5, per="step"),
        lambda lr, step, epoch: lr / (1 + step / 7) ** 0.5,
    ),
    ScheduleSample(
        schedules.Polynomial(power=2.0, end=0.01),
        lambda lr, step, epoch: 0.01 + (lr - 0.01) * (1 - min(step / epoch / EPOCHS, 1)) ** 2,
    ),
    ScheduleSample(
        schedules.Polynomial(over=30.0, per="step"),
        lambda lr, step, epoch: lr * (1 - min(step / 30, 1)),
    ),
    ScheduleSample(
        schedules.Linear(warmup=1.0),
        warming(1.0, lambda lr, t, whole: lr * (1 - min(t / whole, 1))),
    ),
    ScheduleSample(
        schedules.Linear(end=0.1, over=2.0),
        lambda lr, step, epoch: lr + (0.1 - lr) * min(step / epoch / 2, 1),
    ),
    ScheduleSample(
        schedules.Cosine(), lambda lr, step, epoch: cosine(lr, 0.0, step / epoch / EPOCHS)
    ),
    ScheduleSample(
        schedules.Cosine(end=0.05, over=3.0, warmup=1.0),
        warming(1.0, lambda lr, t, whole: cosine(lr, 0.05, t / 3)),
    ),
    ScheduleSample(
        schedules.Cosine(over=7.0, restarts=True, per="step"),
        lambda lr, step, epoch: restarting(lr, step, 7, 1),
    ),
    ScheduleSample(
        schedules.Cosine(over=1.0, restarts=True, multiplier=2.0, warmup=3.0, per="step"),
        lambda lr, step, epoch: min(1.0, (step + 1) / 3) * restarting(lr, max(step - 3, 0), 1, 2),
    ),
    ScheduleSample(
        schedules.OneCycle(), lambda lr, step, epoch: one_cycle(lr, step, EPOCHS * epoch)
    ),
    ScheduleSample(
        schedules.OneCycle(max=0.7), lambda lr, step, epoch: one_cycle(0.7, step, EPOCHS * epoch)
    ),
    # The factor is 1 until a host lowers it.
    ScheduleSample(schedules.Plateau(), lambda lr, step, epoch: lr),
    ScheduleSample(schedules.Plateau(warmup=2.0), warming(2.0, lambda lr, t, whole: lr)),
)
