"""A csv file: its columns, and its fields as numbers or texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deepdsl.core.record import record
from deepdsl.data.files import DataFile
from deepdsl.data.formats.csv.lines import CsvBlock, read_blocks, split_record
from deepdsl.data.source import look_alike
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.csv import (
    ColumnMissing,
    DuplicateColumn,
    EmptyField,
    EmptyFile,
    NotANumber,
    NotUtf8,
    RaggedLine,
)
from deepdsl.diagnostics.data.labels import NonFiniteData

_MARKS = (("semicolon", ";"), ("tab", "\t"), ("comma", ","), ("pipe", "|"))

Numbers = NDArray[np.float32]


@record
class CsvFile:
    """A csv file with its columns read, ready to be scanned."""

    file: DataFile
    delimiter: str
    columns: tuple[str, ...]
    has_header: bool

    @staticmethod
    def open(file: DataFile, delimiter: str, header: bool) -> CsvFile:
        """Read the line of names, or count the columns of the first line where there is none."""
        start = file.beginning()
        other = "gzip" if start[:2] == b"\x1f\x8b" else look_alike(start, besides="csv")
        if other:
            raise DnnError([NotUtf8(file.span, file.name, 1, False, other)])
        with file.open() as stream:
            for block in read_blocks(stream, file):
                fields = split_record(block.texts[0], int(block.lines[0]), delimiter, file)
                names = [field.strip() if header else str(i) for i, field in enumerate(fields, 1)]
                return CsvFile(file, delimiter, tuple(names), header)
        raise DnnError([EmptyFile(file.span, file.name)])

    def index(self, column: str) -> int:
        """The number of a column, from 0, by its name."""
        found = [i for i, name in enumerate(self.columns) if name == column]
        span, name = self.file.span, self.file.name
        if len(found) == 1:
            return found[0]
        if found:
            raise DnnError([DuplicateColumn(span, name, column, found[0] + 1, found[1] + 1)])
        alone = self.columns[0] if len(self.columns) == 1 else ""
        other = next((word for word, mark in _MARKS if mark in alone), "")
        names = tuple(each for each in self.columns if each)
        raise DnnError([ColumnMissing(span, name, column, names, other, self.has_header)])

    def blocks(self) -> Iterator[CsvBlock]:
        """All rows, some MB at a time, each with as many fields as there are columns."""
        skip = self.has_header
        with self.file.open() as stream:
            for block in read_blocks(stream, self.file):
                rows = block.without_first() if skip else block
                skip = False
                self._check_widths(rows)
                if rows.texts:
                    yield rows

    def count(self) -> int:
        return sum(len(block.texts) for block in self.blocks())

    def texts(self, block: CsvBlock, column: int) -> list[str]:
        """One field of each record, without the blanks around it."""
        mark, width = self.delimiter, len(self.columns)
        if block.quoted:
            found = [self._fields(block, row)[column] for row in range(len(block.texts))]
        elif column < width // 2:
            found = [text.split(mark, column + 1)[column] for text in block.texts]
        else:
            right = width - column
            found = [text.rsplit(mark, right)[-right] for text in block.texts]
        found = [text.strip() for text in found]
        if "" in found:
            line = int(block.lines[found.index("")])
            raise DnnError([EmptyField(self.file.span, self.file.name, line, self.columns[column])])
        return found

    def numbers(self, block: CsvBlock, columns: Sequence[int]) -> Numbers:
        """The fields of some columns as finite float32 numbers, one row for each record."""
        values: Numbers | None = None
        if not block.quoted:
            # All of them in their order need no choosing; `[b a]` of `a,b` does.
            in_order = list(columns) == list(range(len(self.columns)))
            some = None if in_order else list(columns)
            try:
                values = np.loadtxt(
                    block.texts,
                    np.float32,
                    comments=None,
                    delimiter=self.delimiter,
                    usecols=some,
                    ndmin=2,
                )
            except (ValueError, OverflowError):
                values = None  # read once more, with care, for the message
        if values is None or values.shape != (len(block.texts), len(columns)):
            values = self._numbers_with_care(block, columns)
        if np.isfinite(values).all():
            return values
        row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        text = self._fields(block, row)[columns[column]].strip()
        name = self.columns[columns[column]]
        place = f"{self.file.name}, line {block.lines[row]}, column `{name}`"
        shown = "NaN" if np.isnan(values[row, column]) else text[:40]
        raise DnnError([NonFiniteData(self.file.span, shown, place)])

    def _numbers_with_care(self, block: CsvBlock, columns: Sequence[int]) -> Numbers:
        rows = [self._fields(block, row) for row in range(len(block.texts))]
        span, name = self.file.span, self.file.name
        values = np.empty((len(rows), len(columns)), np.float64)
        for i, row in enumerate(rows):
            line = int(block.lines[i])
            if len(row) != len(self.columns):
                raise DnnError([RaggedLine(span, name, line, len(self.columns), len(row))])
            for j, column in enumerate(columns):
                number = _number(row[column])
                if number is not None:
                    values[i, j] = number
                    continue
                text, title = row[column].strip(), self.columns[column]
                if not text:
                    raise DnnError([EmptyField(span, name, line, title)])
                bad = [c for c in columns if _mostly_text(rows, c)]
                others = tuple(self.columns[c] for c in columns if c not in bad)
                mostly = column in bad
                raise DnnError([NotANumber(span, name, line, title, text, mostly, others)])
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def _fields(self, block: CsvBlock, row: int) -> list[str]:
        return split_record(block.texts[row], int(block.lines[row]), self.delimiter, self.file)

    def _check_widths(self, block: CsvBlock) -> None:
        if block.quoted:
            widths = [len(self._fields(block, row)) for row in range(len(block.texts))]
        else:
            mark = self.delimiter
            widths = [text.count(mark) + 1 for text in block.texts]
        wanted = len(self.columns)
        if widths.count(wanted) == len(widths):
            return
        for width, line in zip(widths, block.lines.tolist(), strict=True):
            if width != wanted:
                file = self.file
                raise DnnError([RaggedLine(file.span, file.name, line, wanted, width)])


def _number(text: str) -> float | None:
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _mostly_text(rows: Sequence[Sequence[str]], column: int) -> bool:
    some = [row[column].strip() for row in rows[:1000] if column < len(row)]
    return 2 * sum(bool(text) and _number(text) is None for text in some) > len(some)
