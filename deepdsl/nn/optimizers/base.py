"""What an optimizer is: elementwise over a parameter and its slots, so that many small tensors can
be stepped as one (see training_step.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Number, Registered, option
from deepdsl.graph.formula import Term

Slots = Mapping[str, Term]


@record
class Slot:
    """State of an optimizer: its name, and the number that it begins with."""

    name: str
    start: float = 0.0


@record
class Rates:
    """Scalars that all tensors of a step share: the learning rate, and what the optimizer made of
    it.

    `more` are further ones by name; `kept` are the next values of the optimizer's scalar state.
    """

    lr: Term
    step: Term  # the rate that the update is multiplied with; for Adam corrected for bias
    decay: Term | None = None
    momentum: Term | None = None  # where the schedule moves it
    more: Mapping[str, Term] = field(default_factory=dict)
    kept: Mapping[str, Term] = field(default_factory=dict)


@record
class Optimizer(Registered, kind="optimizer"):
    """Base of optimizers."""

    #: Learning rates between which trainings usually lie; one outside is probably a slip.
    usual: ClassVar[tuple[float, float]] = (1e-6, 1.0)
    #: Options that say what the numbers of its state are: how fast they decay.
    decays: ClassVar[tuple[str, ...]] = ()

    lr: float = option(Number(above=0), "the learning rate", 1e-3)

    def slots(self) -> tuple[Slot, ...]:
        """The tensors kept beside each parameter, of its shape."""
        return ()

    def scalars(self) -> tuple[Slot, ...]:
        """The numbers kept once for the whole training, in float64."""
        return ()

    def goes_on_as(self, other: Optimizer) -> bool:
        """Whether the state that it leaves is one that the other would have."""
        return self._kept() == other._kept()

    def _kept(self) -> tuple[object, ...]:
        slots = tuple(slot.name for slot in (*self.slots(), *self.scalars()))
        return self.name, slots, tuple(getattr(self, name) for name in self.decays)

    def rates(self, lr: Term, t: Term, kept: Slots) -> Rates:
        """Scalars for one step, from the rate (float64), the step's number counted from 1
        (float64), and the scalar state.
        """
        rate = lr.cast("f32")
        return Rates(rate, rate)

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        """The weight's and the slots' next values; `decay` is whether weight decay applies to this
        tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update")


def bias_correction(beta: float, t: Term) -> Term:
    """1 - beta^t: the weight of what an average that began at zero has seen so far.  In float64:
    1 - 0.999 has lost four of its seven digits in float32.
    """
    return t.constant(1.0) - beta**t
