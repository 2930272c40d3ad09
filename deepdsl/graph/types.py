"""Types of values: a shape, whose dimensions are numbers or symbols, and an element type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Literal, Self

from deepdsl.core.record import record

DType = Literal["f32", "f64", "i64", "i32", "u32", "i8", "u8", "bool"]
# The element types of ONNX's TensorProto.
ONNX_CODES: dict[DType, int] = {
    "f32": 1,
    "u8": 2,
    "i8": 3,
    "i32": 6,
    "i64": 7,
    "bool": 9,
    "f64": 11,
    "u32": 12,
}
# The version of ONNX's operators that is written: old enough for every onnxruntime since 1.17, new
# enough for reductions with their axes as inputs.
OPSET = 18
Dim = int | str
Shape = tuple[Dim, ...]


class ShapeError(Exception):
    """Shapes that do not go together.  `message` says which rule is broken, `help` a way out."""

    def __init__(self, message: str, label: str = "", help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.label = label
        self.help = help


@record
class Type:
    """`f32[N,784]`.  A scalar has the empty shape."""

    shape: Shape
    dtype: DType = "f32"

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def count(self) -> int | None:
        """How many elements, or None when a dimension is a symbol."""
        total = 1
        for dim in self.shape:
            if isinstance(dim, str):
                return None
            total *= dim
        return total

    @property
    def row(self) -> tuple[int, ...]:
        """The sizes without the batch's, which is the first."""
        return tuple(d for d in self.shape[1:] if isinstance(d, int))

    @property
    def per_row(self) -> int:
        """How many elements belong to one row of the batch: 64 where a dimension is `N*64`."""
        return prod(per_row(dim) for dim in self.shape)

    def with_shape(self, shape: Sequence[Dim]) -> Type:
        return Type(tuple(shape), self.dtype)

    def with_dtype(self, dtype: DType) -> Type:
        return Type(self.shape, dtype)


def per_row(dim: Dim) -> int:
    """A dimension, with one row for the batch."""
    return dim if isinstance(dim, int) else prod(int(n) for n in dim.split("*") if n.isdigit())


def broadcast(*shapes: Shape) -> Shape:
    """The common shape by the rules of NumPy and ONNX; a symbol goes with itself and with 1."""
    rank = max(map(len, shapes))
    out: list[Dim] = []
    for axis in range(rank):
        dims = {s[axis - rank + len(s)] for s in shapes if axis - rank + len(s) >= 0} - {1}
        if len(dims) > 1:
            told = " and ".join(by_times(s) for s in shapes)
            raise ShapeError(f"shapes {told} do not go together")
        out.append(dims.pop() if dims else 1)
    return tuple(out)


def by_times(shape: Sequence[Dim]) -> str:
    """A shape as messages write it: `6 × 12 × 12`; a scalar is `a single number`."""
    return " × ".join(map(str, shape)) if shape else "a single number"


class IndexShape(tuple[int, ...]):
    """The row shape of an input that holds indices of the rows of a table: whole numbers from 0 to
    `rows` - 1, or from 0 on where that is not known.
    """

    rows: int | None

    def __new__(cls, shape: Iterable[int], rows: int | None = None) -> Self:
        made = super().__new__(cls, tuple(shape))
        made.rows = rows
        return made
