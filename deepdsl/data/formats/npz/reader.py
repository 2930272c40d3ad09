"""Reads npz files without trusting what they say."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast

from deepdsl.data.array_table import Loaded, table_of
from deepdsl.data.arrays import Header
from deepdsl.data.bind_inputs import bind_inputs
from deepdsl.data.files import MOST_DEFLATE, DataFile, fill, find_file
from deepdsl.data.formats.npy.reader import read_header
from deepdsl.data.formats.npz import Npz
from deepdsl.data.request import OpenRequest
from deepdsl.data.source import look_alike
from deepdsl.data.table import Array, Origin, Table
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.arrays import ArrayMissing, BrokenZip
from deepdsl.diagnostics.data.files import WrongSize

_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,  # an unknown way of compression
    RuntimeError,  # encrypted
    ValueError,
    IndexError,
    OverflowError,
    MemoryError,
    OSError,  # a place before the beginning of the file
)


def open_table(source: Npz, request: OpenRequest) -> Table:
    """The rows of an npz file."""
    names = _array_names(source, request)
    with npz_file(find_file(source.file, request)) as archive:
        return table_of(_loaded(archive, names, request), request)


def count_rows(source: Npz, request: OpenRequest) -> int:
    use, name = next(iter(_array_names(source, request).items()))
    with npz_file(find_file(source.file, request)) as archive:
        return archive.header(name, use).rows


def _array_names(source: Npz, request: OpenRequest) -> dict[str, str]:
    target = source.target or "y"
    return bind_inputs(request, source.feeds, "x", target, "NAME", first_is_given=False)


def _loaded(archive: NpzFile, names: Mapping[str, str], request: OpenRequest) -> dict[str, Loaded]:
    read: dict[str, Array] = {}
    arrays: dict[str, Loaded] = {}
    for use, name in names.items():
        if name not in read:
            read[name] = archive.read(name, use)
        origin = Origin(f"{archive.file.name}, array `{name}`", request.span)
        arrays[use] = (read[name], False, origin)
    return arrays


class NpzFile:
    """The arrays of an npz file, by name."""

    def __init__(self, file: DataFile, archive: zipfile.ZipFile) -> None:
        self.file = file
        self._archive = archive
        self._members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }

    def header(self, name: str, use: str) -> Header:
        """Type and shape of an array, or ArrayMissing."""
        with self._member(name, use) as stream:
            return read_header(stream, self.file, name)

    def read(self, name: str, use: str) -> Array:
        """An array, unpacked into memory."""
        file = self.file
        with self._member(name, use) as stream:
            header = read_header(stream, file, name)
            info = self._members[name]
            stored = info.file_size - header.offset
            most = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: MOST_DEFLATE}
            ratio = most.get(info.compress_type, info.file_size)
            if stored != header.size or info.file_size > min(info.compress_size, file.size) * ratio:
                found = stored if stored != header.size else None
                raise DnnError([WrongSize(file.span, file.name, header.shape, header.size, found)])
            shape = header.shape[::-1] if header.fortran else header.shape
            array = file.allocate(header.dtype, shape, packed=False)
            done = fill(stream, array)
            # Reading on to the end has the checksum compared.
            if done != header.size or stream.read(1):
                problem = f"array `{name}` ends after {done} of {header.size} bytes"
                raise DnnError([BrokenZip(file.span, file.name, problem)])
        return array.transpose() if header.fortran else array

    @contextmanager
    def _member(self, name: str, use: str) -> Iterator[BinaryIO]:
        if name not in self._members:
            names = tuple(self._members)
            raise DnnError([ArrayMissing(self.file.span, self.file.name, name, use, names)])
        with self._archive.open(self._members[name]) as stream:
            yield cast(BinaryIO, stream)


@contextmanager
def npz_file(file: DataFile) -> Iterator[NpzFile]:
    """An npz file, closed at the end.  Whatever its bytes are, only DnnError comes out."""
    with file.open() as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                yield NpzFile(file, archive)
        except _ZIP_ERRORS as reason:
            text = str(reason)[:100].lower() or type(reason).__name__
            other = look_alike(file.beginning(), besides="npz")
            raise DnnError([BrokenZip(file.span, file.name, text, other)]) from None
