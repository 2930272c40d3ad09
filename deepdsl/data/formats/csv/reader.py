"""Opening csv files: one pass checks every field, and a large file is then read by its index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deepdsl.data import files
from deepdsl.data.bind_inputs import bind_inputs
from deepdsl.data.files import find_file
from deepdsl.data.formats.csv import DELIMITERS, Csv
from deepdsl.data.formats.csv.lines import CsvBlock, decode
from deepdsl.data.formats.csv.table_text import CsvFile, Numbers
from deepdsl.data.request import OpenRequest, Shape, TargetSpec
from deepdsl.data.table import Array, ArrayField, Field, Origin, Rows, Table, build_table
from deepdsl.data.values import fit_shape, text_field
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.csv import FileChanged, NoRows, UnnamedColumn
from deepdsl.diagnostics.data.labels import TooManyClasses

MOST_CLASSES = 100_000  # distinct texts of a target, after which it is none


class CsvField:
    """Columns of a csv file that stays on the disk; each batch is parsed when it is read."""

    def __init__(
        self, source: CsvFile, columns: tuple[int, ...], shape: Shape, origin: Origin, starts: Rows
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(np.float32)
        self.origin = origin
        self.slow = True
        self._source = source
        self._columns = columns
        self.columns = origin.columns
        self._bytes = source.file.map(np.dtype(np.uint8), (source.file.size,), 0, False)
        self._starts = starts  # one more than there are rows

    def __len__(self) -> int:
        return len(self._starts) - 1

    def read(self, rows: Rows, out: Array) -> None:
        file = self._source.file
        try:
            values = self._parse(rows)
        except DnnError:
            # Every field was a number when the file was opened.
            changed = next((row for row in rows if not self._parses(row)), rows[0])
            assert self.origin.lines is not None
            line = int(self.origin.lines[changed])
            raise DnnError([FileChanged(file.span, file.name, line)]) from None
        out.reshape(values.shape)[...] = values

    def place(self, row: int) -> str:
        return self.origin.place(row)

    def _parse(self, rows: Rows) -> Numbers:
        assert self.origin.lines is not None
        file = self._source.file
        starts, lines = self._starts[rows], self.origin.lines[rows]
        texts = [
            decode(self._bytes[start:end].tobytes(), line, file).rstrip("\r\n")
            for start, end, line in zip(starts, self._starts[rows + 1], lines.tolist(), strict=True)
        ]
        block = CsvBlock(texts, starts, lines, any('"' in text for text in texts))
        return self._source.numbers(block, self._columns)

    def _parses(self, row: int) -> bool:
        try:
            self._parse(np.array([row]))
        except DnnError:
            return False
        return True


def open_table(source: Csv, request: OpenRequest) -> Table:
    """The rows of a csv file, after one pass over all of it."""
    opened, columns = _open(source, request)
    file = opened.file
    budget = max(files.IN_MEMORY, files.memory_budget())
    keep, kept = True, 0
    shapes = {
        name: _shape(name, opened, columns[name], shape, request)
        for name, shape in (
            *request.inputs.items(),
            *((name, spec.shape) for name, spec in request.targets.items()),
        )
    }
    labels = {
        name: _Labels(columns[name][0], spec)
        for name, spec in request.targets.items()
        if spec.kind != "value" and len(columns[name]) == 1
    }
    numbers: dict[str, list[Numbers]] = {name: [] for name in columns if name not in labels}
    starts: list[Rows] = []
    line_numbers: list[Rows] = []
    for block in opened.blocks():
        starts.append(block.starts)
        line_numbers.append(block.lines)
        for name, parts in numbers.items():
            values = opened.numbers(block, columns[name])
            if keep:
                parts.append(values)
                kept += values.nbytes
        if keep and kept > budget:
            # Too many for the memory: each batch is then parsed again when it is read.
            keep = False
            for parts in numbers.values():
                parts.clear()
        for label in labels.values():
            label.add(opened.texts(block, label.column), request)
    if not starts:
        raise DnnError([NoRows(file.span, f'"{file.name}"')])
    lines = np.concatenate(line_numbers)
    offsets = np.append(np.concatenate(starts), file.size)
    origins = {
        name: Origin(file.name, file.span, lines, tuple(opened.columns[c] for c in columns[name]))
        for name in columns
    }
    fields: dict[str, Field] = {}
    for name, parts in numbers.items():
        if keep:
            fields[name] = ArrayField(np.concatenate(parts), shapes[name], origins[name])
        else:
            chosen = columns[name]
            fields[name] = CsvField(opened, chosen, shapes[name], origins[name], offsets)
    classes: tuple[str, ...] | None = None
    for name, label in labels.items():
        fields[name], found = label.field(name, origins[name], request)
        classes = classes or found
    inputs = {name: fields[name] for name in request.inputs}
    targets = {name: fields[name] for name in request.targets}
    return build_table(inputs, targets, origins, classes, classes is not None)


def count_rows(source: Csv, request: OpenRequest) -> int:
    """The number of rows, by a pass that parts lines and reads no field."""
    delimiter = DELIMITERS[source.delimiter]
    return CsvFile.open(find_file(source.file, request), delimiter, source.header).count()


@dataclass
class _Labels:
    """The texts of one target column, as numbers of distinct texts."""

    column: int
    spec: TargetSpec
    codes: list[Any] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)

    def add(self, texts: list[str], request: OpenRequest) -> None:
        known = self.known
        self.codes.append(np.array([known.setdefault(t, len(known)) for t in texts], np.int64))
        if self.spec.classes is not None and len(known) > MOST_CLASSES + self.spec.classes:
            examples = tuple(known)[:10]
            raise DnnError(
                [TooManyClasses(request.span, len(known), self.spec.classes, examples, more=True)]
            )

    def field(
        self, name: str, origin: Origin, request: OpenRequest
    ) -> tuple[Field, tuple[str, ...] | None]:
        codes = np.concatenate(self.codes)
        return text_field(codes, list(self.known), name, self.spec, origin, request.classes)


def _open(source: Csv, request: OpenRequest) -> tuple[CsvFile, Mapping[str, tuple[int, ...]]]:
    """The file, and which columns feed each input and target."""
    delimiter = DELIMITERS[source.delimiter]
    opened = CsvFile.open(find_file(source.file, request), delimiter, source.header)
    everything = ("*",)
    first = source.columns or everything
    given_first = source.columns is not None
    given = bind_inputs(request, source.feeds, first, source.target, "[COLUMN]", given_first)
    # A target that is not wanted here must not slip into the input either.
    used = {opened.index(column) for column in source.target or ()}
    chosen: dict[str, tuple[int, ...]] = {}
    for name, columns in given.items():
        if columns is not everything:
            chosen[name] = tuple(opened.index(column) for column in columns)
            used.update(chosen[name])
    for name, columns in given.items():
        if columns is everything:
            # A table beside train's may have its columns in another order: the names decide.
            trained = request.columns.get(name) if source.header else None
            names = tuple(opened.index(column) for column in trained or ())
            chosen[name] = names or _others(opened, used)
    return opened, chosen


def _others(opened: CsvFile, used: set[int]) -> tuple[int, ...]:
    rest = tuple(i for i in range(len(opened.columns)) if i not in used)
    file = opened.file
    for i in rest:
        if not opened.columns[i]:
            others = tuple(opened.columns[j] for j in rest if opened.columns[j])
            raise DnnError([UnnamedColumn(file.span, file.name, i + 1, others)])
        opened.index(opened.columns[i])  # a name that is twice
    return rest


def _shape(
    name: str, opened: CsvFile, columns: tuple[int, ...], shape: Shape | None, request: OpenRequest
) -> Shape:
    found = (len(columns),)
    origin = Origin(f'"{opened.file.name}"', opened.file.span)
    classes = request.targets[name].classes if name in request.targets else None
    return fit_shape(found, shape, name, origin, name in request.inputs, True, classes)
