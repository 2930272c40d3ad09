"""A csv file: its columns, an index of its lines, and its fields as numbers or texts."""

from __future__ import annotations

import csv
from array import array as machine_array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from deepdsl.data.files import DataFile
from deepdsl.data.table import Rows
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data_csv import (
    BrokenLine,
    ColumnMissing,
    DuplicateColumn,
    EmptyField,
    EmptyFile,
    NotANumber,
    NotUtf8,
    RaggedLine,
)
from deepdsl.diagnostics.data_labels import NotFinite

LONGEST = 16 << 20  # bytes of one line, or of one record with quotes
_BLOCK = 2 << 20  # bytes that are parsed at a time
_BOM = b"\xef\xbb\xbf"

Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Record:
    """One example: its text (several lines, where a quoted text has some), its place in the
    file, its line.
    """

    text: str
    start: int
    line: int


@dataclass(frozen=True)
class CsvFile:
    """A csv file with its columns read, ready to be scanned."""

    file: DataFile
    delimiter: str
    columns: tuple[str, ...]
    has_header: bool

    @staticmethod
    def open(file: DataFile, delimiter: str, header: bool) -> CsvFile:
        """Read the line of names, or count the columns of the first line where there is none."""
        with file.open() as stream:
            for record in _records(stream, file):
                columns = _fields(record, delimiter, file)
                if header:
                    columns = [column.strip() for column in columns]
                else:
                    columns = [str(i + 1) for i in range(len(columns))]
                return CsvFile(file, delimiter, tuple(columns), header)
        raise DnnError([EmptyFile(file.span, file.name)])

    def index(self, column: str) -> int:
        """The number of a column, from 0, by its name."""
        found = [i for i, name in enumerate(self.columns) if name == column]
        span, name = self.file.span, self.file.name
        if not found:
            other = next(
                (
                    word
                    for word, mark in (
                        ("semicolon", ";"),
                        ("tab", "\t"),
                        ("comma", ","),
                        ("pipe", "|"),
                    )
                    if len(self.columns) == 1 and mark in self.columns[0]
                ),
                "",
            )
            names = tuple(each for each in self.columns if each)
            raise DnnError([ColumnMissing(span, name, column, names, other)])
        if len(found) > 1:
            raise DnnError([DuplicateColumn(span, name, column, found[0] + 1, found[1] + 1)])
        return found[0]

    def blocks(self) -> Iterator[list[Record]]:
        """All rows, some MB at a time, each with as many fields as there are columns."""
        block: list[Record] = []
        size = 0
        with self.file.open() as stream:
            records = _records(stream, self.file)
            if self.has_header:
                next(records)
            for record in records:
                self._check_width(record)
                block.append(record)
                size += len(record.text)
                if size > _BLOCK:
                    yield block
                    block, size = [], 0
        if block:
            yield block

    def count(self) -> int:
        return sum(len(block) for block in self.blocks())

    def texts(self, records: Sequence[Record], column: int) -> list[str]:
        """One field of each record, without the blanks around it."""
        from_left = column + 1 <= len(self.columns) // 2
        right = len(self.columns) - column
        texts = []
        for record in records:
            if '"' in record.text:
                text = _fields(record, self.delimiter, self.file)[column]
            elif from_left:
                text = record.text.split(self.delimiter, column + 1)[column]
            else:
                parts = record.text.rsplit(self.delimiter, right)
                text = parts[-right]
            text = text.strip()
            if not text:
                raise DnnError(
                    [EmptyField(self.file.span, self.file.name, record.line, self.columns[column])]
                )
            texts.append(text)
        return texts

    def numbers(self, records: Sequence[Record], columns: Sequence[int]) -> Numbers:
        """The fields of some columns as finite float32 numbers, one row for each record."""
        values: Numbers | None = None
        texts = [record.text for record in records]
        if not any('"' in text for text in texts):
            some = None if len(columns) == len(self.columns) else list(columns)
            try:
                values = np.loadtxt(
                    texts,
                    np.float32,
                    comments=None,
                    delimiter=self.delimiter,
                    usecols=some,
                    ndmin=2,
                )
            except (ValueError, OverflowError):
                values = None  # read once more, with care, for the message
        if values is None or values.shape != (len(records), len(columns)):
            values = self._numbers_with_care(records, columns)
        if not np.isfinite(values).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            text = _fields(records[row], self.delimiter, self.file)[columns[column]].strip()
            name = self.columns[columns[column]]
            place = f"{self.file.name}, line {records[row].line}, column `{name}`"
            shown = "NaN" if np.isnan(values[row, column]) else text[:40]
            raise DnnError([NotFinite(self.file.span, shown, place)])
        return values

    def _numbers_with_care(self, records: Sequence[Record], columns: Sequence[int]) -> Numbers:
        rows = [_fields(record, self.delimiter, self.file) for record in records]
        span, name = self.file.span, self.file.name
        values = np.empty((len(rows), len(columns)), np.float64)
        for i, (record, row) in enumerate(zip(records, rows, strict=True)):
            if len(row) != len(self.columns):
                raise DnnError([RaggedLine(span, name, record.line, len(self.columns), len(row))])
            for j, column in enumerate(columns):
                number = _number(row[column])
                if number is not None:
                    values[i, j] = number
                    continue
                text = row[column].strip()
                if not text:
                    raise DnnError([EmptyField(span, name, record.line, self.columns[column])])
                bad = [c for c in columns if _mostly_text(rows, c)]
                others = tuple(self.columns[c] for c in columns if c not in bad)
                raise DnnError(
                    [
                        NotANumber(
                            span,
                            name,
                            record.line,
                            self.columns[column],
                            text,
                            column in bad,
                            others,
                        )
                    ]
                )
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def _check_width(self, record: Record) -> None:
        if '"' in record.text:
            found = len(_fields(record, self.delimiter, self.file))
        else:
            found = record.text.count(self.delimiter) + 1
        if found != len(self.columns):
            file = self.file
            raise DnnError(
                [RaggedLine(file.span, file.name, record.line, len(self.columns), found)]
            )


