"""Matrix products."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, ShapeError, Type, Value, by_times, per_row
from deepdsl.graph.reshaping import unbroadcast


@record
class Gemm(Op):
    """`op(a) @ op(b) [+ c]` for matrices, where op transposes on demand: the kernel's own
    transposition costs nothing.
    """

    transpose_a: bool = False
    transpose_b: bool = False

    def infer(self, *inputs: Type) -> Type:
        a, b = inputs[:2]
        rows, inner = reversed(a.shape) if self.transpose_a else a.shape
        other, columns = reversed(b.shape) if self.transpose_b else b.shape
        if inner != other:
            shapes = f"{by_times(a.shape)} by {by_times(b.shape)}"
            raise ShapeError(f"a matrix product needs equal inner sizes, not {shapes}")
        return a.with_shape((rows, columns))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node(
            "Gemm", *inputs, transA=int(self.transpose_a), transB=int(self.transpose_b)
        )

    def flops(self, out: Type, *inputs: Type) -> int:
        return 2 * per_row(inputs[1].shape[1 if self.transpose_b else 0]) * out.per_row

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        x, w = inputs[:2]
        tx, tw = self.transpose_a, self.transpose_b
        # For y = x w: dx = dy w', dw = x' dy; each transposed operand swaps its factors.
        to_x = b.add(Gemm(tw, True), w, grad) if tx else b.add(Gemm(False, not tw), grad, w)
        to_w = b.add(Gemm(True, tx), grad, x) if tw else b.add(Gemm(not tx, False), x, grad)
        return (to_x, to_w, *(unbroadcast(b, grad, c) for c in inputs[2:]))
