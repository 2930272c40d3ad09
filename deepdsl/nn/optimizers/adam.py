"""Adam, and what differs from it in one place: AdamW and AMSGrad."""

from __future__ import annotations

import math

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph.formula import Term, maximum, sqrt, square
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots, bias_correction


@record
class Adam(Optimizer):
    """`adam lr=1e-3`: weight -= lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon).

    m = beta_1 m + (1 - beta_1) g; v = beta_2 v + (1 - beta_2) g^2.  Adaptive moments: each number
    moves about lr a step, whatever the size of its gradient.  Section 2 of the paper, in Keras's
    form; what to begin with where nothing is known.

    The state holds m / (1 - beta_1) and v / (1 - beta_2): the same steps in two operations fewer a
    tensor.  PyTorch divides v by its correction inside the root and has epsilon 1e-8.
    """

    source = "Kingma & Ba 2015, arXiv:1412.6980"
    # A step moves each number by about the rate: 0.01 is much for weights of size 0.05.
    usual = (1e-6, 1e-2)
    decays = ("beta_1", "beta_2")

    beta_1: float = option(Number(minimum=0, below=1), "decay of the first moment", 0.9)
    beta_2: float = option(Number(minimum=0, below=1), "decay of the second moment", 0.999)
    epsilon: float = option(Number(above=0), "added to the root", 1e-7)

    def slots(self) -> tuple[Slot, ...]:
        return (Slot("first_moment"), Slot("second_moment"))

    def rates(self, lr: Term, t: Term, kept: Slots) -> Rates:
        root = sqrt(bias_correction(self.beta_2, t))
        corrected = root / bias_correction(self.beta_1, t)
        step = (1 - self.beta_1) / math.sqrt(1 - self.beta_2) * (lr * corrected)
        return Rates(lr.cast("f32"), step.cast("f32"))

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        m = self.beta_1 * slots["first_moment"] + grad
        v = self.beta_2 * slots["second_moment"] + square(grad)
        largest, more = self._largest(v, slots)
        move = m / (sqrt(largest) + self.epsilon / math.sqrt(1 - self.beta_2)) * rates.step
        return weight - move, {"first_moment": m, "second_moment": v, **more}

    def _largest(self, v: Term, slots: Slots) -> tuple[Term, dict[str, Term]]:
        """What the step is divided by the root of, and what is kept of it."""
        return v, {}


@record
class Adamw(Adam):
    """`adamw lr=1e-3 weight_decay=0.004`: Adam's step after weight -= lr * weight_decay * weight.

    Decoupled weight decay: in plain Adam, a decay in the gradient would be divided by the
    gradient's own size.  Biases and normalization do not decay; `dnnc inspect` shows which.
    Keras's default is 0.004, PyTorch's 0.01.
    """

    source = "Loshchilov & Hutter 2019, arXiv:1711.05101"

    weight_decay: float = option(Number(minimum=0), "decoupled weight decay", 4e-3)

    def rates(self, lr: Term, t: Term, kept: Slots) -> Rates:
        base = super().rates(lr, t, kept)
        left = lr.constant(1.0) - self.weight_decay * lr
        return Rates(base.lr, base.step, left.cast("f32"))

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        if decay and self.weight_decay:
            assert rates.decay is not None
            weight = weight * rates.decay
        return super().update(rates, weight, grad, slots, decay)


@record
class Amsgrad(Adam):
    """`amsgrad lr=1e-3`: Adam's step with the largest v so far in the place of v.

    The step's divisor never shrinks, which fixes Adam's proof of convergence; rare large gradients
    are not forgotten.  In practice it is seldom better than adam.  It is `Adam(amsgrad=True)` in
    Keras and in PyTorch; as in both, the largest is taken before the correction for bias.
    """

    source = "Reddi, Kale & Kumar 2018, arXiv:1904.09237"

    def slots(self) -> tuple[Slot, ...]:
        return (*super().slots(), Slot("largest_second_moment"))

    def _largest(self, v: Term, slots: Slots) -> tuple[Term, dict[str, Term]]:
        largest = maximum(slots["largest_second_moment"], v)
        return largest, {"largest_second_moment": largest}
