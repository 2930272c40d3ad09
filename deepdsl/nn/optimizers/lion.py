"""Steps by the sign of the momentum."""

from __future__ import annotations

from dataclasses import replace

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph.formula import Term, sign
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots


@record
class Lion(Optimizer):
    """`lion lr=1e-4 weight_decay=1`: weight -= lr * sign(beta_1 m + (1 - beta_1) g).

    Then m = beta_2 m + (1 - beta_2) g.  Found by a search over programs: every number moves by the
    rate itself, up or down, and one slot is kept where Adam keeps two.  The rate wants to be 3 to
    10 times smaller than Adam's, and the weight decay as much larger; made for large batches.

    weight_decay takes lr * weight_decay * weight off before the step, not of biases and
    normalization.  The state holds m / (1 - beta_2).  Keras's rate is 1e-3, the paper's 1e-4;
    PyTorch has no lion.
    """

    source = "Chen et al. 2023, arXiv:2302.06675"
    # Ten times below Adam's: the step is the rate, even where Adam's would be small.
    usual = (1e-6, 1e-3)
    decays = ("beta_1", "beta_2")

    beta_1: float = option(Number(minimum=0, below=1), "how much of m is in the step", 0.9)
    beta_2: float = option(Number(minimum=0, below=1), "decay of m", 0.99)
    weight_decay: float = option(Number(minimum=0), "decoupled weight decay", 0.0)

    def slots(self) -> tuple[Slot, ...]:
        return (Slot("moment"),)

    def rates(self, lr: Term, t: Term, kept: Slots) -> Rates:
        base = super().rates(lr, t, kept)
        if not self.weight_decay:
            return base
        left = lr.constant(1.0) - self.weight_decay * lr
        return replace(base, decay=left.cast("f32"))

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        if decay and rates.decay is not None:
            weight = weight * rates.decay
        # A factor leaves the sign alone, so g may stay as it is.
        share = self.beta_1 * (1 - self.beta_2) / (1 - self.beta_1)
        direction = sign(share * slots["moment"] + grad)
        m = self.beta_2 * slots["moment"] + grad
        return weight - direction * rates.step, {"moment": m}
