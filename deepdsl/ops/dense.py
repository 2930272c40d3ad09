"""The fully connected layer."""

from __future__ import annotations

from typing import Any

from deepdsl.initializers import Initializer, Zeros
from deepdsl.ir import ShapeError, Value, by_times
from deepdsl.ops.layer import Layer, Scope
from deepdsl.ops.linear import Gemm
from deepdsl.record import record
from deepdsl.registry import Boolean, Either, Entry, Integer, argument, option


@record
class Dense(Layer):
    """`dense 300`: x W + b, with W of shape (inputs, units) and b of shape (units).

    Without `init=` the initializer follows the activation that the layer flows into, through batch
    norm and dropout: he_normal for relu, leaky_relu and elu, lecun_normal for selu, glorot_uniform
    for the rest.  Biases are zeros.
    """

    units: int = argument(Integer(minimum=1, maximum=2**24), "number of outputs")
    init: Initializer | None = option(Entry("initializer"), "how the weights begin", None)
    bias: bool | Initializer = option(
        Either((Boolean(), Entry("initializer"))), "whether there is a bias, or how it begins", True
    )

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if x.type.rank != 2:
            shape = x.type.shape[1:]
            count = x.type.with_shape(shape).count
            raise ShapeError(
                "`dense` takes a vector",
                f"it was given {by_times(shape)}",
                f"flatten first: `flatten | dense {self.units}` gives it {count}" if count else "",
            )
        inputs_count = x.type.shape[1]
        assert isinstance(inputs_count, int)
        fans = (inputs_count, self.units)
        dtype: Any = x.type.dtype
        weight = scope.param("weight", fans, self.init, "weight", fans, dtype)
        if self.bias is False:
            return scope.builder.add(Gemm(), x, weight)
        start = self.bias if isinstance(self.bias, Initializer) else Zeros()
        bias = scope.param("bias", (self.units,), start, "bias", fans, dtype)
        return scope.builder.add(Gemm(), x, weight, bias)
