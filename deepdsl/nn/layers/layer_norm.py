"""Norms that look at one row alone: layer, group and root-mean-square normalization.

Training and inference are the same, and nothing is kept between batches.
"""

from __future__ import annotations

from math import prod
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Integer, Number, argument, option
from deepdsl.graph import Builder, Emitter, Node, Op, Param, ShapeError, Type, Value, by_times
from deepdsl.graph.arithmetic import add, along_features, mul, sub
from deepdsl.graph.reductions import ReduceMean
from deepdsl.graph.reshaping import Reshape
from deepdsl.nn.initializers import Initializer, Ones, Start, Zeros
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer, width


@record
class Normalize(Op):
    """z = (x - mean) / sqrt(variance + epsilon) along the last axis; not `centered`, z = x /
    sqrt(mean of x^2 + epsilon).

    The second output, for the gradient, is 1 / the root.  The variance is taken of what is
    centered: a difference of squares would lose the digits of rows that are far from 0.
    """

    epsilon: float
    centered: bool = True

    def infer(self, *inputs: Type) -> tuple[Type, Type]:
        (x,) = inputs
        return x, x.with_shape((*x.shape[:-1], 1))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        (x,) = inputs
        axis = onnx.constant((node.inputs[0].type.rank - 1,), "i64")
        if self.centered:
            x = onnx.node("Sub", x, onnx.node("ReduceMean", x, axis, keepdims=1))
        square = onnx.node("ReduceMean", onnx.node("Mul", x, x), axis, keepdims=1)
        epsilon = onnx.constant(self.epsilon, node.inputs[0].type.dtype)
        inverse = onnx.node("Reciprocal", onnx.node("Sqrt", onnx.node("Add", square, epsilon)))
        return [onnx.node("Mul", x, inverse), inverse]

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value]:
        """dx = (dz - mean(dz) - z * mean(dz * z)) * inverse, without mean(dz) where nothing is
        centered.
        """
        grad, (z, inverse) = grads[0], outs
        assert grad is not None, "the root has no gradient"
        mean = ReduceMean((z.type.rank - 1,), keepdims=True)
        direct = sub(b, grad, b.add(mean, grad)) if self.centered else grad
        return (mul(b, sub(b, direct, mul(b, z, b.add(mean, mul(b, grad, z)))), inverse),)


def _needs_several(name: str, count: int, help: str = "") -> None:
    if count < 2:
        label = "less its mean, a number by itself is always 0"
        raise ShapeError(f"`{name}` takes several numbers at a time", label, help)


def _vector_or_more(name: str, x: Value) -> Value:
    if x.type.rank < 2:
        raise ShapeError(f"`{name}` takes a vector or more", "it was given a single number")
    return x


def _size(x: Value, axis: int) -> int:
    size = x.type.shape[axis]
    assert isinstance(size, int)
    return size


def _last(type_: Type) -> int:
    size = type_.shape[-1]
    assert isinstance(size, int)
    return size


@record
class RowNorm(Layer, abstract=True):
    """Base: what signals and gradients become, for wide layers."""

    transparent = True

    def moments(
        self, x: Moments, size: int, epsilon: float, gamma: Initializer, beta: Initializer | None
    ) -> Transfer | None:
        """A row's elements, this many together, have the moments of all; `beta` is None where
        nothing is centered.

        Over few Gaussian numbers the mean of 1 / variance is more than one over its mean, and over
        three or fewer it is not finite.
        """
        free = size - (2 if beta is not None else 1)
        if free < 2:
            return None
        few = free / (free - 1)
        scale, start = gamma.second_moment((1, 1)), beta or Zeros()
        shift = start.second_moment((1, 1))
        if scale is None or shift is None:
            return None
        mean = 0.0 if beta is not None else x.mean
        square = x.square if beta is None else x.variance
        inverse = 1 / (square + epsilon)
        shared = None
        if x.shared is not None:
            shared = scale * (x.shared - x.square + square) * inverse + shift
        center = gamma.center * mean * inverse**0.5 + start.center
        out = Moments(center, scale * square * inverse + shift, shared)
        # Along the row's own direction nothing changes the output: no gradient comes back.
        return Transfer(out, (Gain(few * scale * inverse, 0.0, 0.0, 0.0),))


