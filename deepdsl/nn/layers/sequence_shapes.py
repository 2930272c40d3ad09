"""What layers of sequences have in common: the shapes that they take, and a matrix applied to each
position.
"""

from __future__ import annotations

from deepdsl.graph import Builder, ShapeError, Type, Value, by_times
from deepdsl.graph.gemm import Gemm
from deepdsl.graph.reshaping import Reshape


def needs_sequence(name: str, x: Type, help: str = "") -> tuple[int, int]:
    """The positions and features of a sequence, or ShapeError."""
    if x.rank != 3:
        label = f"it was given {by_times(x.shape[1:])}"
        raise ShapeError(f"`{name}` takes a sequence, positions × features", label, help)
    _, positions, features = x.shape
    assert isinstance(positions, int)
    assert isinstance(features, int)
    return positions, features


def rows_of(x: Type) -> str:
    """The symbol of as many rows as all axes but the last have together."""
    return "*".join(map(str, x.shape[:-1]))


def flattened(b: Builder, x: Value) -> Value:
    """All axes but the last as one: the rows of a matrix."""
    return x if x.type.rank == 2 else b.add(Reshape((rows_of(x.type), x.type.shape[-1])), x)


def at_each_position(
    b: Builder, x: Value, weight: Value, *bias: Value, transposed: bool = False
) -> Value:
    """`x @ weight [+ bias]` along the last axis: one product for all positions of all rows."""
    made = b.add(Gemm(transpose_b=transposed), flattened(b, x), weight, *bias)
    shape = (*x.type.shape[:-1], made.type.shape[-1])
    return made if made.type.shape == shape else b.add(Reshape(shape), made)
