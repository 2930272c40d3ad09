"""The source `idx`: the format of MNIST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Kind, Text, argument, option
from deepdsl.data.source import DataSource


@record
class Idx(DataSource):
    """Files in the format of MNIST and Fashion-MNIST, plain or compressed with gzip.

    One file holds the examples and one their labels. Further inputs are fed by name:
    `right="right.gz"`.
    """

    extra_keywords: ClassVar[Kind | None] = Text()
    suffixes: ClassVar[tuple[str, ...]] = (".gz",)
    rows_written: ClassVar[str] = "idx"

    file: str | None = argument(Text(), "the file that feeds the input", default=None)
    target: str | None = option(Text(), "the file of the targets", default=None)
    feeds: tuple[tuple[str, Any], ...] = ()

    @property
    def white(self) -> float | None:
        return 255.0

    @classmethod
    def looks_like(cls, start: bytes) -> bool:
        return start[:2] in (b"\x1f\x8b", b"\0\0")

    @classmethod
    def of_rows(
        cls,
        path: Path,
        columns: Mapping[str, Sequence[str]],
        inputs: Sequence[str],
        trained: object,
    ) -> Idx | None:
        return cls(str(path.absolute())) if "idx" in path.name else None
