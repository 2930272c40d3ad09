"""Concatenation along an axis, and its inverse."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Dim, Emitter, Node, Op, ShapeError, Type, Value, by_times
from deepdsl.graph.arithmetic import scaled


@record
class Concatenate(Op):
    """Operands one after another along an axis."""

    axis: int

    def infer(self, *inputs: Type) -> Type:
        first = inputs[0].shape
        total = 0
        for t in inputs:
            rest = [(a, d) for a, d in enumerate(t.shape) if a != self.axis]
            if len(t.shape) != len(first) or rest != [
                (a, d) for a, d in enumerate(first) if a != self.axis
            ]:
                told = " and ".join(by_times(t.shape[1:]) for t in inputs)
                raise ShapeError(
                    f"{told} cannot be joined: they differ in more than the joined axis"
                )
            size = t.shape[self.axis]
            assert isinstance(size, int)
            total += size
        shape: list[Dim] = list(first)
        shape[self.axis] = total
        return inputs[0].with_shape(shape)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Concat", *inputs, axis=self.axis)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        return b.apply(Split(self.axis, tuple(_size(v, self.axis) for v in inputs)), grad)


def _size(value: Value, axis: int) -> int:
    size = value.type.shape[axis]
    assert isinstance(size, int)
    return size


@record
class Split(Op):
    """Pieces of given sizes along an axis: the inverse of a concatenation."""

    axis: int
    sizes: tuple[int, ...]

    def infer(self, *inputs: Type) -> tuple[Type, ...]:
        (x,) = inputs
        return tuple(
            x.with_shape((*x.shape[: self.axis], size, *x.shape[self.axis + 1 :]))
            for size in self.sizes
        )

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        sizes = onnx.constant(self.sizes, "i64")
        return onnx.nodes("Split", inputs[0], sizes, outputs=len(self.sizes), axis=self.axis)

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value]:
        # A piece that nothing reads has gradient zero.
        pieces = [scaled(b, 0.0, o) if g is None else g for g, o in zip(grads, outs, strict=True)]
        return (b.add(Concatenate(self.axis), *pieces),)
