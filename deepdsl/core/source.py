"""The text of a `.dnn` file, and places in it."""

from __future__ import annotations

import os.path
from bisect import bisect_right
from dataclasses import field
from functools import cached_property

from deepdsl.core.record import record


@record
class Source:
    """A text and the name under which messages speak of it (a path as the user wrote it).

    `path` is where it was read from, which paths in it are relative to; a text that comes from
    elsewhere has none.
    """

    name: str
    text: str = field(repr=False)
    path: str = field(default="", compare=False, repr=False)

    @property
    def folder(self) -> str:
        """What the paths in it are relative to; empty for the current folder."""
        return os.path.dirname(self.path)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return (0, *(i + 1 for i, c in enumerate(self.text) if c == "\n"))

    @property
    def line_count(self) -> int:
        return len(self._starts)

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of a character offset, both counted from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its end."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@record
class Span:
    """The characters `start` up to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of the other."""
        return Span(self.source, self.start, other.end)

    def __repr__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"
