"""Stochastic gradient descent."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Number, option
from deepdsl.graph.formula import Term
from deepdsl.nn.optimizers.base import Optimizer, Rates, Slot, Slots


@record
class Sgd(Optimizer):
    """`sgd lr=1e-2 momentum=0.9 nesterov=true`: m = momentum * m - lr * g; weight += m.

    Stochastic gradient descent.  With Nesterov's look-ahead weight += momentum * m - lr * g.
    weight_decay adds weight_decay * weight to the gradient (not to that of biases and
    normalization).

    With momentum it is still what the best image models are trained with; it wants a schedule, and
    a rate that was looked for.  PyTorch keeps the gradients' sum without the rate in it, so that a
    rate that changes acts on the old steps as well.
    """

    source = "Polyak 1964, Some methods of speeding up convergence; Sutskever et al. 2013"
    # Below, nothing moves in a usual number of steps; above 1, a mean loss diverges.
    usual = (1e-4, 1.0)

    lr: float = option(Number(above=0), "the learning rate", 1e-2)
    momentum: float = option(Number(minimum=0, below=1), "how much of the last step is kept", 0.0)
    nesterov: bool = option(Boolean(), "look ahead along the momentum", False)
    weight_decay: float = option(Number(minimum=0), "weight decay, in the gradient", 0.0)

    def slots(self) -> tuple[Slot, ...]:
        return (Slot("momentum"),) if self.momentum else ()

    def update(
        self, rates: Rates, weight: Term, grad: Term, slots: Slots, decay: bool
    ) -> tuple[Term, dict[str, Term]]:
        if self.weight_decay and decay:
            grad = grad + self.weight_decay * weight
        step = grad * rates.step
        if not self.momentum:
            return weight - step, {}
        momentum = rates.momentum or weight.constant(self.momentum)
        velocity = slots["momentum"] * momentum - step
        move = velocity * momentum - step if self.nesterov else velocity
        return weight + move, {"momentum": velocity}
