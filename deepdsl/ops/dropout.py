"""Dropout."""

from __future__ import annotations

from deepdsl.ir import Value
from deepdsl.ops.arithmetic import Less, Where, mul
from deepdsl.ops.layer import Layer, Scope
from deepdsl.ops.random import uniform
from deepdsl.record import record
from deepdsl.registry import Number, argument


@record
class Dropout(Layer):
    """`dropout 20%`: in training each element is kept with probability 1 - rate and divided by it,
    else it is 0.

    Srivastava et al. 2014, in the inverted form.  At inference it does nothing.  The mask is a pure
    function of the seed, the layer's path, the step and the element.
    """

    rate: float = argument(Number(minimum=0, below=1), "the share that is dropped")

    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if not scope.noisy or self.rate == 0:
            return x
        b = scope.builder
        dropped = b.add(Less(), uniform(scope, x), b.like(self.rate, x))
        # One factor a unit, 0 or 1 / keep, serves the forward and the backward product alike.
        factor = b.add(Where(), dropped, b.like(0.0, x), b.like(1 / (1 - self.rate), x))
        return mul(b, x, factor)
