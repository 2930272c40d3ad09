"""Sizes that depend on the batch, calculated with as plain numbers.

While a graph is looked at, its batch has the size `ROWS`, a large prime: a size that is a multiple
of it is this many rows, and any other number has nothing to do with the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from deepdsl.graph import Dim, Shape

ROWS = 999_983
# A number of this size that is no multiple was calculated from the batch in another way.
_STRANGE = ROWS // 4


def is_rows(size: int) -> bool:
    return size != 0 and size % ROWS == 0


def is_strange(size: int) -> bool:
    return abs(size) >= _STRANGE and not is_rows(size)


def dim(size: int, batch: str = "N") -> Dim:
    """A size as types write it: `N`, `N*20`, or a number."""
    if not is_rows(size):
        return size
    times = size // ROWS
    return batch if times == 1 else f"{batch}*{times}"


def typed(sizes: Sequence[int]) -> Shape:
    return tuple(dim(size) for size in sizes)


def sized(shape: Shape) -> tuple[int, ...]:
    """The numbers of a type's shape; the inverse of `typed`."""
    return tuple(d if isinstance(d, int) else ROWS * _times(d) for d in shape)


def _times(dim: str) -> int:
    return prod(int(n) for n in dim.split("*")[1:])


def in_front(given: Sequence[int], inside: int, made: Sequence[int]) -> int | None:
    """How many numbers of the axis with the rows are before them, once a value was reshaped
    where `inside` were before; None where the rows would be torn apart.
    """
    (axis,) = (i for i, n in enumerate(given) if is_rows(n))
    (place,) = (i for i, n in enumerate(made) if is_rows(n))
    before, front = prod(given[:axis]) * inside, prod(made[:place])
    left = before // front
    return left if before % front == 0 and made[place] // ROWS % left == 0 else None


def reshaped(
    given: Sequence[int], target: Sequence[int], batch: int | None, zero: bool, inside: int = 1
) -> tuple[int, ...] | None:
    """The shape that a Reshape makes; None where there is none.

    `batch` is the one that the file was made with, if it has a fixed one: sizes of it that are
    where the batch is are the batch.  With `zero` a 0 is a size, and else a copy of the given one.
    In the axis of the rows `inside` numbers are before them.
    """
    sizes = list(target)
    if not zero:
        sizes = [given[i] if n == 0 and i < len(given) else n for i, n in enumerate(sizes)]
    total = prod(given)
    if is_rows(total) and not any(is_rows(n) for n in sizes if n > 0):
        sizes = _with_batch(given, sizes, batch, inside)
    if sizes.count(-1) > 1 or any(n < -1 for n in sizes):
        return None
    if -1 in sizes:
        known = prod(n for n in sizes if n != -1)
        if not known or total % known:
            return None
        sizes[sizes.index(-1)] = total // known
    return tuple(sizes) if prod(sizes) == total else None


def _with_batch(
    given: Sequence[int], sizes: list[int], fixed: int | None, inside: int
) -> list[int]:
    """The target with the batch put where a number was for it."""
    batch = fixed or 1
    each = prod(given) // ROWS
    axis = next(i for i, n in enumerate(given) if is_rows(n))
    before = prod(given[:axis]) * inside
    if -1 in sizes:
        at = sizes.index(-1)
        known = prod(n for n in sizes if n != -1)
        front = prod(sizes[:at])
        # `-1` is the batch, or holds it, but where the batch of the file is at its place.
        if at == 0 or fixed is None or before != 1 or sizes[0] != batch:
            return sizes
        if known and each * batch % known == 0 and front:
            return [ROWS, *sizes[1:]]
        return sizes
    if prod(sizes) != each * batch:
        return sizes
    passed = 1
    for i, size in enumerate(sizes):
        if batch == 1 != size and passed == before != 1 and len(sizes) - i < len(given) - axis:
            # Joined with the axis before it, since nothing after was split.
            return [*sizes[: i - 1], sizes[i - 1] * ROWS, *sizes[i:]]
        if passed * size > before or (passed == before and size == batch):
            if size % batch == 0:
                return [*sizes[:i], size // batch * ROWS, *sizes[i + 1 :]]
            return sizes
        passed *= size
    return sizes