@record
class LayerNorm(RowNorm):
    """`layer_norm`: z = gamma * (x - mean) / sqrt(variance + epsilon) + beta, over the last axis.

    Ba, Kiros & Hinton 2016.  Mean and (biased) variance are those of the row's own features, so
    that a row's result does not depend on the others, in training and at inference alike: the norm
    for small batches, sequences and transformers.  After a vector's norm there is one gamma and
    beta a feature.  Of an input with more axes the last one alone is normalized, as Keras does, and
    PyTorch with the last size as its normalized_shape.  Of an image [channels height width] that is
    the width, which is hardly what is meant: `group_norm 1` takes channels and space together, and
    `permute [2 3 1] | layer_norm | permute [3 1 2]` the channels at each place, as Keras does where
    channels are last.  epsilon is Keras's, as in batch_norm; PyTorch's is 1e-5.
    """

    epsilon: float = option(Number(above=0), "added to the variance", 1e-3)
    gamma: Initializer = option(Start("initializer"), "how the scale begins", Ones())
    beta: Initializer = option(Start("initializer"), "how the shift begins", Zeros())

    source = "Ba, Kiros & Hinton 2016, arXiv:1607.06450"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        x = _vector_or_more(self.name, inputs[0])
        shape = (_size(x, -1),)
        _needs_several(self.name, *shape)
        dtype: Any = x.type.dtype
        gamma = scope.param("gamma", shape, self.gamma, "norm", dtype=dtype)
        beta = scope.param("beta", shape, self.beta, "norm", dtype=dtype)
        b = scope.builder
        z, _ = b.apply(Normalize(self.epsilon), x)
        return add(b, mul(b, z, gamma), beta)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        return self.moments(inputs[0], _last(types[0]), self.epsilon, self.gamma, self.beta)


@record
class RmsNorm(RowNorm):
    """`rms_norm`: z = gamma * x / sqrt(mean of x^2 + epsilon), over the last axis.

    Zhang & Sennrich 2019.  layer_norm without the mean and without beta: a little quicker, and as
    good in transformers.  epsilon is Keras's; PyTorch's is the element type's smallest step, 1.2e-7
    in float32.
    """

    epsilon: float = option(Number(above=0), "added to the mean square", 1e-6)
    gamma: Initializer = option(Start("initializer"), "how the scale begins", Ones())

    source = "Zhang & Sennrich 2019, arXiv:1910.07467"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        x = _vector_or_more(self.name, inputs[0])
        dtype: Any = x.type.dtype
        gamma = scope.param("gamma", (_size(x, -1),), self.gamma, "norm", dtype=dtype)
        z, _ = scope.builder.apply(Normalize(self.epsilon, centered=False), x)
        return mul(scope.builder, z, gamma)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        return self.moments(inputs[0], _last(types[0]), self.epsilon, self.gamma, None)


@record
class GroupNorm(RowNorm):
    """`group_norm 8`: z = gamma * (x - mean) / sqrt(variance + epsilon) + beta, over each group of
    channels of each row.

    Wu & He 2018: for images in batches that are too small for batch_norm.  The channels (axis 1)
    are divided into groups of neighbours; mean and (biased) variance are taken over a group's
    channels and the whole image.  gamma and beta are one a channel.  `group_norm 1` is a layer norm
    over channels and space; with as many groups as channels it is instance normalization.  32
    groups are the paper's and Keras's; PyTorch has no default, and epsilon 1e-5.
    """

    groups: int = argument(Integer(minimum=1), "how many groups", 32)
    epsilon: float = option(Number(above=0), "added to the variance", 1e-3)
    gamma: Initializer = option(Start("initializer"), "how the scale begins", Ones())
    beta: Initializer = option(Start("initializer"), "how the shift begins", Zeros())

    source = "Wu & He 2018, arXiv:1803.08494"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        x = _vector_or_more(self.name, inputs[0])
        channels = _size(x, 1)
        row = prod(_size(x, axis) for axis in range(1, x.type.rank))
        if channels % self.groups:
            fit = [str(n) for n in range(1, channels + 1) if channels % n == 0 and row > n]
            raise ShapeError(
                f"`group_norm {self.groups}` divides the channels into {self.groups} equal groups",
                f"it was given {by_times(x.type.shape[1:])}",
                f"{channels} channels can be divided into: " + ", ".join(fit) if fit else "",
            )
        size = row // self.groups
        _needs_several(self.name, size, "take fewer groups")
        dtype: Any = x.type.dtype
        gamma = scope.param("gamma", (channels,), self.gamma, "norm", dtype=dtype)
        beta = scope.param("beta", (channels,), self.beta, "norm", dtype=dtype)
        b = scope.builder
        grouped = b.add(Reshape((x.type.shape[0], self.groups, size)), x)
        z = b.add(Reshape(x.type.shape), b.apply(Normalize(self.epsilon), grouped)[0])
        return add(b, mul(b, z, along_features(b, gamma, x)), along_features(b, beta, x))

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        size = int(width(types[0])) // self.groups
        return self.moments(inputs[0], size, self.epsilon, self.gamma, self.beta)
