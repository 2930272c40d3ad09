"""Sums, means and extremes over axes."""

from __future__ import annotations

from typing import ClassVar

from deepdsl.ir import Builder, Dim, Emitter, Node, Op, Shape, Type, Value
from deepdsl.record import record


@record
class Reduce(Op):
    """Base of reductions over `axes`."""

    axes: tuple[int, ...]
    keepdims: bool = False

    onnx: ClassVar[str] = ""

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        kept: list[Dim] = []
        for axis, dim in enumerate(x.shape):
            if axis not in self.axes:
                kept.append(dim)
            elif self.keepdims:
                kept.append(1)
        return x.with_shape(kept)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        axes = onnx.constant(self.axes, "i64")
        return onnx.node(self.onnx, inputs[0], axes, keepdims=int(self.keepdims))

    def _spread(self, b: Builder, grad: Value, x: Value) -> Value:
        """The gradient in the shape of x with 1 in place of the reduced axes, ready to
        broadcast.
        """
        from deepdsl.ops.shaping import Reshape

        if self.keepdims or not grad.type.shape:
            return grad
        return b.add(Reshape(self._kept(x.type.shape)), grad)

    def _kept(self, shape: Shape) -> Shape:
        return tuple(1 if axis in self.axes else dim for axis, dim in enumerate(shape))


@record
class ReduceSum(Reduce):
    onnx = "ReduceSum"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        from deepdsl.ops.shaping import BroadcastLike

        return (b.add(BroadcastLike(), self._spread(b, grad, inputs[0]), inputs[0]),)


@record
class ReduceMean(Reduce):
    onnx = "ReduceMean"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        from deepdsl.ops.arithmetic import div, extent
        from deepdsl.ops.shaping import BroadcastLike

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


def sum_all(b: Builder, x: Value) -> Value:
    return b.add(ReduceSum(tuple(range(x.type.rank))), x)


@record
class SumOfSquares(Reduce):
    """The sum of squares over axes, in one pass."""

    onnx = "ReduceSumSquare"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        from deepdsl.ops.arithmetic import mul, scaled

        return (mul(b, scaled(b, 2.0, inputs[0]), self._spread(b, grad, inputs[0])),)


def square_sum(b: Builder, x: Value) -> Value:
    return b.add(SumOfSquares(tuple(range(x.type.rank))), x)
