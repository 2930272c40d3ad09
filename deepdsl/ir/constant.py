"""Operations without a layer's meaning that the builder itself needs: constants and the size of a
dimension.
"""

from __future__ import annotations

from typing import Any

from deepdsl.ir.graph import Node
from deepdsl.ir.op import Emitter, Op
from deepdsl.ir.types import Dim, DType, Type
from deepdsl.record import record


@record
class Constant(Op):
    """A number, or nested tuples of numbers, written into the graph."""

    value: Any
    dtype: DType = "f32"

    def infer(self) -> Type:  # type: ignore[override]
        shape: list[Dim] = []
        value = self.value
        while isinstance(value, tuple):
            shape.append(len(value))
            value = value[0]
        return Type(tuple(shape), self.dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.constant(self.value, self.dtype)


@record
class Dimension(Op):
    """The size of one axis of a tensor, as a scalar."""

    axis: int
    dtype: DType = "f32"

    def infer(self, x: Type) -> Type:  # type: ignore[override]
        return Type((), self.dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        size = onnx.node("Shape", inputs[0], start=self.axis, end=self.axis + 1)
        scalar = onnx.node("Squeeze", size)
        codes = {"f32": 1, "f64": 11, "i64": 7, "u32": 12}
        if self.dtype == "i64":
            return scalar
        return onnx.node("Cast", scalar, to=codes[self.dtype])
