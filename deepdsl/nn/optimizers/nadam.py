"""Adam with Nesterov's look-ahead."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph.formula import Term, sqrt, square
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots, bias_correction

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

    def rates(self, lr: Term, t: Term, kept: Slots) -> Rates:
        one = t.constant(1.0)
        warming = WARMING**t
        here, following = (
            t.constant(self.beta_1) - self.beta_1 / 2 * factor * warming
            for factor in (1.0, WARMING)
        )
        product = kept["momentum_product"] * here
        after = one - product * following
        # The root of v / (1 - beta_2^t) is that of the state times this.
        correction = sqrt(t.constant(1 - self.beta_2) / bias_correction(self.beta_2, t))
        rate = lr / correction
        to_moment = (1 - self.beta_1) * (rate * following) / after
        to_gradient = rate * (one - here) / (one - product)
        epsilon = t.constant(self.epsilon) / correction
        more = {"gradient": to_gradient.cast("f32"), "epsilon": epsilon.cast("f32")}
        step = to_moment.cast("f32")
        return Rates(lr.cast("f32"), step, more=more, kept={"momentum_product": product})

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        m = self.beta_1 * slots["first_moment"] + grad
        v = self.beta_2 * slots["second_moment"] + square(grad)
        ahead = m * rates.step + grad * rates.more["gradient"]
        move = ahead / (sqrt(v) + rates.more["epsilon"])
        return weight - move, {"first_moment": m, "second_moment": v}
