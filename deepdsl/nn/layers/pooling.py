"""Pools: the largest number of each window, or the mean."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, argument, option
from deepdsl.graph import Builder, Emitter, Node, Op, Param, ShapeError, Type, Value
from deepdsl.graph.arithmetic import mul, scaled, sub
from deepdsl.graph.concatenation import Concatenate
from deepdsl.graph.reductions import ReduceMean
from deepdsl.graph.reshaping import Reshape
from deepdsl.graph.types import ONNX_CODES
from deepdsl.graph.windows import PAD, Pad, Windows, WindowSize, shown, space, windows
from deepdsl.nn.layers.activations.relu_variants import Relu
from deepdsl.nn.layers.image_reshaping import padded_apart
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.pooling_propagation import counts, through_largest, through_mean
from deepdsl.nn.layers.propagation import Moments, Transfer
from deepdsl.nn.layers.upsampling import SpreadOver

STRIDE = WindowSize()


def _pooled(x: Type, over: Windows) -> Type:
    return x.with_shape((*x.shape[:2], *over.outs))


# The largest of each window -----------------------------------------------------------------------


@record
class MaxPool(Layer):
    """`max_pool 2x2 stride=2 pad=valid`: the largest number of each window, channel by channel.

    Of [channels length], [channels height width] or [channels depth height width].  Without
    `stride=` the windows lie side by side.  `pad=same` makes ceil(size / stride) windows along each
    axis and `pad=1` adds so much on both sides; what is padded is -infinity and never wins.  With
    `valid`, the default of Keras and PyTorch too, what is left over at the end is not seen.
    `pad=same` is symmetric where that gives the size, else the one more is at the end; Keras
    puts it there always.

    The gradient goes to the number that won; among equals, to the first of the window, as in
    PyTorch.  After a relu the pool is taken first while training: the numbers and gradients are
    the same, and relu has fewer numbers to look at.
    """

    size: tuple[int, ...] = argument(WindowSize(), "how large the windows are")
    stride: tuple[int, ...] | None = option(STRIDE, "from window to window; the size if none", None)
    pad: Pad = option(PAD, "what is added around the image", "valid")

    transparent = True
    parts_rows = True  # asks for what rows, and with them places, have in common
    source = "Ranzato, Huang, Boureau & LeCun 2007, CVPR"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        over = pool_windows(self.name, x.type, self.size, self.stride, self.pad)
        if not scope.training:
            return scope.builder.add(MaxOf(over), padded_apart(scope.builder, x))
        b, before = scope.builder, scope.builder.made_by(x)
        if before is not None and isinstance(before.op, Relu):
            return b.add(Relu(), largest(b, before.inputs[0], over))
        return largest(b, x, over)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        over = pool_windows(self.name, types[0], self.size, self.stride, self.pad)
        return through_largest(inputs[0], *_seen(types[0], over))


def pool_windows(
    name: str, x: Type, size: tuple[int, ...], stride: tuple[int, ...] | None, pad: Pad
) -> Windows:
    """The windows of a pool, each of which sees at least one number of the image."""
    over = windows(name, x, size, size if stride is None else stride, pad)
    if any(n >= k for n, k in zip(over.begins, over.sizes, strict=True)):
        raise ShapeError(
            f"`pad={shown(over.begins)}` is too much for windows of {shown(over.sizes)}",
            "some windows would see nothing but the pad",
            f"pad less than the size, or write `{name} {shown(size)} pad=same`",
        )
    return over


def largest(b: Builder, x: Value, over: Windows) -> Value:
    """The pool of a graph that is differentiated: the lowering that was quickest, measured in
    benchmarks/pooling.md.
    """
    sizes = x.type.shape[2:]
    halves = all(
        k <= 2 and n % k == 0 for n, k in zip(sizes, over.sizes, strict=True) if isinstance(n, int)
    )
    if not halves or over.strides != over.sizes or over.padded:
        return b.apply(MaxWithPlace(over), x)[0]
    # Along the last axis first, so that among equals the first of the window wins.
    for axis in reversed(range(2, x.type.rank)):
        if over.sizes[axis - 2] == 2:
            x = b.apply(LargerOfPairs(axis), x)[0]
    return x


@record
class MaxOf(Op):
    """The largest number of each window."""

    windows: Windows

    def infer(self, *inputs: Type) -> Type:
        return _pooled(inputs[0], self.windows)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("MaxPool", *inputs, **_shape_of(self.windows))

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        _, places = b.apply(MaxWithPlace(self.windows), inputs[0])
        return (b.add(PutAt(), grad, places, inputs[0]),)


@record
class MaxWithPlace(Op):
    """The largest number of each window, and its place in the flattened tensor."""

    windows: Windows

    def infer(self, *inputs: Type) -> tuple[Type, Type]:
        out = _pooled(inputs[0], self.windows)
        return out, out.with_dtype("i64")

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        return onnx.nodes("MaxPool", *inputs, outputs=2, **_shape_of(self.windows))

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value]:
        grad = grads[0]
        assert grad is not None, "a place has no gradient"
        return (b.add(PutAt(), grad, outs[1], inputs[0]),)


@record
class PutAt(Op):
    """Zeros in the shape of the third operand, to which the numbers of the first are added at the
    places in the second.
    """

    def infer(self, *inputs: Type) -> Type:
        return inputs[2]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        numbers, places, like = inputs
        flat = onnx.constant((-1,), "i64")
        shape = onnx.node("Shape", like)
        zeros = onnx.node("Expand", onnx.constant(0.0, node.outputs[0].type.dtype), shape)
        put = onnx.node(
            "ScatterElements",
            onnx.node("Reshape", zeros, flat),
            onnx.node("Reshape", places, flat),
            onnx.node("Reshape", numbers, flat),
            axis=0,
            reduction="add",
        )
        return onnx.node("Reshape", put, shape)


@record
class LargerOfPairs(Op):
    """The larger of each two neighbours along an axis; and, for the gradient, 1 where that is the
    first of them and 0 elsewhere.
    """

    axis: int

    def infer(self, *inputs: Type) -> tuple[Type, Type]:
        (x,) = inputs
        size = x.shape[self.axis]
        assert isinstance(size, int)
        out = x.with_shape((*x.shape[: self.axis], size // 2, *x.shape[self.axis + 1 :]))
        return out, out

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        apart = onnx.constant((-1, 2, self._behind(node.inputs[0].type)), "i64")
        paired = onnx.node("Reshape", inputs[0], apart)
        ones = onnx.constant((1, 1), "i64")
        first, second = onnx.nodes("Split", paired, ones, outputs=2, axis=1)
        out = node.outputs[0].type
        shape = onnx.constant(tuple(-1 if isinstance(d, str) else d for d in out.shape), "i64")
        # A comparison and a cast cost a third of a Where.
        won = onnx.node(
            "Cast", onnx.node("GreaterOrEqual", first, second), to=ONNX_CODES[out.dtype]
        )
        larger = onnx.node("Max", first, second)
        return [onnx.node("Reshape", larger, shape), onnx.node("Reshape", won, shape)]

    def _behind(self, x: Type) -> int:
        return prod(d for d in x.shape[self.axis + 1 :] if isinstance(d, int))

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value]:
        grad, x = grads[0], inputs[0].type
        assert grad is not None, "a comparison has no gradient"
        first = mul(b, grad, outs[1])
        front = prod(d for d in grad.type.shape[1 : self.axis + 1] if isinstance(d, int))
        apart = Reshape((x.shape[0], front, 1, self._behind(x)))
        pieces = b.add(apart, first), b.add(apart, sub(b, grad, first))
        return (b.add(Reshape(x.shape), b.add(Concatenate(2), *pieces)),)


# Means --------------------------------------------------------------------------------------------


@record
class AvgPool(Layer):
    """`avg_pool 2x2 stride=2 pad=valid`: the mean of each window, channel by channel.

    Sizes, strides and pads are as for max_pool.  What is padded does not count: the mean is that of
    the image's own numbers in the window, as Keras has it.  PyTorch counts the zeros of the pad
    unless `count_include_pad=False`: `count_pad=true` is its default.
    """

    size: tuple[int, ...] = argument(WindowSize(), "how large the windows are")
    stride: tuple[int, ...] | None = option(STRIDE, "from window to window; the size if none", None)
    pad: Pad = option(PAD, "what is added around the image", "valid")
    count_pad: bool = option(Boolean(), "whether the zeros of the pad count", False)

    transparent = True
    parts_rows = True
    source = "LeCun, Bottou, Bengio & Haffner 1998, Proceedings of the IEEE 86"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        over = pool_windows(self.name, x.type, self.size, self.stride, self.pad)
        x = padded_apart(scope.builder, x)
        return scope.builder.add(MeanOf(over, self.count_pad), x)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        over = pool_windows(self.name, types[0], self.size, self.stride, self.pad)
        if self.count_pad and over.padded:
            return None
        return through_mean(inputs[0], *_seen(types[0], over))


@record
class MeanOf(Op):
    """The mean of each window; with `count_pad` the zeros of the pad count."""

    windows: Windows
    count_pad: bool = False

    def infer(self, *inputs: Type) -> Type:
        return _pooled(inputs[0], self.windows)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node(
            "AveragePool",
            *inputs,
            **_shape_of(self.windows),
            count_include_pad=int(self.count_pad),
        )

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        x = inputs[0].type
        sizes = x.row[1:]
        each = 1.0
        seen = self.windows.seen(sizes)
        if self.count_pad:
            seen = tuple((k,) for k in self.windows.sizes)
        for axis, numbers in enumerate(seen):
            if len(set(numbers)) == 1:
                each /= numbers[0]
                continue
            # One factor an axis is enough: how many numbers a window sees is a product.
            shares: Any = tuple(1 / number for number in numbers)
            for _ in range(len(sizes) - axis - 1):
                shares = tuple((share,) for share in shares)
            grad = mul(b, grad, b.constant(shares, x.dtype))
        return (b.add(SpreadOver(self.windows, sizes), scaled(b, each, grad)),)


# The whole image ----------------------------------------------------------------------------------


@record
class GlobalAvgPool(Layer):
    """`global_avg_pool`: the mean of each channel over the whole image, as a vector.

    Lin, Chen & Yan 2013: in place of `flatten` and large dense layers, so that a network of
    convolutions has few weights and its head does not depend on the image's size.
    """

    transparent = True
    parts_rows = True
    source = "Lin, Chen & Yan 2013, arXiv:1312.4400"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        sizes = space(self.name, x.type, "")
        return scope.builder.add(ReduceMean(tuple(range(2, 2 + len(sizes)))), x)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        count = prod(space(self.name, types[0], ""))
        return through_mean(inputs[0], {count: 1.0}, 1 / count)


@record
class GlobalMaxPool(Layer):
    """`global_max_pool`: the largest number of each channel over the whole image, as a vector.

    The gradient goes to the number that won; among equals, to the first.
    """

    transparent = True
    parts_rows = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        b = scope.builder
        whole = space(self.name, x.type, "")
        over = windows(self.name, x.type, whole, whole)
        made = largest(b, x, over) if scope.training else b.add(MaxOf(over), padded_apart(b, x))
        return b.add(Reshape(x.type.shape[:2]), made)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        count = prod(space(self.name, types[0], ""))
        return through_largest(inputs[0], {count: 1.0}, 1 / count)


def _seen(x: Type, over: Windows) -> tuple[Mapping[int, float], float]:
    """How many numbers the windows see, and how many windows there are for each number."""
    sizes = space("", x)
    return counts(over, sizes), prod(over.outs) / prod(sizes)


def _shape_of(over: Windows) -> dict[str, tuple[int, ...]]:
    """The attributes of an ONNX pool."""
    return {"kernel_shape": over.sizes, "strides": over.strides, "pads": over.pads}
