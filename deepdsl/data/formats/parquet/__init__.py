"""The source `parquet`."""

from __future__ import annotations

from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Kind, ListOf, Text, argument, option
from deepdsl.data.image_source import ImageSource
from deepdsl.data.source import Column


@record
class Parquet(ImageSource):
    """A table in Apache Parquet.

    All columns but the target feed the input, or those that `columns=` names; with several inputs
    each has its own: `left=[a b] right=[c d]`. A column holds numbers, lists of equally many
    numbers (also lists of lists), or images as the bytes of their files: `binary`, or the struct of
    `bytes` and `path` that Hugging Face's datasets write. Images become numbers as with `images`,
    whose `size=`, `resize=` and `range=` mean the same here. A target of texts becomes class
    numbers, in the order of the alphabet; the names of a ClassLabel of Hugging Face are kept.

    The file is unpacked when it is opened, row group by row group. What is larger than a gigabyte,
    or than a quarter of the free memory, is unpacked into a temporary file without a name.

    Needs pyarrow: `pip install "deepdsl[arrow]"`, and for images `deepdsl[images]` too.
    """

    extra_keywords: ClassVar[Kind | None] = ListOf(Column())
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    file: str = argument(Text(), "the file")
    target: tuple[str, ...] | None = option(
        ListOf(Column()), "the column (or columns) of the target", default=None
    )
    columns: tuple[str, ...] | None = option(
        ListOf(Column()), "the columns that feed the input; all others where left out", default=None
    )
    feeds: tuple[tuple[str, Any], ...] = ()

    @property
    def white(self) -> float | None:
        return None  # its columns may hold anything
