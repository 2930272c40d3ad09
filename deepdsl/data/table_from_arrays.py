"""Arrays of a Python program as a table, with the checks that files get."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deepdsl.data.array_table import Loaded, table_of
from deepdsl.data.bind_inputs import bind_inputs
from deepdsl.data.indices import check_indices
from deepdsl.data.request import OpenRequest, Shape, TargetSpec
from deepdsl.data.table import Array, Origin, Table
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.arrays import ArrayType

Given = ArrayLike | Mapping[str, ArrayLike]


def from_arrays(
    x: Given,
    y: Given | None = None,
    *,
    inputs: Mapping[str, Shape | None] | None = None,
    targets: Mapping[str, TargetSpec] | None = None,
    classes: tuple[str, ...] | None = None,
) -> Table:
    """A table of arrays whose first dimension counts the rows.

    `x` is an array for a model of one input, or arrays by the name of the input; `y` likewise.
    `inputs` says which row shape each input has, `targets` what the loss wants; left out, they
    are as the arrays are. Arrays of at most 32 bits are not copied. Errors: DnnError with the
    diagnostics of a data section.
    """
    xs = _by_name(x, "x", inputs)
    ys = {} if y is None else _by_name(y, "y", targets)
    if targets is None:
        targets = {name: TargetSpec("any", shape=None) for name in ys}
    if inputs is None:
        inputs = dict.fromkeys(xs, None)
    request = OpenRequest(Path(), inputs, targets, classes=classes)
    given = bind_inputs(request, tuple((xs | ys).items()), None, None, "ARRAY")
    arrays: dict[str, Loaded] = {}
    for name, values in given.items():
        array = _as_array(values, name)
        arrays[name] = (array, isinstance(values, np.memmap), Origin(f"`{name}`"))
    table = table_of(arrays, request)
    check_indices(table, inputs)
    return table


def _by_name(given: Given, fallback: str, expected: Mapping[str, Any] | None) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    name = next(iter(expected)) if expected else fallback
    return {name: given}


def _as_array(values: ArrayLike, name: str) -> Array:
    try:
        array: Array = np.asarray(values)
        if array.dtype.kind == "O":  # a column of texts, as pandas keeps it
            array = np.asarray(array.tolist())
    except (ValueError, TypeError, OverflowError):
        found = "rows of different lengths"
        raise DnnError([ArrayType(None, f"`{name}`", found, name)]) from None
    return array
