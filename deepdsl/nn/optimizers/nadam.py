"""Adam with Nesterov's look-ahead."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Pow, Sqrt, add, cast, div, mul, scaled, square, sub
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots, missing

# How fast the momentum rises to beta_1: the paper's, and Keras's, constant.
WARMING = 0.96


@record
class Nadam(Optimizer):
    """`nadam lr=1e-3`: weight -= lr * M / (sqrt(v / (1 - beta_2^t)) + epsilon).

    M = mu_(t+1) m / (1 - P mu_(t+1)) + (1 - mu_t) g / (1 - P), with mu_t = beta_1 (1 - 0.96^t / 2)
    and P the product of mu_1 to mu_t; m and v are Adam's.  Adam with Nesterov's look-ahead, and a
    momentum that rises to beta_1; often a little faster than adam, and as easy.

    The state holds m / (1 - beta_1), v / (1 - beta_2) and P.  PyTorch's schedule is 0.96^(t / 250):
    its `momentum_decay` is 0.004 where Keras's form has 1; its rate is 2e-3, its epsilon 1e-8.
    """

    source = "Dozat 2016, Incorporating Nesterov Momentum into Adam"
    # As for Adam: a step moves each number by about the rate.
    usual = (1e-6, 1e-2)
    decays = ("beta_1", "beta_2")

    beta_1: float = option(Number(minimum=0, below=1), "decay of the first moment", 0.9)
    beta_2: float = option(Number(minimum=0, below=1), "decay of the second moment", 0.999)
    epsilon: float = option(Number(above=0), "added to the root", 1e-7)

    def slots(self) -> tuple[Slot, ...]:
        return (Slot("first_moment"), Slot("second_moment"))

    def scalars(self) -> tuple[Slot, ...]:
        return (Slot("momentum_product", 1.0),)

    def rates(self, b: Builder, lr: Value, t: Value, kept: Slots) -> Rates:
        one = b.like(1.0, t)
        warming = b.add(Pow(), b.like(WARMING, t), t)
        here, following = (
            sub(b, b.like(self.beta_1, t), scaled(b, self.beta_1 / 2 * factor, warming))
            for factor in (1.0, WARMING)
        )
        product = mul(b, kept["momentum_product"], here)
        after = sub(b, one, mul(b, product, following))
        # The root of v / (1 - beta_2^t) is that of the state times this.
        corrected = div(b, b.like(1 - self.beta_2, t), missing(b, self.beta_2, t))
        correction = b.add(Sqrt(), corrected)
        rate = div(b, lr, correction)
        to_moment = div(b, scaled(b, 1 - self.beta_1, mul(b, rate, following)), after)
        to_gradient = div(b, mul(b, rate, sub(b, one, here)), sub(b, one, product))
        epsilon = div(b, b.like(self.epsilon, t), correction)
        more = {"gradient": cast(b, to_gradient, "f32"), "epsilon": cast(b, epsilon, "f32")}
        step = cast(b, to_moment, "f32")
        return Rates(cast(b, lr, "f32"), step, more=more, kept={"momentum_product": product})

    def update(
        self, b: Builder, rates: Rates, weight: Value, grad: Value, slots: Slots, decay: bool
    ) -> tuple[Value, dict[str, Value]]:
        first = add(b, scaled(b, self.beta_1, slots["first_moment"]), grad)
        second = add(b, scaled(b, self.beta_2, slots["second_moment"]), square(b, grad))
        ahead = add(b, mul(b, first, rates.step), mul(b, grad, rates.more["gradient"]))
        root = add(b, b.add(Sqrt(), second), rates.more["epsilon"])
        made = {"first_moment": first, "second_moment": second}
        return sub(b, weight, div(b, ahead, root)), made
