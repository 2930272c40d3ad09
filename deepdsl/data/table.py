"""Rows of examples: fields that gather rows into buffers, tables of fields, views of some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.data.request import Shape
from deepdsl.diagnostics.base import Diagnostic, DnnError
from deepdsl.diagnostics.data.csv import NoRows
from deepdsl.diagnostics.data.inputs import LengthsDiffer
from deepdsl.diagnostics.data.labels import NonFiniteData

Array = NDArray[Any]
Rows = NDArray[np.int64]


@record(eq=False)
class Origin:
    """What messages say of a place in the data: the file (or array), the row, the column."""

    name: str
    span: Span | None = None
    lines: Rows | None = None  # the line of each row, for text files
    columns: tuple[str, ...] = ()

    def place(self, row: int, index: Sequence[int] = ()) -> str:
        """`x.npy, row 17, column 3 (counted from 0)`, or the line of a text file as an editor
        shows it.
        """
        if self.lines is not None:
            column = f", column `{self.columns[index[0]]}`" if index and self.columns else ""
            return f"{self.name}, line {self.lines[row]}{column}"
        column = f", column {', '.join(map(str, index))}" if index else ""
        return f"{self.name}, row {row}{column} (counted from 0)"


class Field(Protocol):
    """One value of every row: the image, the label."""

    @property
    def shape(self) -> Shape:
        """The shape of one row."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """How the values are stored; `read` casts."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its numbers, where the data has names for them."""

    def __len__(self) -> int: ...

    def read(self, rows: Rows, out: Array) -> None:
        """Gather rows into a C-contiguous buffer with as many numbers as the rows have."""

    def place(self, row: int) -> str:
        """Where a row is, for messages."""


class ArrayField:
    """Rows of an array in memory or of a file mapped into it.

    With `check` each batch is searched for NaN.
    """

    def __init__(self, array: Array, shape: Shape, origin: Origin, check: bool = False) -> None:
        self._array = array
        self.shape = shape
        self.origin = origin
        self._check = check
        # `take` is the fastest gather, but copies an array whole that is not laid out in rows.
        self._in_rows = array.flags.c_contiguous and array.flags.aligned

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    @property
    def columns(self) -> tuple[str, ...]:
        return self.origin.columns

    def __len__(self) -> int:
        return len(self._array)

    def read(self, rows: Rows, out: Array) -> None:
        if not out.flags.c_contiguous:
            raise ValueError("the buffer is not C-contiguous")
        array = self._array
        rows_out = out.reshape(len(rows), *array.shape[1:])
        if self._in_rows and array.dtype == out.dtype:
            array.take(rows, axis=0, out=rows_out, mode="clip")  # "clip" spares a copy of `out`
        elif self._in_rows and not self._check:
            rows_out[...] = array.take(rows, axis=0, mode="clip")
        else:
            with np.errstate(over="ignore"):
                rows_out[...] = array[rows]
        if self._check:
            check_finite(rows_out, self.origin, rows)

    def place(self, row: int) -> str:
        return self.origin.place(row)


class OneHotField:
    """Class numbers as rows of zeros with a one."""

    columns: tuple[str, ...] = ()

    def __init__(self, labels: Field, classes: int) -> None:
        self.labels = labels
        self.shape = (*labels.shape, classes)
        self.dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, rows: Rows, out: Array) -> None:
        labels = np.empty((len(rows), *self.labels.shape), np.int64)
        self.labels.read(rows, labels)
        flat = out.reshape(-1, self.shape[-1])
        flat[...] = 0
        flat[np.arange(len(flat)), labels.reshape(-1)] = 1

    def place(self, row: int) -> str:
        return self.labels.place(row)


def check_finite(values: Array, origin: Origin, rows: Rows | None = None) -> None:
    """NotFinite for the first NaN or infinity in a batch of these rows of the data."""
    with np.errstate(all="ignore"):
        if np.isfinite(
            values.sum(dtype=values.dtype)
        ):  # one pass without a temporary, when all is well
            return
    finite = np.isfinite(values)
    if finite.all():
        return
    first, *index = (int(i) for i in np.argwhere(~finite)[0])
    row = first if rows is None else int(rows[first])
    value = values[(first, *index)]
    text = "NaN" if np.isnan(value) else "a value that is infinite or too large for 32 bits"
    raise DnnError([NonFiniteData(origin.span, text, origin.place(row, index))])


@record(eq=False)
class Table:
    """All rows of one source.

    `classes` are the names of the class numbers, where the data gives names.
    """

    rows: int
    inputs: Mapping[str, Field]
    targets: Mapping[str, Field]
    classes: tuple[str, ...] | None = None
    classes_from_texts: bool = (
        False  # the names were found in these rows, so that others may have others
    )
    warnings: tuple[Diagnostic, ...] = ()
    shared: int = 0  # how many rows before a row have something in common with it

    def field(self, name: str) -> Field:
        return self.inputs[name] if name in self.inputs else self.targets[name]


def build_table(
    inputs: Mapping[str, Field],
    targets: Mapping[str, Field],
    origins: Mapping[str, Origin],
    classes: tuple[str, ...] | None = None,
    classes_from_texts: bool = False,
) -> Table:
    """A table of fields that have equally many rows, at least one."""
    fields = {**inputs, **targets}
    first = next(iter(fields))
    rows = len(fields[first])
    for name, field in fields.items():
        if len(field) != rows:
            a, b = origins[first], origins[name]
            raise DnnError([LengthsDiffer(b.span, a.name, rows, b.name, len(field))])
    if rows == 0:
        raise DnnError([NoRows(origins[first].span, origins[first].name)])
    return Table(rows, inputs, targets, classes, classes_from_texts)


class View:
    """Some rows of a table, in a fixed order."""

    #: How many rows are evaluated at a time, where their size is not what decides it.
    together: int | None = None

    def __init__(self, table: Table, rows: Rows) -> None:
        self.table = table
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def classes(self) -> tuple[str, ...] | None:
        return self.table.classes

    @property
    def slow(self) -> bool:
        """Whether reading takes long enough to be done ahead of a step: what stays on the disk or
        is decoded, and what is changed in each epoch.
        """
        fields = (*self.table.inputs.values(), *self.table.targets.values())
        return any(getattr(field, "slow", False) for field in fields)

    def read(self, positions: Rows, buffers: Mapping[str, Array], epoch: int | None = None) -> None:
        """Fill a buffer for each input or target that is named, with the rows at these
        positions: as they are, or for training as they are in an epoch, counted from 0.
        """
        rows = self.rows[positions]
        for name, out in buffers.items():
            self.table.field(name).read(rows, out)

    def labels(self, target: str | None = None) -> Rows:
        """The class numbers of all rows."""
        field = self.table.targets[target or next(iter(self.table.targets))]
        labels = np.empty((len(self.rows), *field.shape), np.int64)
        field.read(self.rows, labels)
        return labels

    def place(self, position: int) -> str:
        """Where the row at a position is, for messages."""
        return next(iter(self.table.inputs.values())).place(int(self.rows[position]))
