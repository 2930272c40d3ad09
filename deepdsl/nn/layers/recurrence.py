"""What the loops of recurrent cells have in common.

All are time first, [T, N, features].  What every position needs and no earlier one has to say, the
product with the inputs and the gradients' factors, is computed for the whole sequence at once; the
loop has the rest.  The loop is ONNX's Scan: unrolled it took the same time a step, and seconds to
load (64 positions 0.8 s, 128 positions 3.8 s, and more than in proportion; Scan 0.02 s).
"""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value
from deepdsl.graph.arithmetic import square, sub
from deepdsl.graph.gemm import Gemm
from deepdsl.graph.reshaping import ReduceSum, Reshape
from deepdsl.nn.layers.sequence_shapes import flattened

Names = list[str]


def last_size(type_: Type) -> int:
    size = type_.shape[-1]
    assert isinstance(size, int)
    return size


def resized(type_: Type, size: int) -> Type:
    return type_.with_shape((*type_.shape[:-1], size))


def first_state(onnx: Emitter, sequence: str, units: int, node: Node) -> str:
    """The state before the first position, as many rows as the sequence has."""
    rows = onnx.node("Shape", sequence, start=1, end=2)
    shape = onnx.node("Concat", rows, onnx.constant((units,), "i64"), axis=0)
    return onnx.node("Expand", onnx.constant(0.0, node.outputs[0].type.dtype), shape)


@record
class Previous(Op):
    """The state that each position begins with: that of the position before it, zero at the first.

    With `reverse` the one before is the one after.
    """

    reverse: bool = False

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        positions, dtype = node.inputs[0].type.shape[0], node.inputs[0].type.dtype
        assert isinstance(positions, int)
        pads, start = ((0, 0, 0, 1, 0, 0), 1) if self.reverse else ((1, 0, 0, 0, 0, 0), 0)
        zero = onnx.constant(0.0, dtype)
        longer = onnx.node("Pad", inputs[0], onnx.constant(pads, "i64"), zero)
        ends = (onnx.constant((n,), "i64") for n in (start, start + positions, 0))
        return onnx.node("Slice", longer, *ends)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (b.add(Previous(not self.reverse), grad),)


def rest(b: Builder, x: Value) -> Value:
    """What is left to 1."""
    return sub(b, b.like(1.0, x), x)


def slope(b: Builder, gate: Value) -> Value:
    """The derivative of a sigmoid from its value."""
    return sub(b, gate, square(b, gate))


def to_weights(b: Builder, before: Value, grad: Value) -> Value:
    """The gradient of recurrent weights: one product over all positions."""
    return b.add(Gemm(transpose_a=True), flattened(b, before), flattened(b, grad))


def through_product(b: Builder, grad: Value, x: Value, weight: Value) -> tuple[Value, Value, Value]:
    """The gradients of x, the weights and the bias of a product at each position."""
    rows = flattened(b, grad)
    to_x = b.add(Reshape(x.type.shape), b.add(Gemm(transpose_b=True), rows, weight))
    to_weight = b.add(Gemm(transpose_a=True), flattened(b, x), rows)
    return to_x, to_weight, b.add(ReduceSum((0,)), rows)


def in_order(onnx: Emitter, x: str, units: int, order: tuple[int, ...], axis: int) -> str:
    """The gates' blocks along an axis in another order."""
    sizes = onnx.constant((units,) * len(order), "i64")
    blocks = onnx.nodes("Split", x, sizes, outputs=len(order), axis=axis)
    return onnx.node("Concat", *(blocks[n] for n in order), axis=axis)


def for_onnx(onnx: Emitter, weight: str, units: int, order: tuple[int, ...] | None) -> str:
    """Weights [inputs, gates] as ONNX has them: [1, gates, inputs]."""
    turned = onnx.node("Transpose", weight, perm=(1, 0))
    if order is not None:
        turned = in_order(onnx, turned, units, order, 0)
    return onnx.node("Unsqueeze", turned, onnx.constant((0,), "i64"))
