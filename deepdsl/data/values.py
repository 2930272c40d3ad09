"""Checks of arrays that feed inputs and targets: type, shape, finite numbers, labels in range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepdsl.data.request import Shape, TargetSpec
from deepdsl.data.table import Array, ArrayField, Field, Origin, check_finite
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.arrays import ArrayType
from deepdsl.diagnostics.data.inputs import RowShape
from deepdsl.diagnostics.data.labels import (
    LabelNotWhole,
    LabelOutOfRange,
    NonFiniteData,
    TooManyClasses,
    UnknownClass,
)

_KINDS = {
    "c": "complex numbers", "S": "bytes", "U": "texts", "V": "records", "M": "dates", "m": "times",
    "O": "Python objects",
}  # fmt: skip
_CHUNK = 1 << 22  # numbers that are checked at a time
_SMALL = 1 << 23  # labels up to this many are kept in memory as int64


def input_field(
    array: Array,
    name: str,
    shape: Shape | None,
    origin: Origin,
    on_disk: bool = False,
    is_input: bool = True,
    classes: int | None = None,
) -> Field:
    """An array of numbers as a field of rows of this shape."""
    if array.dtype.kind not in "buif" or array.ndim == 0:
        found = "a single number" if array.ndim == 0 else _KINDS.get(array.dtype.kind, "no numbers")
        raise DnnError([ArrayType(origin.span, origin.name, found, name)])
    shape = fit_shape(array.shape[1:], shape, name, origin, is_input, classes=classes)
    floats = array.dtype.kind == "f"
    if on_disk:
        return ArrayField(array, shape, origin, check=floats)
    dtype = np.dtype(np.float32) if array.dtype.itemsize > 4 and floats else array.dtype
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype.newbyteorder("="))
    if floats:
        for start, part in _chunks(array):
            check_finite(part, origin, np.arange(start, start + len(part)))
    return ArrayField(array, shape, origin)


def fit_shape(
    found: Shape,
    wanted: Shape | None,
    name: str,
    origin: Origin,
    is_input: bool = True,
    flat: bool = False,
    classes: int | None = None,
) -> Shape:
    """The shape that is wanted, if the data has it.

    Dimensions of size 1 may come or go; `flat` rows fit every shape of as many numbers. `classes`
    says that the target is the probabilities of this many.
    """
    if wanted is None:
        return found
    same = [n for n in found if n != 1] == [n for n in wanted if n != 1]
    if same or (flat and found[0] == int(np.prod(wanted, dtype=object))):
        return wanted
    raise DnnError(
        [RowShape(origin.span, name, is_input, wanted, found, origin.name, flat, classes)]
    )


def target_field(
    array: Array,
    name: str,
    spec: TargetSpec,
    origin: Origin,
    classes: tuple[str, ...] | None = None,
    on_disk: bool = False,
) -> tuple[Field, tuple[str, ...] | None]:
    """An array as the field of a target, and the names of its classes where it holds texts."""
    if array.dtype.kind == "U" and array.ndim:
        distinct, codes = np.unique(array, return_inverse=True)
        texts = [str(text) for text in distinct]
        return text_field(codes.reshape(array.shape), texts, name, spec, origin, classes)
    whole = array.dtype.kind in "bui"
    if array.dtype.kind not in "buif" or spec.kind == "value" or (spec.kind == "any" and not whole):
        field = input_field(array, name, spec.shape, origin, on_disk, False, spec.classes)
        return field, None
    if array.ndim == 0:
        raise DnnError([ArrayType(origin.span, origin.name, "a single number", name)])
    shape = fit_shape(array.shape[1:], spec.shape, name, origin, is_input=False)
    if not whole:
        _check_whole(array, origin)
    limit = 2 if spec.kind == "binary" else spec.classes
    if limit is not None:
        _check_range(array, limit, spec.kind == "binary", origin)
    if not on_disk or array.size <= _SMALL:
        array = np.ascontiguousarray(array, np.int64)
    return ArrayField(array, shape, origin), None


def text_field(
    codes: Array,
    texts: Sequence[str],
    name: str,
    spec: TargetSpec,
    origin: Origin,
    classes: tuple[str, ...] | None = None,
) -> tuple[Field, tuple[str, ...] | None]:
    """A target given by texts: `codes` say which of the distinct texts each row has.

    Texts that are all numbers are taken as numbers, unless train named its classes.
    """
    if classes is None and (numbers := _numbers(texts)) is not None:
        return target_field(numbers[codes], name, spec, origin)
    if spec.kind == "value":
        raise DnnError([ArrayType(origin.span, origin.name, "texts", name)])
    if classes is None:
        classes = tuple(sorted(texts))
        limit = 2 if spec.kind == "binary" else spec.classes
        if limit is not None and len(classes) > limit:
            raise DnnError([TooManyClasses(origin.span, len(classes), limit, classes)])
    number = {text: i for i, text in enumerate(classes)}
    for code, text in enumerate(texts):
        if text not in number:
            row = int(np.argwhere(codes == code)[0][0])
            raise DnnError([UnknownClass(origin.span, text, origin.place(row), classes)])
    mapped = np.array([number[text] for text in texts], np.int64)[codes]
    field, _ = target_field(mapped, name, spec, origin)
    return field, classes


def _numbers(texts: Sequence[str]) -> Array | None:
    """The texts as numbers, whole ones where all are whole; None where one is not a number."""
    if not all(text.isascii() and "_" not in text for text in texts):
        return None
    try:
        return np.array([int(text) for text in texts], np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([float(text) for text in texts], np.float64)
    except ValueError:
        return None


def _chunks(array: Array) -> list[tuple[int, Array]]:
    rows = max(1, _CHUNK // max(1, array[:1].size))
    return [(start, array[start : start + rows]) for start in range(0, len(array), rows)]


def _check_whole(array: Array, origin: Origin) -> None:
    for start, part in _chunks(array):
        whole = (np.abs(part) < 2.0**53) & (np.rint(part) == part)
        if whole.all():
            continue
        first, *index = (int(i) for i in np.argwhere(~whole)[0])
        value, place = float(part[(first, *index)]), origin.place(start + first, index)
        if np.isfinite(value):
            raise DnnError([LabelNotWhole(origin.span, f"{value:.6g}", place)])
        raise DnnError(
            [NonFiniteData(origin.span, "NaN" if np.isnan(value) else "infinity", place)]
        )


def _check_range(array: Array, limit: int, binary: bool, origin: Origin) -> None:
    parts = [(start, part) for start, part in _chunks(array) if part.size]
    if not parts:
        return
    smallest = int(min(part.min() for _, part in parts))
    largest = int(max(part.max() for _, part in parts))
    if smallest >= 0 and largest < limit:
        return
    for start, part in parts:
        wrong = (part < 0) | (part >= limit)
        if wrong.any():
            first, *index = (int(i) for i in np.argwhere(wrong)[0])
            value, place = int(part[(first, *index)]), origin.place(start + first, index)
            raise DnnError(
                [LabelOutOfRange(origin.span, value, place, limit, largest, smallest, binary)]
            )
