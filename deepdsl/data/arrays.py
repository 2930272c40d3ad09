"""The formats that hold arrays: idx, npy and npz, read without trusting what they say."""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np

from deepdsl.data.files import IN_MEMORY, MOST_DEFLATE, DataFile, byte_count, fill, looks_like
from deepdsl.data.request import Shape
from deepdsl.data.table import Array
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data_arrays import (
    ArrayMissing,
    BrokenZip,
    IdxType,
    NotIdx,
    NotNpy,
    PickledArray,
)
from deepdsl.diagnostics.data_files import WrongSize

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = 10_000  # bytes; NumPy's own limit
_DIMENSIONS = 32
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


@dataclass(frozen=True)
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


def idx_header(file: DataFile) -> Header:
    """The header of an idx file (the format is described at the end of
    yann.lecun.com/exdb/mnist).
    """
    with file.unpacked() as (stream, packed):
        start = stream.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or not 0 < start[3] <= _DIMENSIONS:
            other = looks_like(start).replace("idx", "")
            raise DnnError([NotIdx(file.span, file.name, start.hex(" "), other)])
        if start[2] not in IDX_TYPES:
            raise DnnError([IdxType(file.span, file.name, start[2])])
        dtype = np.dtype(IDX_TYPES[start[2]])
        sides = stream.read(4 * start[3])
        if len(sides) < 4 * start[3]:
            found = len(sides) + 4
            raise DnnError([WrongSize(file.span, file.name, (), 4 + 4 * start[3], found)])
        shape = struct.unpack(f">{start[3]}I", sides)
        header = Header(dtype, shape, 4 + len(sides), packed)
    if not packed:
        _check_size(file, header)
    return header


def read_idx(file: DataFile) -> tuple[Array, bool]:
    """The array of an idx file, and whether it is still on the disk."""
    header = idx_header(file)
    if not header.packed:
        return _load(file, header)
    with file.unpacked() as (stream, _):
        stream.read(header.offset)
        array = file.allocate(header.dtype, header.shape, packed=True)
        done = fill(stream, array)
        more = len(stream.read(1))
        if done + more != header.size:
            raise DnnError(
                [WrongSize(file.span, file.name, header.shape, header.size, done + more)]
            )
    return array, False


def npy_header(file: DataFile) -> Header:
    """The header of a npy file."""
    with file.open() as stream:
        header = _npy_header(stream, file, "")
    _check_size(file, header)
    return header


def read_npy(file: DataFile) -> tuple[Array, bool]:
    """The array of a npy file, and whether it is still on the disk."""
    return _load(file, npy_header(file))


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
            return _npy_header(stream, self.file, name)

    def read(self, name: str, use: str) -> Array:
        """An array, unpacked into memory."""
        file = self.file
        with self._member(name, use) as stream:
            header = _npy_header(stream, file, name)
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
            other = looks_like(file.beginning()).replace("npz", "")
            raise DnnError([BrokenZip(file.span, file.name, text, other)]) from None


def _npy_header(stream: BinaryIO, file: DataFile, array: str) -> Header:
    """Read the header with patterns: NumPy writes it in one way, and nothing in it needs to be
    evaluated.
    """

    def wrong(problem: str, start: bytes = b"") -> DnnError:
        other = looks_like(start).replace("npy", "")
        return DnnError([NotNpy(file.span, file.name, array, problem, other)])

    start = stream.read(8)
    if not start.startswith(_NPY_MAGIC) or len(start) < 8:
        raise wrong(f"it begins with {start.hex(' ')}" if start else "it is empty", start)
    width = {1: 2, 2: 4, 3: 4}.get(start[6])
    if width is None:
        raise wrong(f"it is of version {start[6]}, which is unknown")
    length = int.from_bytes(stream.read(width), "little")
    if length > _NPY_HEADER:
        raise wrong(f"its header would have {length} bytes")
    raw = stream.read(length)
    if len(raw) < length:
        raise wrong("it ends in its header")
    text = raw.decode("utf-8" if start[6] == 3 else "latin-1", errors="replace")
    descr = re.search(r"'descr':\s*'([^']*)'", text)
    fortran = re.search(r"'fortran_order':\s*(True|False)", text)
    shape = re.search(r"'shape':\s*\(([\d,\s]*)\)", text)
    if fortran is None or shape is None or "'descr'" not in text:
        raise wrong("its header is damaged")
    if re.search(r"'[<>|=]?O\d?'", text):
        raise DnnError([PickledArray(file.span, file.name, array)])
    if descr is None:
        raise wrong("it is an array of records")
    code = descr[1]
    if not re.fullmatch(r"[<>|=]?([biufcSUVmM]\d{0,9}(\[[\w/]+\])?)", code):
        raise wrong(f"its type `{code[:40]}` is unknown")
    sides = re.findall(r"\d+", shape[1])
    if len(sides) > _DIMENSIONS or any(len(side) > 18 for side in sides):
        raise wrong("its shape is absurd")
    try:
        dtype = np.dtype(code)
    except (TypeError, ValueError, OverflowError):
        raise wrong(f"its type `{code[:40]}` is unknown") from None
    if dtype.itemsize == 0:
        raise wrong("its type has no size")
    sizes = tuple(int(side) for side in sides)
    offset = 8 + width + length
    return Header(dtype, sizes, offset, fortran=fortran[1] == "True" and len(sizes) > 1)


def _check_size(file: DataFile, header: Header) -> None:
    found = file.size - header.offset
    if found != header.size:
        raise DnnError([WrongSize(file.span, file.name, header.shape, header.size, found)])


def _load(file: DataFile, header: Header) -> tuple[Array, bool]:
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
