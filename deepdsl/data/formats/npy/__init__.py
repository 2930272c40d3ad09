"""The source `npy`: one array a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Kind, Text, argument, option
from deepdsl.data.source import DataSource, has_suffix


@record
class Npy(DataSource):
    """Arrays of NumPy, one a file.

    Large files stay on the disk, and their rows are read as they are needed.
    """

    extra_keywords: ClassVar[Kind | None] = Text()
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    rows_written: ClassVar[str] = ".npy"

    file: str | None = argument(Text(), "the file that feeds the input", default=None)
    target: str | None = option(Text(), "the file of the targets", default=None)
    feeds: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def looks_like(cls, start: bytes) -> bool:
        return start.startswith(b"\x93NUMPY")

    @classmethod
    def of_rows(
        cls,
        path: Path,
        columns: Mapping[str, Sequence[str]],
        inputs: Sequence[str],
        trained: object,
    ) -> Npy | None:
        return cls(str(path.absolute())) if has_suffix(path, cls) else None
