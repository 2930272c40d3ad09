"""Rates that fall with the gradients seen."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph.formula import Term, sqrt, square
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots


@record
class Adagrad(Optimizer):
    """`adagrad lr=1e-3`: a += g^2; weight -= lr * g / sqrt(a + epsilon).

    Each number has a rate of its own, which falls with the gradients that it has seen.  Good for
    sparse inputs and simple problems; a deep network's rates fall to nothing before it has learned.

    `a` begins at initial_accumulator.  PyTorch begins at 0, adds epsilon, 1e-10, to the root, and
    has the rate 1e-2.
    """

    source = "Duchi, Hazan & Singer 2011, Adaptive Subgradient Methods"
    # The divisor grows, so that rates which are too large for Adam are usual: the paper's go to 1.
    usual = (1e-4, 1.0)

    initial_accumulator: float = option(Number(minimum=0), "what the sum of squares begins at", 0.1)
    epsilon: float = option(Number(above=0), "added inside the root", 1e-7)

    def slots(self) -> tuple[Slot, ...]:
        return (Slot("accumulator", self.initial_accumulator),)

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        a = slots["accumulator"] + square(grad)
        root = sqrt(a + self.epsilon)
        return weight - grad * rates.step / root, {"accumulator": a}
