"""Optimizers: how a gradient becomes a step, in Keras's forms and defaults.

An optimizer is elementwise over a parameter and its slots, so many small tensors can be stepped as
one (see step.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from deepdsl.ir import Builder, Value
from deepdsl.ops.arithmetic import Pow, Sqrt, add, cast, div, mul, plus, scaled, square, sub
from deepdsl.record import record
from deepdsl.registry import Boolean, Number, Registered, option

Slots = Mapping[str, Value]


@record
class Rates:
    """Scalars that all tensors of a step share: the learning rate, and what the optimizer made of
    it.
    """

    lr: Value
    step: Value  # the rate that the update is multiplied with; for Adam corrected for bias
    decay: Value | None = None


@record
class Optimizer(Registered, kind="optimizer"):
    """Base of optimizers."""

    lr: float = option(Number(above=0), "the learning rate", 1e-3)

    def slots(self) -> tuple[str, ...]:
        """The names of the tensors kept beside each parameter, of its shape; they begin as
        zeros.
        """
        return ()

    def rates(self, b: Builder, lr: Value, t: Value) -> Rates:
        """Scalars for one step, from the rate (float64) and the step's number, counted from 1
        (float64).
        """
        rate = cast(b, lr, "f32")
        return Rates(rate, rate)

    def update(
        self, b: Builder, rates: Rates, weight: Value, grad: Value, slots: Slots, decay: bool
    ) -> tuple[Value, dict[str, Value]]:
        """The weight's and the slots' next values; `decay` is whether weight decay applies to this
        tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update")


@record
class Sgd(Optimizer):
    """`sgd lr=1e-2 momentum=0.9 nesterov=true`: stochastic gradient descent.

    m = momentum * m - lr * g; weight += m, or with Nesterov's look-ahead weight += momentum * m -
    lr * g. weight_decay adds weight_decay * weight to the gradient (not to that of biases and
    normalization).
    """

    lr: float = option(Number(above=0), "the learning rate", 1e-2)
    momentum: float = option(Number(minimum=0, below=1), "how much of the last step is kept", 0.0)
    nesterov: bool = option(Boolean(), "look ahead along the momentum", False)
    weight_decay: float = option(Number(minimum=0), "weight decay, in the gradient", 0.0)

    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def update(
        self, b: Builder, rates: Rates, weight: Value, grad: Value, slots: Slots, decay: bool
    ) -> tuple[Value, dict[str, Value]]:
        if self.weight_decay and decay:
            grad = add(b, grad, scaled(b, self.weight_decay, weight))
        step = mul(b, grad, rates.step)
        if not self.momentum:
            return sub(b, weight, step), {}
        velocity = sub(b, scaled(b, self.momentum, slots["momentum"]), step)
        move = sub(b, scaled(b, self.momentum, velocity), step) if self.nesterov else velocity
        return add(b, weight, move), {"momentum": velocity}


@record
class Adam(Optimizer):
    """`adam lr=1e-3`: adaptive moments, Kingma & Ba 2015, section 2, in Keras's form.

    m = beta_1 m + (1 - beta_1) g; v = beta_2 v + (1 - beta_2) g^2;
    weight -= lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon).

    The state holds m / (1 - beta_1) and v / (1 - beta_2): the same steps in two operations fewer a
    tensor.  PyTorch divides v by its correction inside the root and has epsilon 1e-8.
    """

    beta_1: float = option(Number(minimum=0, below=1), "decay of the first moment", 0.9)
    beta_2: float = option(Number(minimum=0, below=1), "decay of the second moment", 0.999)
    epsilon: float = option(Number(above=0), "added to the root", 1e-7)

    def slots(self) -> tuple[str, ...]:
        return ("first_moment", "second_moment")

    def rates(self, b: Builder, lr: Value, t: Value) -> Rates:
        # In float64: 1 - 0.999 has lost four of its seven digits in float32.
        def missing(beta: float) -> Value:
            return sub(b, b.like(1.0, t), b.add(Pow(), b.like(beta, t), t))

        corrected = div(b, b.add(Sqrt(), missing(self.beta_2)), missing(self.beta_1))
        step = scaled(b, (1 - self.beta_1) / sqrt(1 - self.beta_2), mul(b, lr, corrected))
        return Rates(cast(b, lr, "f32"), cast(b, step, "f32"))

    def update(
        self, b: Builder, rates: Rates, weight: Value, grad: Value, slots: Slots, decay: bool
    ) -> tuple[Value, dict[str, Value]]:
        first = add(b, scaled(b, self.beta_1, slots["first_moment"]), grad)
        second = add(b, scaled(b, self.beta_2, slots["second_moment"]), square(b, grad))
        root = plus(b, b.add(Sqrt(), second), self.epsilon / sqrt(1 - self.beta_2))
        move = mul(b, div(b, first, root), rates.step)
        return sub(b, weight, move), {"first_moment": first, "second_moment": second}


@record
class Adamw(Adam):
    """`adamw lr=1e-3 weight_decay=0.004`: Adam with decoupled weight decay, Loshchilov & Hutter
    2019.

    weight -= lr * weight_decay * weight before Adam's step; not for biases and normalization.
    PyTorch's default is 0.01.
    """

    weight_decay: float = option(Number(minimum=0), "decoupled weight decay", 4e-3)

    def rates(self, b: Builder, lr: Value, t: Value) -> Rates:
        base = super().rates(b, lr, t)
        kept = sub(b, b.like(1.0, lr), scaled(b, self.weight_decay, lr))
        return Rates(base.lr, base.step, cast(b, kept, "f32"))

    def update(
        self, b: Builder, rates: Rates, weight: Value, grad: Value, slots: Slots, decay: bool
    ) -> tuple[Value, dict[str, Value]]:
        if decay and self.weight_decay:
            assert rates.decay is not None
            weight = mul(b, weight, rates.decay)
        return super().update(b, rates, weight, grad, slots, decay)
