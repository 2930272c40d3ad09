"""Indices among the inputs: every one must be a row of the table that it is looked up in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deepdsl.core.source import Span
from deepdsl.data.request import Shape
from deepdsl.data.table import Array, Field, Origin, Table
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.sequences import IndexOutOfRange
from deepdsl.graph.types import IndexShape

_CHUNK = 1 << 20  # numbers that are checked at a time


def check_indices(table: Table, inputs: Mapping[str, Shape | None], trained: bool = False) -> None:
    """BadIndex for the first number that is not an index, in an input that holds indices.

    A runtime would stop in the middle of a training, with the number and without its place.  The
    table of a model that is `trained` is as it is.
    """
    for name, shape in inputs.items():
        field = table.inputs.get(name)
        if isinstance(shape, IndexShape) and field is not None and not _is_sound(field, shape):
            _check(field, name, shape.rows, trained)


def _is_sound(field: Field, shape: IndexShape) -> bool:
    """Whether the field was made of indices below the count."""
    below = getattr(field, "below", None)
    return below is not None and (shape.rows is None or below <= shape.rows)


def _check(field: Field, name: str, count: int | None, trained: bool) -> None:
    size = max(1, _CHUNK // max(1, int(np.prod(field.shape))))
    first: tuple[int, Array, Array] | None = None
    largest: int | None = None
    for start in range(0, len(field), size):
        rows = np.arange(start, min(start + size, len(field)))
        # Whole numbers up to 2^53 are exact; no table is larger.
        values = np.empty((len(rows), *field.shape), np.float64)
        field.read(rows, values)
        wrong = (values != np.rint(values)) | (values < 0) | (values >= 2.0**53)
        if (~wrong).any():
            largest = max(largest or 0, int(values[~wrong].max()))
        if count is not None:
            wrong |= values >= count
        if first is None and wrong.any():
            first = start, values, wrong
    if first is None:
        return
    start, values, wrong = first
    row, *index = (int(i) for i in np.argwhere(wrong)[0])
    value = f"{values[(row, *index)]:.10g}"
    origin = getattr(field, "origin", None)
    span: Span | None = None
    place = field.place(start + row)
    if isinstance(origin, Origin):
        span, place = origin.span, origin.place(start + row, index)
    raise DnnError([IndexOutOfRange(span, value, place, name, count, None if trained else largest)])
