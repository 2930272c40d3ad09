"""The source `builtin`: the data sets that come with the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deepdsl.core.record import record
from deepdsl.core.registry import OneOf, argument, option
from deepdsl.core.source import Span
from deepdsl.data.formats.text import text_misfits
from deepdsl.data.request import OpenRequest, Shape
from deepdsl.data.source import DataSource
from deepdsl.diagnostics.base import Diagnostic


@record
class Builtin(DataSource):
    """A small data set that comes with the package.

    `digits`: 1797 images of handwritten digits, 8 × 8, values 0 to 16, in a fixed division by
    class into 1437 rows to train on and 360 to test on.

    `alice`: Lewis Carroll, Alice's Adventures in Wonderland (1865), for models of characters, as
    the source `text` gives them: the first eleven chapters to train on, the last to test on.
    """

    dataset: str = argument(OneOf(("digits", "alice")), "which one")
    part: str | None = option(
        OneOf(("train", "test", "all")),
        "which rows; those of train for `train`, those of test for `valid` and `test`",
        default=None,
    )

    @property
    def white(self) -> float | None:
        return 16.0 if self.dataset == "digits" else None

    def misfits(self, inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        if self.dataset == "alice":
            yield from text_misfits(inputs, span)

    def rows(self, request: OpenRequest) -> str:
        """The part that is meant: as told, or by the row that names the source."""
        return self.part or ("train" if request.split == "train" else "test")

    def known_rows(self, request: OpenRequest) -> int | None:
        if self.dataset == "alice":
            return None  # how many there are depends on the length of the input
        return {"train": 1437, "test": 360, "all": 1797}[self.rows(request)]
