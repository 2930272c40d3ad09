"""Rows of a data section that choose examples or say what the target is."""

from __future__ import annotations

import math
from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.core.registry import (
    Boolean,
    Either,
    Integer,
    Names,
    Number,
    Registered,
    argument,
    option,
)
from deepdsl.core.source import Span
from deepdsl.diagnostics.base import Diagnostic, DnnError
from deepdsl.diagnostics.data.inputs import UnknownFeed
from deepdsl.diagnostics.data.split import HeldOutHow, HeldOutTooLarge, NothingLeft, TakeTooLarge


class DataRow(Registered, kind="data_row"):
    """Base of the rows of a data section that are neither a source nor a transform."""

    def problems(self, span: Span | None) -> Iterator[Diagnostic]:
        """What is wrong with the row by itself, before any file is opened."""
        yield from ()


ENDS = Either((Integer(1), Number(above=0, below=1)))


@record
class HeldOut(DataRow, name="valid"):
    """Rows cut out of train to validate on: the first, the last, or a share drawn at random.

    The draw depends on the seed alone, so that the same rows are held out in every run. With
    `stratify=true` each class keeps its share.
    """

    first: float | None = option(ENDS, "this many rows, or this share, from the start", None)
    last: float | None = option(ENDS, "this many rows, or this share, from the end", None)
    split: float | None = option(
        Number(above=0, below=1), "this share of the rows, drawn at random", default=None
    )
    stratify: bool = option(Boolean(), "each class keeps its share", default=False)

    def problems(self, span: Span | None) -> Iterator[Diagnostic]:
        how = ("first", "last", "split")
        given = tuple(name for name in how if getattr(self, name) is not None)
        if len(given) != 1:
            yield HeldOutHow(span, given)
        elif self.stratify and self.split is None:
            yield HeldOutHow(span, (*given, "stratify"))

    def count(self, rows: int, span: Span | None) -> int:
        """How many of this many rows are held out."""
        for problem in self.problems(span):
            raise DnnError([problem])
        given = self.first or self.last
        share = given if isinstance(given, float) else self.split
        if share is not None:
            count = math.floor(rows * share + 0.5)
            if count in (0, rows):
                empty = "train" if count else "valid"
                raise DnnError([NothingLeft(span, 100 * share, rows, empty)])
            return count
        count = int(given or 0)
        if count >= rows:
            raise DnnError([HeldOutTooLarge(span, count, rows)])
        return count


@record
class Take(DataRow):
    """Train on a few rows only, drawn at random.

    The draw depends on the seed alone, and a larger one contains each smaller one. Rows are
    taken before `valid` holds some of them out; valid and test rows of their own are not
    touched.
    """

    count: int = argument(Integer(1), "how many rows")
    stratify: bool = option(Boolean(), "each class keeps its share", default=False)

    def checked(self, rows: int, span: Span | None) -> int:
        """The count, or TakeTooLarge."""
        if self.count > rows:
            raise DnnError([TakeTooLarge(span, self.count, rows)])
        return self.count


@record
class OneHotRow(DataRow, name="one_hot"):
    """Turn class numbers into rows of zeros with a one, for losses that compare numbers."""


@record
class TargetRow(DataRow, name="target"):
    """`target input`: what is to be learned is the input itself, as for an autoencoder.

    The name of an input serves where there are several.  The target is the input as the network
    gets it, after scale, standardize and normalize: what the exported model gives is in that
    scale, though it takes raw rows.
    """

    what: str = argument(Names(), "`input`, or the name of an input")

    def resolve(self, inputs: tuple[str, ...], span: Span | None) -> str:
        """The input that is meant, or UnknownFeed."""
        if self.what in inputs:
            return self.what
        if self.what == "input" and len(inputs) == 1:
            return inputs[0]
        raise DnnError([UnknownFeed(span, self.what, inputs, ())])
