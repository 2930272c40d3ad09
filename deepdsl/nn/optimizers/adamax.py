"""Adam with the infinity norm."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph.formula import Term, absolute, maximum
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots, bias_correction


@record
class Adamax(Optimizer):
    """`adamax lr=1e-3`: weight -= lr / (1 - beta_1^t) * m / (u + epsilon).

    m = beta_1 m + (1 - beta_1) g; u = max(beta_2 u, |g|).  Adam with the largest gradient of late
    in the place of the root mean square: no gradient, however large, moves a number by more than
    about lr.  Section 7.1 of Adam's paper; for gradients that are rare, as of embeddings.

    The state holds m / (1 - beta_1).  PyTorch's rate is 2e-3, and it adds epsilon, 1e-8, to |g|.
    """

    source = "Kingma & Ba 2015, arXiv:1412.6980"
    # As for Adam: a step moves each number by about the rate.
    usual = (1e-6, 1e-2)
    decays = ("beta_1", "beta_2")

    beta_1: float = option(Number(minimum=0, below=1), "decay of the moment", 0.9)
    beta_2: float = option(Number(minimum=0, below=1), "decay of the largest gradient", 0.999)
    epsilon: float = option(Number(above=0), "added to the divisor", 1e-7)

    def slots(self) -> tuple[Slot, ...]:
        return (Slot("moment"), Slot("largest"))

    def rates(self, lr: Term, t: Term, kept: Slots) -> Rates:
        step = (1 - self.beta_1) * lr / bias_correction(self.beta_1, t)
        return Rates(lr.cast("f32"), step.cast("f32"))

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        m = self.beta_1 * slots["moment"] + grad
        size = absolute(grad)
        u = maximum(self.beta_2 * slots["largest"], size)
        return weight - m / (u + self.epsilon) * rates.step, {"moment": m, "largest": u}
