"""Where examples come from: one class for each kind of source, its name and its options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from deepdsl.data.request import OpenRequest
from deepdsl.record import record
from deepdsl.registry import (
    Boolean,
    Choice,
    Kind,
    ListOf,
    Mismatch,
    Names,
    Registered,
    Text,
    Word,
    argument,
    option,
)

if TYPE_CHECKING:
    from deepdsl.data.table import Table

DELIMITERS: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


class DataSource(Registered, kind="source"):
    """Base of the sources.

    With `extra_keywords`, a keyword that is none of the source's own fields feeds the input (or
    the target) of that name; the pairs are collected in `feeds`.
    """

    extra_keywords: ClassVar[Kind | None] = None

    def open(self, request: OpenRequest) -> Table:
        """The rows, checked as far as that is possible without reading a file larger than
        memory.
        """
        raise NotImplementedError

    def count(self, request: OpenRequest) -> int:
        """The number of rows, from headers where they say it."""
        raise NotImplementedError


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


@record
class Idx(DataSource):
    """Files in the format of MNIST and Fashion-MNIST, plain or compressed with gzip.

    One file holds the examples and one their labels. Further inputs are fed by name:
    `right="right.gz"`.
    """

    extra_keywords: ClassVar[Kind | None] = Text()

    file: str | None = argument(Text(), "the file that feeds the input", default=None)
    target: str | None = option(Text(), "the file of the targets", default=None)
    feeds: tuple[tuple[str, Any], ...] = ()

    def open(self, request: OpenRequest) -> Table:
        from deepdsl.data.open_arrays import open_idx

        return open_idx(self, request)

    def count(self, request: OpenRequest) -> int:
        from deepdsl.data.open_arrays import count_idx

        return count_idx(self, request)


@record
class Npy(DataSource):
    """Arrays of NumPy, one a file.

    Large files stay on the disk, and their rows are read as they are needed.
    """

    extra_keywords: ClassVar[Kind | None] = Text()

    file: str | None = argument(Text(), "the file that feeds the input", default=None)
    target: str | None = option(Text(), "the file of the targets", default=None)
    feeds: tuple[tuple[str, Any], ...] = ()

    def open(self, request: OpenRequest) -> Table:
        from deepdsl.data.open_arrays import open_npy

        return open_npy(self, request)

    def count(self, request: OpenRequest) -> int:
        from deepdsl.data.open_arrays import count_npy

        return count_npy(self, request)


@record
class Npz(DataSource):
    """Several arrays of NumPy in one file.

    Inputs and targets name theirs: `left=x1 right=x2 target=same`.

    One input and one target may be left out: they are `x` and `y`.
    """

    extra_keywords: ClassVar[Kind | None] = Names()

    file: str = argument(Text(), "the file")
    target: str | None = option(
        Names(), "the array of the targets; `y` where it is left out", default=None
    )
    feeds: tuple[tuple[str, Any], ...] = ()

    def open(self, request: OpenRequest) -> Table:
        from deepdsl.data.open_arrays import open_npz

        return open_npz(self, request)

    def count(self, request: OpenRequest) -> int:
        from deepdsl.data.open_arrays import count_npz

        return count_npz(self, request)


@record
class Csv(DataSource):
    """A table in text form, with a line of names at its head.

    All columns but the target feed the input, or those that `columns=` names; with several
    inputs each has its own: `left=[a b] right=[c d]`. A target of texts becomes class numbers,
    in the order of the alphabet. Files above 64 MB stay on the disk.
    """

    extra_keywords: ClassVar[Kind | None] = ListOf(Column())

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
    delimiter: str = option(Choice(tuple(DELIMITERS)), "what parts the fields", default="comma")
    feeds: tuple[tuple[str, Any], ...] = ()

    def open(self, request: OpenRequest) -> Table:
        from deepdsl.data.open_csv import open_csv

        return open_csv(self, request)

    def count(self, request: OpenRequest) -> int:
        from deepdsl.data.open_csv import count_csv

        return count_csv(self, request)


@record
class Builtin(DataSource):
    """A small data set that comes with the package.

    `digits`: 1797 images of handwritten digits, 8 × 8, values 0 to 16, in a fixed division by
    class into 1437 rows to train on and 360 to test on.
    """

    dataset: str = argument(Choice(("digits",)), "which one")
    part: str | None = option(
        Choice(("train", "test", "all")),
        "which rows; those of train for `train`, those of test for `valid` and `test`",
        default=None,
    )

    def open(self, request: OpenRequest) -> Table:
        from deepdsl.data.open_arrays import open_digits

        return open_digits(self.rows(request), request)

    def count(self, request: OpenRequest) -> int:
        return {"train": 1437, "test": 360, "all": 1797}[self.rows(request)]

    def rows(self, request: OpenRequest) -> str:
        """The part that is meant: as told, or by the row that names the source."""
        return self.part or ("train" if request.split == "train" else "test")


DIGITS = Path(__file__).with_name("digits.npz")
