"""Means, sums of squares and extremes over axes."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, DType, Emitter, Node, Op, Shape, Type, Value
from deepdsl.graph.arithmetic import div, mul, scaled
from deepdsl.graph.reshaping import BroadcastLike, Reduce


@record
class ReduceMean(Reduce):
    onnx = "ReduceMean"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        (x,) = inputs
        count = extent(b, tuple(x.type.shape[a] for a in self.axes), x.type.dtype)
        each = div(b, self._spread(b, grad, x), count)
        return (b.add(BroadcastLike(), each, x),)


@record
class ArgMax(Op):
    """The index of the largest element along an axis; the first of equals."""

    axis: int

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        return Type(tuple(d for a, d in enumerate(x.shape) if a != self.axis), "i64")

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("ArgMax", inputs[0], axis=self.axis, keepdims=0)


@record
class SumOfSquares(Reduce):
    """The sum of squares over axes, in one pass."""

    onnx = "ReduceSumSquare"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (mul(b, scaled(b, 2.0, inputs[0]), self._spread(b, grad, inputs[0])),)


def square_sum(b: Builder, x: Value) -> Value:
    return b.add(SumOfSquares(tuple(range(x.type.rank))), x)


def extent(b: Builder, shape: Shape, dtype: DType = "f32") -> Value:
    """The number of elements of a shape as a scalar: a constant where no dimension is a symbol."""
    fixed = 1
    out: Value | None = None
    for dim in shape:
        if isinstance(dim, int):
            fixed *= dim
        else:
            size = b.dimension(dim, dtype)
            out = size if out is None else mul(b, out, size)
    if out is None:
        return b.constant(float(fixed) if dtype in ("f32", "f64") else fixed, dtype)
    return out if fixed == 1 else mul(b, out, b.like(float(fixed), out))
