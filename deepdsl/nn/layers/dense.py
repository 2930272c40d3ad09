"""The fully connected layer."""

from __future__ import annotations

from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import (
    Boolean,
    Either,
    Entry,
    Integer,
    Names,
    Number,
    OneOf,
    argument,
    option,
)
from deepdsl.graph import Param, ShapeError, Type, Value, by_times
from deepdsl.nn.initializers import Initializer, Zeros
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer
from deepdsl.nn.layers.sequence_shapes import at_each_position, needs_sequence
from deepdsl.nn.regularizers import regularizer


@record
class Dense(Layer):
    """`dense 300`: x W + b, with W of shape (inputs, units) and b of shape (units).

    It takes a vector.  With `per=position` it takes a sequence [T D], and each position goes
    through the same weights: [T units].  Keras's Dense and PyTorch's Linear do so with any shape,
    and a `flatten` that was forgotten goes unseen.

    Without `init=` the initializer follows the activation that the layer flows into, through norms
    and dropout: he_normal for relu and its variants, elu, gelu, swish, mish and softplus,
    lecun_normal for selu, glorot_uniform for tanh, sigmoid, softmax and the rest.  Biases are
    zeros.

    l1 adds l1 * sum |W| and l2 adds l2 * sum W^2 to what is made small, without a factor 1/2, as in
    Keras; the bias is left alone.  Their gradients, l1 * sign(W) and 2 * l2 * W, are added before
    clipping.  The `loss` that is reported stays that of the data, so that it can be compared with
    the loss on other rows, where Keras adds the penalties to it.  PyTorch has no l1; the
    `weight_decay` of its SGD is 2 * l2.  max_norm keeps the norm of the weights into each unit, a
    column of W, at most that large, after each step.  `default dense l2=1e-4` is for all layers
    below it.

    `dense 300 tie=encoder.dense_2` has no matrix of its own: it takes that of another dense layer
    of the model that is before it, transposed, and has a bias of its own.  The layer must take
    what the other one gives, and give as many numbers as that one takes.  The path is looked up
    from the part or block in which the layer is outwards to the model: of the layers before it
    the nearest is meant.  There is one tensor, the other layer's: gradients from both uses add up
    in it, and its start, its penalties and max_norm are given there.  It is for autoencoders, whose
    decoder then has half the numbers to learn.  In PyTorch it is F.linear(x, W, bias) with the W of
    the other Linear transposed; Keras needs a layer class for it.
    """

    units: int = argument(Integer(minimum=1, maximum=2**24), "number of outputs")
    init: Initializer | None = option(Entry("initializer"), "how the weights begin", None)
    bias: bool | Initializer = option(
        Either((Boolean(), Entry("initializer"))), "whether there is a bias, or how it begins", True
    )
    l1: float = option(Number(minimum=0), "penalty on the sum of |W|", 0.0)
    l2: float = option(Number(minimum=0), "penalty on the sum of W^2", 0.0)
    max_norm: float | None = option(Number(above=0), "largest norm of a unit's weights", None)
    per: str | None = option(
        OneOf(("position",)), "each position of a sequence by itself, not a vector", None
    )
    tie: str | None = option(
        Names(), "the path of a dense layer, whose weights are used transposed", None
    )

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if self.per == "position":
            help = f"a vector has no positions: `dense {self.units}`" if x.type.rank == 2 else ""
            needs_sequence("dense per=position", x.type, help)
        elif x.type.rank != 2:
            raise self._not_a_vector(x.type)
        inputs_count = x.type.shape[-1]
        assert isinstance(inputs_count, int)
        fans = (inputs_count, self.units)
        dtype: Any = x.type.dtype
        tied = self.tie is not None
        if tied:
            (path,), fans_there = self.borrows, fans[::-1]
            type_ = Type(fans_there, dtype)
            weight = scope.builder.param(path, type_, self.init, "weight", fans_there)
        else:
            rule = regularizer(self.l1, self.l2, self.max_norm)
            weight = scope.param("weight", fans, self.init, "weight", fans, dtype, rule)
        if self.bias is False:
            return at_each_position(scope.builder, x, weight, transposed=tied)
        start = self.bias if isinstance(self.bias, Initializer) else Zeros()
        bias = scope.param("bias", (self.units,), start, "bias", fans, dtype)
        return at_each_position(scope.builder, x, weight, bias, transposed=tied)

    @property
    def borrows(self) -> tuple[str, ...]:
        return () if self.tie is None else (f"{self.tie}.weight",)

    def _not_a_vector(self, given: Type) -> ShapeError:
        shape = given.shape[1:]
        count = given.with_shape(shape).count
        help = f"flatten first: `flatten | dense {self.units}` gives it {count}" if count else ""
        if len(shape) == 2:
            help += f"; for each of {shape[0]} positions: `dense {self.units} per=position`"
        return ShapeError("`dense` takes a vector", f"it was given {by_times(shape)}", help)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        """A sum of independent products, with mean 0 and variance fan_in Var[w] E[x^2], and the
        bias.

        What flows into tied weights was made with them: the products are not independent.
        """
        if self.tie is not None:
            return None
        weight = params[0]
        fan_in, units = weight.fans or (1, 1)
        spread = weight.init.variance((fan_in, units)) if weight.init is not None else None
        if not spread or weight.init.center:
            # Weights that are all equal, or lean to one side: their sums are no random sums.
            return None
        start = params[1].init if len(params) > 1 else Zeros()
        bias = start.second_moment((fan_in, units))
        if bias is None:
            return None
        (x,) = inputs
        out = x.grown(start.center, fan_in * spread, bias)
        # Kernels are drawn without regard to the signal, but for its own direction; so much of the
        # output's direction is the input's, and the rest the bias's.
        own = fan_in * spread * x.square / out.square if out.square else 1.0
        factor = units * spread
        gain = Gain(factor * (1 - 1 / fan_in), factor / fan_in, factor * (1 - own), factor * own)
        return Transfer(out, (gain,))
