"""Where examples come from: one class for each kind of source, its name and its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from deepdsl.data.request import IndexShape, OpenRequest, Shape
from deepdsl.diagnostics.base import Diagnostic
from deepdsl.diagnostics.data_sequences import TextMisfit
from deepdsl.record import record
from deepdsl.registry import (
    Boolean,
    Choice,
    Integer,
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
from deepdsl.source import Span

if TYPE_CHECKING:
    from deepdsl.data.table import Table

DELIMITERS: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


class DataSource(Registered, kind="source"):
    """Base of the sources.

    With `extra_keywords`, a keyword that is none of the source's own fields feeds the input (or
    the target) of that name; the pairs are collected in `feeds`.
    """

    extra_keywords: ClassVar[Kind | None] = None

    @property
    def white(self) -> float | None:
        """The largest value of an input where that is in the nature of the source, whose values
        then begin at 0.
        """
        return None

    def misfits(self, inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        """What does not fit the inputs of a model, before any file is opened."""
        yield from ()

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

    @property
    def white(self) -> float | None:
        return 255.0

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
    in the order of the alphabet. A table whose numbers take more than a gigabyte, or a
    quarter of the free memory, stays on the disk.
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
class TextSource(DataSource, name="text"):
    """A text to predict the next character of.

    The file is UTF-8.  Its different characters, in the order of their code points, are numbered
    from 0 on: the numbers feed the input, `input text[64] dtype=int64`, and the characters are the
    names of the classes.  A row is a window of as many characters as the input has.  What is to be
    learned is the character behind each position, where the model has an output for each position,
    or the one behind the last.  Windows begin `stride` characters apart; left out, they do not
    overlap.  A text for `valid` or `test` has the numbers of the one that trains.

    `valid last=10%` holds out the end.  Of windows that overlap those at the cut are left out, so
    that nothing that is validated on was seen in training; the characters are those of the whole
    text.  A carriage return and a line feed count as one character, and a byte order mark as none.
    """

    file: str = argument(Text(), "the file")
    stride: int | None = option(
        Integer(1), "characters from one window to the next; as many as it has", default=None
    )

    def misfits(self, inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        yield from text_misfits(inputs, span)

    def open(self, request: OpenRequest) -> Table:
        from deepdsl.data.open_text import open_text

        return open_text(self, request)

    def count(self, request: OpenRequest) -> int:
        return self.open(request).rows


def text_misfits(inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
    """What of a model's inputs a text cannot feed."""
    if len(inputs) != 1:
        advice = "for several, write the windows into arrays and take `npz`"
        yield TextMisfit(span, f"a text feeds one input, the model has {len(inputs)}", advice)
        return
    ((name, shape),) = inputs.items()
    if not isinstance(shape, IndexShape) or len(shape) != 1:
        advice = f"write `input {name}[{shape[0] if len(shape) == 1 else 64}] dtype=int64`"
        found = "numbers with fractions" if len(shape) == 1 else f"{len(shape)} dimensions"
        reason = f"a text feeds a row of indices, and `{name}` has {found}"
        yield TextMisfit(span, reason, advice)


@record
class Builtin(DataSource):
    """A small data set that comes with the package.

    `digits`: 1797 images of handwritten digits, 8 × 8, values 0 to 16, in a fixed division by
    class into 1437 rows to train on and 360 to test on.

    `alice`: Lewis Carroll, Alice's Adventures in Wonderland (1865), for models of characters, as
    the source `text` gives them: the first eleven chapters to train on, the last to test on.
    """

    dataset: str = argument(Choice(("digits", "alice")), "which one")
    part: str | None = option(
        Choice(("train", "test", "all")),
        "which rows; those of train for `train`, those of test for `valid` and `test`",
        default=None,
    )

    @property
    def white(self) -> float | None:
        return 16.0 if self.dataset == "digits" else None

    def misfits(self, inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        if self.dataset == "alice":
            yield from text_misfits(inputs, span)

    def open(self, request: OpenRequest) -> Table:
        from deepdsl.data.open_arrays import open_digits
        from deepdsl.data.open_text import open_alice

        if self.dataset == "alice":
            return open_alice(self.rows(request), request)
        return open_digits(self.rows(request), request)

    def count(self, request: OpenRequest) -> int:
        if self.dataset == "alice":
            characters = {"train": 132_109, "test": 11_608, "all": 143_717}[self.rows(request)]
            length = next((s[0] for s in request.inputs.values() if s), 1)
            return max(0, (characters - 1) // length)
        return {"train": 1437, "test": 360, "all": 1797}[self.rows(request)]

    def rows(self, request: OpenRequest) -> str:
        """The part that is meant: as told, or by the row that names the source."""
        return self.part or ("train" if request.split == "train" else "test")


DIGITS = Path(__file__).with_name("digits.npz")
ALICE = Path(__file__).with_name("alice.npz")
