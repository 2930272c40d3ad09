"""Opening the files of a data section, plain or gzip, with a message for all that can be wrong."""

from __future__ import annotations

import gzip
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.data.request import OpenRequest, Shape
from deepdsl.data.table import Array
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.files import (
    BrokenGzip,
    CannotReadDataFile,
    DoesNotFit,
    FileMissing,
    NotAFile,
    NotGzip,
    WrongSize,
)

IN_MEMORY = 64 << 20  # larger files stay on the disk
KEPT = 1 << 30  # bytes of what was made of a file, and is not made again
MOST_DEFLATE = 1032  # deflate makes data at most this many times smaller (zlib.net/zlib_tech.html)
_CHUNK = 1 << 20
_LISTED = 1000


@record
class DataFile:
    """A file that is there and can be read, by the name that the program gives it."""

    name: str
    path: Path
    size: int
    span: Span | None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes of the file.  An error of the operating system becomes a message."""
        try:
            with open(self.path, "rb") as stream:
                yield stream
        except OSError as reason:
            raise DnnError([_cannot_read(self.name, self.span, reason)]) from None

    def beginning(self) -> bytes:
        """The first bytes, which say what kind of file it is."""
        with self.open() as stream:
            return stream.read(8)

    @contextmanager
    def unpacked(self) -> Iterator[tuple[BinaryIO, bool]]:
        """The bytes of the file after gzip, if it is gzip, and whether it is."""
        with self.open() as stream:
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            if not packed and self.path.suffix == ".gz":
                raise DnnError([NotGzip(self.span, self.name)])
            if not packed:
                yield stream, False
                return
            try:
                with gzip.GzipFile(fileobj=stream) as inner:
                    yield cast(BinaryIO, inner), True
            except (gzip.BadGzipFile, EOFError, zlib.error, struct.error) as reason:
                truncated = isinstance(reason, EOFError)
                raise DnnError([BrokenGzip(self.span, self.name, truncated, self.size)]) from None

    def allocate(self, dtype: np.dtype[np.generic], shape: Shape, packed: bool) -> Array:
        """An empty array, unless the file cannot hold that much, or the machine cannot."""
        size = byte_count(dtype, shape)
        if packed and size > self.size * MOST_DEFLATE:
            raise DnnError([WrongSize(self.span, self.name, shape, size, None)])
        if size > (memory := free_memory()):
            raise DnnError([DoesNotFit(self.span, self.name, size, memory)])
        try:
            return np.empty(shape, dtype)
        except (MemoryError, ValueError):
            raise DnnError([DoesNotFit(self.span, self.name, size, memory)]) from None

    def map(self, dtype: np.dtype[np.generic], shape: Shape, offset: int, fortran: bool) -> Array:
        """The array that begins at an offset, mapped into memory."""
        try:
            mapped = np.memmap(self.path, dtype, "r", offset, shape, order="F" if fortran else "C")
        except (OSError, ValueError, OverflowError) as reason:
            raise DnnError([_cannot_read(self.name, self.span, reason)]) from None
        return mapped.view(np.ndarray)


def byte_count(dtype: np.dtype[np.generic], shape: Shape) -> int:
    count = dtype.itemsize
    for side in shape:
        count *= side
    return count


def fill(stream: BinaryIO, out: Array) -> int:
    """Read into an array until it is full or the stream ends; the number of bytes read."""
    view = out.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        count = stream.readinto(view[done : done + _CHUNK])  # type: ignore[attr-defined]
        if not count:
            break
        done += count
    return done


def find_file(name: str, request: OpenRequest) -> DataFile:
    """The file of that name, relative to the folder of the program."""
    path = request.folder / name
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise DnnError([_missing(name, path, request)]) from None
    except OSError as reason:
        raise DnnError([_cannot_read(name, request.span, reason)]) from None
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise DnnError([NotAFile(request.span, name, what)])
    return DataFile(name, path, status.st_size, request.span)


def free_memory() -> int:
    """Bytes of memory that are free now; a very large number where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def memory_budget() -> int:
    """How many bytes of rows may be kept in memory rather than read, or decoded, each time."""
    return min(KEPT, free_memory() // 4)


def _missing(name: str, path: Path, request: OpenRequest) -> FileMissing:
    folder = path.parent
    listed: list[str] = []
    try:
        with os.scandir(folder) as entries:
            listed = [entry.name for entry, _ in zip(entries, range(_LISTED), strict=False)]
        exists = True
    except (OSError, ValueError):
        exists = False
    prefix = name.replace("\\", "/").rpartition("/")[0]
    near = tuple(f"{prefix}/{each}" if prefix else each for each in sorted(listed))
    return FileMissing(request.span, name, str(folder), exists, near)


def _cannot_read(name: str, span: Span | None, reason: Exception) -> CannotReadDataFile:
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return CannotReadDataFile(span, name, text)