class CsvIndex:
    """Where the records of a csv file begin, and in which lines."""

    def __init__(self) -> None:
        self._starts = machine_array("q")
        self._lines = machine_array("q")

    def add(self, records: Sequence[Record]) -> None:
        self._starts.extend(record.start for record in records)
        self._lines.extend(record.line for record in records)

    @property
    def starts(self) -> Rows:
        return np.frombuffer(self._starts, np.int64) if self._starts else np.empty(0, np.int64)

    @property
    def lines(self) -> Rows:
        return np.frombuffer(self._lines, np.int64) if self._lines else np.empty(0, np.int64)


def decode(raw: bytes, start: int, line: int, file: DataFile) -> Record:
    """The record that begins at an offset of the file, with the bytes up to where the next
    begins.
    """
    try:
        return Record(raw.decode().rstrip("\r\n"), start, line)
    except UnicodeDecodeError as reason:
        line += raw.count(b"\n", 0, reason.start)
        raise DnnError([NotUtf8(file.span, file.name, line, b"\0" in raw)]) from None


def _records(stream: BinaryIO, file: DataFile) -> Iterator[Record]:
    """The records of a file that are not blank.

    A record goes on over lines while a quote is open.
    """
    offset, line = 0, 1
    if stream.read(3) == _BOM:
        offset = 3
    stream.seek(offset)
    while raw := stream.readline(LONGEST):
        start, first = offset, line
        while raw.count(b'"') % 2 and len(raw) < LONGEST:
            more = stream.readline(LONGEST)
            if not more:
                raise _broken(file, first, "a quote is opened and never closed")
            raw += more
        if len(raw) >= LONGEST:
            raise _broken(file, first, f"it is longer than {LONGEST >> 20} MB")
        offset += len(raw)
        line += raw.count(b"\n")
        if raw.strip(b" \r\n"):
            if start == 0 and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise DnnError([NotUtf8(file.span, file.name, 1, wide=True)])
            yield decode(raw, start, first, file)


def _fields(record: Record, delimiter: str, file: DataFile) -> list[str]:
    try:
        return next(csv.reader([record.text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as reason:
        text = str(reason)
        if "new-line" in text:
            text = "its lines end in a single carriage return"
        raise _broken(file, record.line, text or "it has no fields") from None


def _broken(file: DataFile, line: int, problem: str) -> DnnError:
    return DnnError([BrokenLine(file.span, file.name, line, problem)])


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
