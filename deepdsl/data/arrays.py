"""Arrays in files: what their headers say, checked against the file, and their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepdsl.core.record import record
from deepdsl.data.files import IN_MEMORY, DataFile, byte_count, fill
from deepdsl.data.request import Shape
from deepdsl.data.table import Array
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.files import WrongSize

MOST_DIMENSIONS = 32


@record
class Header:
    """Type and shape of an array, and the offset of its first number."""

    dtype: np.dtype[Any]
    shape: Shape
    offset: int
    packed: bool = False
    fortran: bool = False

    @property
    def size(self) -> int:
        return byte_count(self.dtype, self.shape)

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 0


def check_size(file: DataFile, header: Header) -> None:
    found = file.size - header.offset
    if found != header.size:
        raise DnnError([WrongSize(file.span, file.name, header.shape, header.size, found)])


def load_array(file: DataFile, header: Header) -> tuple[Array, bool]:
    """The array of a file that is not packed; a large one stays on the disk."""
    if header.size > IN_MEMORY:
        return file.map(header.dtype, header.shape, header.offset, header.fortran), True
    shape = header.shape[::-1] if header.fortran else header.shape
    array = file.allocate(header.dtype, shape, packed=False)
    with file.open() as stream:
        stream.seek(header.offset)
        done = fill(stream, array)
    if done != header.size:
        raise DnnError([WrongSize(file.span, file.name, header.shape, header.size, done)])
    return array.transpose() if header.fortran else array, False
