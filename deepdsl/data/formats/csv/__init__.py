"""The source `csv`: a table in text form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Kind, ListOf, OneOf, Text, argument, option
from deepdsl.data.source import Column, DataSource, has_suffix

DELIMITERS: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


@record
class Csv(DataSource):
    """A table in text form, with a line of names at its head.

    All columns but the target feed the input, or those that `columns=` names; with several
    inputs each has its own: `left=[a b] right=[c d]`. A target of texts becomes class numbers,
    in the order of the alphabet. A table whose numbers take more than a gigabyte, or a
    quarter of the free memory, stays on the disk.
    """

    extra_keywords: ClassVar[Kind | None] = ListOf(Column())
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)
    rows_written: ClassVar[str] = ".csv"
    feeds_several: ClassVar[bool] = True

    file: str = argument(Text(), "the file")
    target: tuple[str, ...] | None = option(
        ListOf(Column()), "the column (or columns) of the target", default=None
    )
    columns: tuple[str, ...] | None = option(
        ListOf(Column()), "the columns that feed the input; all others where left out", default=None
    )
    header: bool = option(
        Boolean(), "the first line names the columns; without, they are 1, 2, 3 …", default=True
    )
    delimiter: str = option(OneOf(tuple(DELIMITERS)), "what parts the fields", default="comma")
    feeds: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def looks_like(cls, start: bytes) -> bool:
        text = start.removeprefix(b"\xef\xbb\xbf")
        return bool(text) and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in text)

    @classmethod
    def of_rows(
        cls,
        path: Path,
        columns: Mapping[str, Sequence[str]],
        inputs: Sequence[str],
        trained: object,
    ) -> Csv | None:
        """The columns that the model was trained on, by name and in that order; others do not
        count.
        """
        if not has_suffix(path, cls):
            return None
        file = str(path.absolute())
        header, delimiter = True, "comma"
        if isinstance(trained, Csv):
            header, delimiter = trained.header, trained.delimiter
        if len(columns) == 1:
            (names,) = columns.values()
            return cls(file, columns=tuple(names), header=header, delimiter=delimiter)
        feeds = tuple((name, tuple(names)) for name, names in columns.items())
        return cls(file, feeds=feeds, header=header, delimiter=delimiter)
