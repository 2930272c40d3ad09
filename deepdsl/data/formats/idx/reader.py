"""Reads idx files without trusting what they say."""

from __future__ import annotations

import struct

import numpy as np

from deepdsl.data.array_table import count_file, open_files
from deepdsl.data.arrays import MOST_DIMENSIONS, Header, check_size, load_array
from deepdsl.data.files import DataFile, fill
from deepdsl.data.formats.idx import Idx
from deepdsl.data.request import OpenRequest
from deepdsl.data.source import look_alike
from deepdsl.data.table import Array, Table
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.arrays import IdxType, NotIdx
from deepdsl.diagnostics.data.files import WrongSize

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def open_table(source: Idx, request: OpenRequest) -> Table:
    """The rows of idx files."""
    return open_files(source.file, source.target, source.feeds, request, read_idx)


def count_rows(source: Idx, request: OpenRequest) -> int:
    return count_file(source.file, source.target, source.feeds, request, idx_header)


def idx_header(file: DataFile) -> Header:
    """The header of an idx file (the format is described at the end of
    yann.lecun.com/exdb/mnist).
    """
    with file.unpacked() as (stream, packed):
        start = stream.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or not 0 < start[3] <= MOST_DIMENSIONS:
            other = look_alike(start, besides="idx")
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
        check_size(file, header)
    return header


def read_idx(file: DataFile) -> tuple[Array, bool]:
    """The array of an idx file, and whether it is still on the disk."""
    header = idx_header(file)
    if not header.packed:
        return load_array(file, header)
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
