"""Reads .npz archives: headers at once, numbers when they are asked for, and never a pickle."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from deepdsl.transfer.weights.weight_file import Array, Stored, Unreadable, WeightTensor

# What reading a damaged archive raises.
BROKEN = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    SyntaxError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    RecursionError,
    OverflowError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


def read(path: Path, shown: str) -> Stored:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            tensors = [_tensor(path, archive, member) for member in members]
    except Unreadable:
        raise
    except BROKEN as error:
        raise Unreadable(_short(error)) from error
    if not tensors:
        raise Unreadable("it is a zip archive without arrays", kind="unknown")
    return Stored(shown, {t.name: t for t in tensors})


def _short(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _tensor(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> WeightTensor:
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape, dtype, length = _header(file)
    if dtype.hasobject:
        return WeightTensor(name, shape, "Python objects", _never)
    need = prod(shape) * dtype.itemsize + length
    if member.file_size < need:
        raise Unreadable(f"`{name}` has {member.file_size:,} bytes, and its shape needs {need:,}")

    def numbers() -> Array:
        try:
            with zipfile.ZipFile(path) as again, again.open(member) as file:
                made: Array = npy.read_array(file, allow_pickle=False)
        except BROKEN as error:
            raise Unreadable(f"`{name}`: {_short(error)}") from error
        return made

    return WeightTensor(name, shape, dtype.name, numbers)


def _never() -> Array:
    raise AssertionError("Python objects are never read")


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """The shape and type of an array, and how many bytes its header has."""
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = npy.read_array_header_2_0(file)
    else:
        raise Unreadable(f"an array has version {version} of its format, which is not read")
    return shape, dtype, int(file.tell())
