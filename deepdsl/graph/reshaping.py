"""Reshaping, broadcasting and sums over axes: what all other gradients are written with."""

from __future__ import annotations

from typing import ClassVar

from deepdsl.core.record import record
from deepdsl.graph import Builder, Dim, Emitter, Node, Op, Shape, Type, Value


@record
class Reshape(Op):
    """The same elements in order, in another shape.  At most one dimension may be a symbol."""

    shape: Shape

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_shape(self.shape)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        sizes = tuple(-1 if isinstance(d, str) else d for d in self.shape)
        shape = onnx.constant(sizes, "i64", (len(sizes),) if not sizes else None)
        return onnx.node("Reshape", inputs[0], shape)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (b.add(Reshape(inputs[0].type.shape), grad),)


@record
class BroadcastLike(Op):
    """The first operand, repeated along axes until it has the shape of the second."""

    def infer(self, *inputs: Type) -> Type:
        x, like = inputs
        return x.with_shape(like.shape)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Expand", inputs[0], onnx.node("Shape", inputs[1]))

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, None]:
        return unbroadcast(b, grad, inputs[0]), None


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
        if self.keepdims or not grad.type.shape:
            return grad
        return b.add(Reshape(self._kept(x.type.shape)), grad)

    def _kept(self, shape: Shape) -> Shape:
        return tuple(1 if axis in self.axes else dim for axis, dim in enumerate(shape))


@record
class ReduceSum(Reduce):
    onnx = "ReduceSum"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (b.add(BroadcastLike(), self._spread(b, grad, inputs[0]), inputs[0]),)


def sum_all(b: Builder, x: Value) -> Value:
    return b.add(ReduceSum(tuple(range(x.type.rank))), x)


def unbroadcast(b: Builder, grad: Value, like: Value) -> Value:
    """Sum a gradient over the axes along which `like` was broadcast."""
    target = like.type.shape
    if grad.type.shape == target:
        return grad
    extra = grad.type.rank - len(target)
    axes = tuple(range(extra)) + tuple(
        axis + extra
        for axis, dim in enumerate(target)
        if dim == 1 and grad.type.shape[axis + extra] != 1
    )
    summed = b.add(ReduceSum(axes), grad)
    return summed if summed.type.shape == target else b.add(Reshape(target), summed)
