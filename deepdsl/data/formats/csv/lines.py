"""The records of a csv file, some MB at a time, each with its line and its place in the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from deepdsl.core.record import record
from deepdsl.data.files import DataFile
from deepdsl.data.table import Rows
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.csv import BrokenLine, NotUtf8

LONGEST = 16 << 20  # bytes of one line, or of one record with quotes
_BLOCK = 2 << 20  # bytes that are split at a time
_BOM = b"\xef\xbb\xbf"


@record(eq=False)
class CsvBlock:
    """Some records that follow each other: their texts, where they start, their lines from 1."""

    texts: list[str]
    starts: Rows
    lines: Rows
    quoted: bool  # some record has a quote in it

    def without_first(self) -> CsvBlock:
        return CsvBlock(self.texts[1:], self.starts[1:], self.lines[1:], self.quoted)


def read_blocks(stream: BinaryIO, file: DataFile) -> Iterator[CsvBlock]:
    """The records of a file that are not blank.

    A record continues over lines while a quote is open.
    """
    offset, line = 0, 1
    if stream.read(3) == _BOM:
        offset = 3
    stream.seek(offset)
    while raw := stream.read(_BLOCK):
        raw += _to_end_of_line(stream, file, raw, line)
        while raw.count(b'"') % 2:
            more = stream.readline(LONGEST)
            if not more or len(raw) > LONGEST + _BLOCK:
                break  # `_quoted` finds the record that is not closed
            raw += more
        block = _quoted(raw, offset, line, file) if b'"' in raw else _plain(raw, offset, line, file)
        if block.texts:
            yield block
        offset += len(raw)
        line += raw.count(b"\n")


def decode(raw: bytes, line: int, file: DataFile) -> str:
    """Bytes that begin in this line as text."""
    try:
        return raw.decode()
    except UnicodeDecodeError as reason:
        line += raw.count(b"\n", 0, reason.start)
        raise DnnError([NotUtf8(file.span, file.name, line, b"\0" in raw)]) from None


def split_record(text: str, line: int, delimiter: str, file: DataFile) -> list[str]:
    """The fields of one record by all rules of quoting."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration) as reason:
        problem = str(reason)
        if "new-line" in problem:
            problem = "its lines end in a single carriage return"
        raise broken(file, line, problem or "it has no fields") from None


def broken(file: DataFile, line: int, problem: str) -> DnnError:
    return DnnError([BrokenLine(file.span, file.name, line, problem)])


def _to_end_of_line(stream: BinaryIO, file: DataFile, raw: bytes, line: int) -> bytes:
    if raw.endswith(b"\n"):
        return b""
    rest = stream.readline(LONGEST)
    if len(rest) >= LONGEST:
        raise broken(file, line + raw.count(b"\n"), f"it is longer than {LONGEST >> 20} MB")
    return rest


def _plain(raw: bytes, offset: int, line: int, file: DataFile) -> CsvBlock:
    texts = decode(raw, line, file).split("\n")
    ends = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord("\n"))
    starts = np.concatenate(([0], ends + 1)).astype(np.int64) + offset
    if not texts[-1]:
        texts.pop()
    starts = starts[: len(texts)]
    lines = np.arange(line, line + len(texts))
    if b"\r" in raw:
        texts = [text.rstrip("\r") for text in texts]
    filled = [text.strip(" ") != "" for text in texts]
    if not all(filled):
        texts = [text for text, keep in zip(texts, filled, strict=True) if keep]
        starts, lines = starts[filled], lines[filled]
    return CsvBlock(texts, starts, lines, quoted=False)


def _quoted(raw: bytes, offset: int, line: int, file: DataFile) -> CsvBlock:
    texts: list[str] = []
    starts: list[int] = []
    lines: list[int] = []
    record = b""
    first = line
    for part in raw.splitlines(keepends=True) if b"\r" not in raw else _lines(raw):
        record += part
        line += part.count(b"\n")
        if record.count(b'"') % 2 and len(record) <= LONGEST:
            continue
        if len(record) > LONGEST:
            raise broken(file, first, f"it is longer than {LONGEST >> 20} MB")
        if record.strip(b" \r\n"):
            texts.append(decode(record, first, file).rstrip("\r\n"))
            starts.append(offset)
            lines.append(first)
        offset += len(record)
        record, first = b"", line
    if record:
        raise broken(file, first, "a quote is opened and never closed")
    return CsvBlock(texts, np.array(starts, np.int64), np.array(lines, np.int64), quoted=True)


def _lines(raw: bytes) -> list[bytes]:
    """Lines that end in a line feed alone; `splitlines` takes a single carriage return for an
    end too.
    """
    parts = [part + b"\n" for part in raw.split(b"\n")]
    parts[-1] = parts[-1][:-1]
    return [part for part in parts if part]
