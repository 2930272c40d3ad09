"""Noise that is added to a signal in training."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, argument
from deepdsl.graph import Param, Type, Value
from deepdsl.graph.arithmetic import add, scaled
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer
from deepdsl.nn.layers.random_draws import normal


@record
class GaussianNoise(Layer):
    """`gaussian_noise 0.1`: in training x + std * n, with n standard normal for each element.

    Sietsma & Dow 1991.  At inference it does nothing.  On the inputs it works like a penalty on the
    slopes of what is learned (Bishop 1995).  Keras's layer of that name is the same.  The numbers
    are a pure function of the seed, the layer's path, the step and the element.
    """

    std: float = argument(Number(minimum=0), "the noise's standard deviation")

    transparent = True
    source = "Sietsma & Dow 1991, Creating artificial neural networks that generalize"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if not scope.noisy or self.std == 0:
            return x
        b = scope.builder
        return add(b, x, scaled(b, self.std, normal(scope, x)))

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        """Rows have noise of their own, so that it adds nothing to what they share."""
        (x,) = inputs
        return Transfer(Moments(x.mean, x.square + self.std**2, x.shared), (Gain.every(1.0),))
