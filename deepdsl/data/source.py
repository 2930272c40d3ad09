"""What every source of examples has in common.  Each format is a folder of `formats`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Kind, Mismatch, Registered, Word, lookup
from deepdsl.core.source import Span
from deepdsl.data.request import OpenRequest, Shape
from deepdsl.diagnostics.base import Diagnostic

if TYPE_CHECKING:
    from deepdsl.data.table import Table


class DataSource(Registered, kind="source"):
    """Base of the sources.

    A source is declared in a package of `deepdsl.data.formats`, without NumPy.  Its module
    `reader`, imported when data is opened, has `open_table(source, request)` and, where the number
    of rows can be told without opening all of them, `count_rows(source, request)`.

    With `extra_keywords`, a keyword that is none of the source's own fields feeds the input (or
    the target) of that name; the pairs are collected in `feeds`.
    """

    extra_keywords: ClassVar[Kind | None] = None
    #: The ends of the names of files in this format.
    suffixes: ClassVar[tuple[str, ...]] = ()
    #: How `dnnc predict` calls files that hold raw rows; nothing where it does not read them.
    rows_written: ClassVar[str] = ""
    #: Whether one file feeds several inputs, each by its name.
    feeds_several: ClassVar[bool] = False

    @classmethod
    def looks_like(cls, start: bytes) -> bool:
        """Whether a file that begins with these bytes is in this format."""
        return False

    @classmethod
    def of_rows(
        cls,
        path: Path,
        columns: Mapping[str, Sequence[str]],
        inputs: Sequence[str],
        trained: object,
    ) -> DataSource | None:
        """The source that reads a file of raw rows for a model; None where the format is another.

        `columns` are those that the model was trained on by input, and `trained` the source.
        """
        return None

    @property
    def white(self) -> float | None:
        """The largest value of an input where that is in the nature of the source, whose values
        then begin at 0.
        """
        return None

    def misfits(self, inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        """What does not fit the inputs of a model, before any file is opened."""
        yield from ()

    def known_rows(self, request: OpenRequest) -> int | None:
        """The number of rows where it is known without opening a file."""
        return None

    def open(self, request: OpenRequest) -> Table:
        """The rows, checked as far as that is possible without reading a file larger than
        memory.
        """
        table: Table = _reader(type(self)).open_table(self, request)
        return table

    def count(self, request: OpenRequest) -> int:
        """The number of rows, from headers where they say it."""
        count_rows = getattr(_reader(type(self)), "count_rows", None)
        rows: int = self.open(request).rows if count_rows is None else count_rows(self, request)
        return rows


def _reader(source: type[DataSource]) -> ModuleType:
    """The module beside a declaration that reads its files.  It needs NumPy, which `dnnc check`
    does without.
    """
    return import_module(f"{source.__module__}.reader")


def has_suffix(path: Path, source: type[DataSource]) -> bool:
    """Whether a file, packed with gzip or not, has a name as this format's files have."""
    return Path(path.name.removesuffix(".gz")).suffix in source.suffixes


def look_alike(start: bytes, besides: str = "") -> str:
    """The name of the source that would read a file with this beginning, or nothing."""
    fits = (name for name, source in lookup("source").items() if source.looks_like(start))
    return next((name for name in fits if name != besides), "")


@record
class Column(Kind):
    """The name of a column, or its number where the file has no line of names."""

    expected = "the name of a column"

    def convert(self, value: object) -> str:
        if isinstance(value, Word):
            return value.text
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise Mismatch(self.expected)
