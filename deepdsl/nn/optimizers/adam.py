"""Adam, and what differs from it in one place: AdamW and AMSGrad."""

from __future__ import annotations

from math import sqrt

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Maximum, Sqrt, add, cast, div, mul, plus, scaled, square, sub
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots, missing


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

    def rates(self, b: Builder, lr: Value, t: Value, kept: Slots) -> Rates:
        root = b.add(Sqrt(), missing(b, self.beta_2, t))
        corrected = div(b, root, missing(b, self.beta_1, t))
        step = scaled(b, (1 - self.beta_1) / sqrt(1 - self.beta_2), mul(b, lr, corrected))
        return Rates(cast(b, lr, "f32"), cast(b, step, "f32"))

    def update(
        self, b: Builder, rates: Rates, weight: Value, grad: Value, slots: Slots, decay: bool
    ) -> tuple[Value, dict[str, Value]]:
        first = add(b, scaled(b, self.beta_1, slots["first_moment"]), grad)
        second = add(b, scaled(b, self.beta_2, slots["second_moment"]), square(b, grad))
        made = {"first_moment": first, "second_moment": second}
        measure, more = self._measure(b, second, slots)
        root = plus(b, b.add(Sqrt(), measure), self.epsilon / sqrt(1 - self.beta_2))
        move = mul(b, div(b, first, root), rates.step)
        return sub(b, weight, move), {**made, **more}

    def _measure(self, b: Builder, second: Value, slots: Slots) -> tuple[Value, dict[str, Value]]:
        """What the step is divided by the root of, and what is kept of it."""
        return second, {}


@record
class Adamw(Adam):
    """`adamw lr=1e-3 weight_decay=0.004`: Adam's step after weight -= lr * weight_decay * weight.

    Decoupled weight decay: in plain Adam, a decay in the gradient would be divided by the
    gradient's own size.  Biases and normalization do not decay; `dnnc inspect` shows which.
    Keras's default is 0.004, PyTorch's 0.01.
    """

    source = "Loshchilov & Hutter 2019, arXiv:1711.05101"

    weight_decay: float = option(Number(minimum=0), "decoupled weight decay", 4e-3)

    def rates(self, b: Builder, lr: Value, t: Value, kept: Slots) -> Rates:
        base = super().rates(b, lr, t, kept)
        left = sub(b, b.like(1.0, lr), scaled(b, self.weight_decay, lr))
        return Rates(base.lr, base.step, cast(b, left, "f32"))

    def update(
        self, b: Builder, rates: Rates, weight: Value, grad: Value, slots: Slots, decay: bool
    ) -> tuple[Value, dict[str, Value]]:
        if decay and self.weight_decay:
            assert rates.decay is not None
            weight = mul(b, weight, rates.decay)
        return super().update(b, rates, weight, grad, slots, decay)


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

    def _measure(self, b: Builder, second: Value, slots: Slots) -> tuple[Value, dict[str, Value]]:
        largest = b.add(Maximum(), slots["largest_second_moment"], second)
        return largest, {"largest_second_moment": largest}
