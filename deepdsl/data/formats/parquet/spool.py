"""Rows that are made once and read often: in memory, or beyond a budget in a temporary file."""

from __future__ import annotations

import tempfile
from typing import IO

import numpy as np

from deepdsl.data.files import DataFile
from deepdsl.data.table import Array
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.files import DoesNotFit


class Spool:
    """Collects arrays of equal rows; `finish` gives them as one array, and `close` ends it. The
    temporary file has no name and is gone with the array.
    """

    def __init__(self, file: DataFile, budget: int) -> None:
        self._file, self._budget = file, budget
        self._parts: list[Array] = []
        self._bytes = self._rows = 0
        self._dtype: np.dtype[np.generic] | None = None
        self._row: tuple[int, ...] = ()
        self._spilled: IO[bytes] | None = None

    def add(self, part: Array) -> None:
        if self._dtype is None:
            self._dtype, self._row = part.dtype, part.shape[1:]
        self._rows += len(part)
        self._bytes += part.nbytes
        self._parts.append(np.ascontiguousarray(part))
        if self._bytes > self._budget:
            self._spill()

    def finish(self) -> tuple[Array, bool]:
        """All rows, and whether they are on the disk."""
        if self._spilled is None or self._dtype is None:
            return np.concatenate(self._parts), False
        self._spill()
        shape = (self._rows, *self._row)
        mapped: Array = np.memmap(self._spilled, self._dtype, "r", 0, shape)
        made: Array = mapped.view(np.ndarray)
        return made, True

    def close(self) -> None:
        """Let the temporary file go; an array that was made of it keeps what it needs."""
        if self._spilled is not None:
            self._spilled.close()

    def _spill(self) -> None:
        try:
            if self._spilled is None:
                self._spilled = tempfile.TemporaryFile(prefix="deepdsl-")  # noqa: SIM115
            for part in self._parts:
                self._spilled.write(part.data)
            self._spilled.flush()
        except OSError:
            name, span = self._file.name, self._file.span
            raise DnnError([DoesNotFit(span, name, self._bytes, self._budget)]) from None
        self._parts.clear()
