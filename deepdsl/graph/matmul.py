"""Products of matrices in batches, and axes in another order."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, ShapeError, Type, Value, by_times, per_row


@record
class MatMul(Op):
    """`a @ b` of the last two axes, for each place of the axes before them, which are the same in
    both.
    """

    def infer(self, *inputs: Type) -> Type:
        a, b = inputs
        if a.rank < 3 or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
            shapes = f"{by_times(a.shape)} by {by_times(b.shape)}"
            raise ShapeError(f"a product of matrices in batches does not take {shapes}")
        return a.with_shape((*a.shape[:-1], b.shape[-1]))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("MatMul", *inputs)

    def flops(self, out: Type, *inputs: Type) -> int:
        return 2 * per_row(inputs[0].shape[-1]) * out.per_row

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, Value]:
        x, y = inputs
        return b.add(MatMul(), grad, turned(b, y)), b.add(MatMul(), turned(b, x), grad)


@record
class Transpose(Op):
    """The axes in another order: axis i of the result is axis `order[i]` of the operand."""

    order: tuple[int, ...]

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        assert sorted(self.order) == list(range(x.rank))
        return x.with_shape(tuple(x.shape[axis] for axis in self.order))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Transpose", *inputs, perm=self.order)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        back = tuple(self.order.index(axis) for axis in range(len(self.order)))
        return (b.add(Transpose(back), grad),)


def transposed(b: Builder, x: Value, *order: int) -> Value:
    return b.add(Transpose(order), x)


def turned(b: Builder, x: Value) -> Value:
    """The last two axes exchanged; before a product the runtime needs no copy for it."""
    rank = x.type.rank
    return b.add(Transpose((*range(rank - 2), rank - 1, rank - 2)), x)
