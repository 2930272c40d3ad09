"""The source `npz`: several arrays in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Kind, Names, Text, argument, option
from deepdsl.data.source import DataSource, has_suffix


@record
class Npz(DataSource):
    """Several arrays of NumPy in one file.

    Inputs and targets name theirs: `left=x1 right=x2 target=same`.

    One input and one target may be left out: they are `x` and `y`.
    """

    extra_keywords: ClassVar[Kind | None] = Names()
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    rows_written: ClassVar[str] = ".npz"
    feeds_several: ClassVar[bool] = True

    file: str = argument(Text(), "the file")
    target: str | None = option(
        Names(), "the array of the targets; `y` where it is left out", default=None
    )
    feeds: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def looks_like(cls, start: bytes) -> bool:
        return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))

    @classmethod
    def of_rows(
        cls,
        path: Path,
        columns: Mapping[str, Sequence[str]],
        inputs: Sequence[str],
        trained: object,
    ) -> Npz | None:
        if not has_suffix(path, cls):
            return None
        return cls(str(path.absolute()), feeds=_arrays_of(path, inputs))


def _arrays_of(path: Path, inputs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """An npz with arrays named like the inputs needs no mapping; one input may be called `x`."""
    import zipfile  # takes 10 ms that `dnnc check` need not spend

    try:
        with zipfile.ZipFile(path) as archive:
            have = {n.removesuffix(".npy") for n in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return ()  # opening it as data says what is wrong
    return tuple((i, i) for i in inputs) if all(i in have for i in inputs) else ()
