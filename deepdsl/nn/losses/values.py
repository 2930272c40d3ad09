"""Losses over values, for models of any ending."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value
from deepdsl.graph.arithmetic import Maximum, Minimum, Sign, div, mul, scaled, sub
from deepdsl.graph.reductions import extent
from deepdsl.nn.losses.base import Loss


@record
class MeanSquaredError(Loss):
    """`mean_squared_error`: (output - target)^2, the mean over all outputs.

    Its best constant answer is the mean of the targets; a few far-off targets weigh much.
    """

    source = "Legendre 1805, Nouvelles méthodes pour la détermination des orbites des comètes"

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        return b.add(MeanSquare(), sub(b, x, target))


@record
class MeanAbsoluteError(Loss):
    """`mean_absolute_error`: |output - target|, the mean over all outputs.

    Its best constant answer is the median of the targets, so that a few far-off targets weigh
    little.  The gradient is as large next to the target as far from it: let the rate fall towards
    the end, or take huber.  PyTorch calls it L1Loss.
    """

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        return b.add(MeanAbsolute(), sub(b, x, target))


@record
class Huber(Loss):
    """`huber delta=1`: x^2 / 2 where |x| <= delta, delta (|x| - delta / 2) elsewhere, for the error
    x = output - target; the mean over all outputs.

    Like the squared error near the target and like the absolute one far from it, so that far-off
    targets weigh little and the gradient still falls to zero.  The same as Keras's Huber and
    PyTorch's HuberLoss, with their default; PyTorch's SmoothL1Loss is this divided by delta.
    """

    delta: float = option(Number(above=0), "the error from which it is linear", 1.0)

    source = "Huber 1964, Robust Estimation of a Location Parameter"

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        return b.add(MeanHuber(self.delta), sub(b, x, target))


@record
class MeanSquare(Op):
    """The mean of the squares of all elements; its gradient is 2 x / count."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_shape(())

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("ReduceMean", onnx.node("Mul", inputs[0], inputs[0]), keepdims=0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        (x,) = inputs
        return (mul(b, x, div(b, scaled(b, 2.0, grad), extent(b, x.type.shape, x.type.dtype))),)


@record
class MeanAbsolute(Op):
    """The mean of the absolute values of all elements; its gradient is sign(x) / count."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_shape(())

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("ReduceMean", onnx.node("Abs", inputs[0]), keepdims=0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        (x,) = inputs
        each = div(b, grad, extent(b, x.type.shape, x.type.dtype))
        return (mul(b, b.add(Sign(), x), each),)


@record
class MeanHuber(Op):
    """The mean of c * (x - c / 2), where c is x kept within ±delta; its gradient is c / count."""

    delta: float

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_shape(())

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        (x,) = inputs
        dtype = node.inputs[0].type.dtype
        bounds = (onnx.constant(c, dtype) for c in (-self.delta, self.delta))
        kept = onnx.node("Clip", x, *bounds)
        half = onnx.node("Mul", kept, onnx.constant(0.5, dtype))
        each = onnx.node("Mul", kept, onnx.node("Sub", x, half))
        return onnx.node("ReduceMean", each, keepdims=0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        (x,) = inputs
        kept = b.add(Minimum(), x, b.like(self.delta, x))
        kept = b.add(Maximum(), kept, b.like(-self.delta, x))
        return (mul(b, kept, div(b, grad, extent(b, x.type.shape, x.type.dtype))),)
