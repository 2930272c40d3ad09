"""Reads npy files without trusting what they say."""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

from deepdsl.data.array_table import count_file, open_files
from deepdsl.data.arrays import MOST_DIMENSIONS, Header, check_size, load_array
from deepdsl.data.files import DataFile
from deepdsl.data.formats.npy import Npy
from deepdsl.data.request import OpenRequest
from deepdsl.data.source import look_alike
from deepdsl.data.table import Array, Table
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.arrays import NotNpy, PickledArray

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # bytes; NumPy's own limit


def open_table(source: Npy, request: OpenRequest) -> Table:
    """The rows of npy files."""
    return open_files(source.file, source.target, source.feeds, request, read_npy)


def count_rows(source: Npy, request: OpenRequest) -> int:
    return count_file(source.file, source.target, source.feeds, request, npy_header)


def npy_header(file: DataFile) -> Header:
    """The header of a npy file."""
    with file.open() as stream:
        header = read_header(stream, file, "")
    check_size(file, header)
    return header


def read_npy(file: DataFile) -> tuple[Array, bool]:
    """The array of a npy file, and whether it is still on the disk."""
    return load_array(file, npy_header(file))


def read_header(stream: BinaryIO, file: DataFile, array: str) -> Header:
    """Read the header with patterns: NumPy writes it in one way, and nothing in it needs to be
    evaluated.
    """

    def wrong(problem: str, start: bytes = b"") -> DnnError:
        other = look_alike(start, besides="npy")
        return DnnError([NotNpy(file.span, file.name, array, problem, other)])

    start = stream.read(8)
    if not start.startswith(_MAGIC) or len(start) < 8:
        raise wrong(f"it begins with {start.hex(' ')}" if start else "it is empty", start)
    width = {1: 2, 2: 4, 3: 4}.get(start[6])
    if width is None:
        raise wrong(f"it is of version {start[6]}, which is unknown")
    length = int.from_bytes(stream.read(width), "little")
    if length > _LONGEST_HEADER:
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
    if len(sides) > MOST_DIMENSIONS or any(len(side) > 18 for side in sides):
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
