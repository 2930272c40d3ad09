"""Gradients divided by their size of late."""

from __future__ import annotations

from math import sqrt

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Number, option
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Sqrt, add, cast, div, mul, plus, scaled, square, sub
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots


@record
class Rmsprop(Optimizer):
    """`rmsprop lr=1e-3`: v = rho v + (1 - rho) g^2; weight -= lr * g / sqrt(v + epsilon).

    Adagrad that forgets: the gradient is divided by its root mean square of late.  With momentum,
    m = momentum * m + lr * g / sqrt(v + epsilon); weight -= m.  With centered=true, v is less the
    square of the mean gradient: its variance.  Before adam it was what to begin with; recurrent
    networks and reinforcement learning still use it.

    The state holds v / (1 - rho).  The variance is kept as such, so that it cannot fall below zero
    by rounding.  PyTorch has rho (its `alpha`) 0.99 and the rate 1e-2, and adds epsilon, 1e-8, to
    the root.
    """

    source = "Tieleman & Hinton 2012, Lecture 6.5; centered: Graves 2013, arXiv:1308.0850"
    # As for Adam: a step moves each number by about the rate.
    usual = (1e-6, 1e-2)
    decays = ("rho",)

    rho: float = option(Number(above=0, below=1), "decay of the mean square", 0.9)
    momentum: float = option(Number(minimum=0, below=1), "how much of the last step is kept", 0.0)
    epsilon: float = option(Number(above=0), "added inside the root", 1e-7)
    centered: bool = option(Boolean(), "divide by the deviation from the mean gradient", False)

    def slots(self) -> tuple[Slot, ...]:
        names = ("mean", "variance") if self.centered else ("mean_square",)
        return tuple(Slot(n) for n in (*names, *(("momentum",) if self.momentum else ())))

    @property
    def _scale(self) -> float:
        """What v is, of what the state holds."""
        return (1 - self.rho) * (self.rho if self.centered else 1)

    def rates(self, b: Builder, lr: Value, t: Value, kept: Slots) -> Rates:
        step = scaled(b, 1 / sqrt(self._scale), lr)
        return Rates(cast(b, lr, "f32"), cast(b, step, "f32"))

    def update(
        self, b: Builder, rates: Rates, weight: Value, grad: Value, slots: Slots, decay: bool
    ) -> tuple[Value, dict[str, Value]]:
        made: dict[str, Value] = {}
        if self.centered:
            # var = rho (var + (1 - rho) (g - mean)^2), with the mean before this step.
            off = sub(b, grad, slots["mean"])
            made["mean"] = add(b, slots["mean"], scaled(b, 1 - self.rho, off))
            size = add(b, scaled(b, self.rho, slots["variance"]), square(b, off))
            made["variance"] = size
        else:
            size = add(b, scaled(b, self.rho, slots["mean_square"]), square(b, grad))
            made["mean_square"] = size
        root = b.add(Sqrt(), plus(b, size, self.epsilon / self._scale))
        move = div(b, mul(b, grad, rates.step), root)
        if self.momentum:
            kept = rates.momentum or b.like(self.momentum, weight)
            move = made["momentum"] = add(b, mul(b, slots["momentum"], kept), move)
        return sub(b, weight, move), made
