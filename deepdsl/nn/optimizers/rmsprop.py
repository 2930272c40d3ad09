"""Gradients divided by their size of late."""

from __future__ import annotations

import math

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Number, option
from deepdsl.graph.formula import Term, sqrt, square
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

    def rates(self, lr: Term, t: Term, kept: Slots) -> Rates:
        step = 1 / math.sqrt(self._scale) * lr
        return Rates(lr.cast("f32"), step.cast("f32"))

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        new: dict[str, Term] = {}
        if self.centered:
            # var = rho (var + (1 - rho) (g - mean)^2), with the mean before this step.
            off = grad - slots["mean"]
            new["mean"] = slots["mean"] + (1 - self.rho) * off
            v = new["variance"] = self.rho * slots["variance"] + square(off)
        else:
            v = new["mean_square"] = self.rho * slots["mean_square"] + square(grad)
        # The root before the product: that is the order of the graph's nodes.
        root = sqrt(v + self.epsilon / self._scale)
        move = grad * rates.step / root
        if self.momentum:
            momentum = rates.momentum or weight.constant(self.momentum)
            move = new["momentum"] = slots["momentum"] * momentum + move
        return weight - move, new
