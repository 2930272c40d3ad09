"""Reads safetensors: a JSON header of names, types, shapes and places, then the numbers.

It is read here and not by its own package, since that knows no bfloat16 for NumPy and says little
of what is wrong with a damaged file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from deepdsl.transfer.weights.weight_file import (
    Array,
    Layout,
    Shape,
    Stored,
    Unreadable,
    WeightTensor,
    widened,
)

# As the format's own reader has it.
LONGEST_HEADER = 100_000_000

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
# Numbers that are read as others.
_RAW = {"bfloat16": "uint16"}
_FORMATS: dict[str, Layout] = {
    "pt": "torch",
    "tf": "keras",
    "flax": "keras",
    "deepdsl": "deepdsl",
}


def looks_like(first: bytes) -> bool:
    """Whether a file's first bytes are a header's length and its brace."""
    return first[8:9] == b"{" and first[5:8] == b"\0\0\0"


def read(path: Path, shown: str) -> Stored:
    header, start, size = _header(path)
    noted = header.pop("__metadata__", None)
    form = noted.get("format") if isinstance(noted, dict) else None
    tensors = {}
    for name, entry in header.items():
        tensors[name] = _tensor(path, name, entry, start, size)
    _apart(header)
    layout = _FORMATS.get(str(form))
    by = f"its metadata, format={form}" if layout else ""
    return Stored(shown, tensors, layout, by, own=form == "deepdsl", ordered=False)


def read_shards(path: Path, places: Any, shown: str) -> Stored:
    """The files that the `weight_map` of a `model.safetensors.index.json` names, as one."""
    if not isinstance(places, dict) or not all(isinstance(f, str) for f in places.values()):
        raise Unreadable("its weight_map does not name files")
    made: list[Stored] = []
    for name in dict.fromkeys(places.values()):
        shard = inside(path.parent, name)
        if not shard.is_file():
            raise Unreadable(f"the file {shard.name} that it names is not beside it")
        made.append(read(shard, shown))
    tensors = {n: t for stored in made for n, t in stored.tensors.items()}
    lacking = [n for n in places if n not in tensors]
    if lacking or not made:
        told = f"`{lacking[0]}`" if lacking else "a tensor"
        raise Unreadable(f"its files do not have {told}")
    return replace(made[0], tensors=tensors)


def inside(folder: Path, name: str) -> Path:
    """A file that another one names, which must lie beside or below it."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name or "\0" in name or not name:
        raise Unreadable(f"it names the file {name!r}, which is not in its folder")
    return folder / place


def _header(path: Path) -> tuple[dict[str, Any], int, int]:
    """The header, where the numbers begin, and how many bytes of them there are."""
    whole = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        if len(first) < 8:
            raise Unreadable(f"it has {len(first)} bytes, and the header's length alone takes 8")
        (length,) = struct.unpack("<Q", first)
        if length > LONGEST_HEADER:
            raise Unreadable(
                f"its header would have {length:,} bytes, more than {LONGEST_HEADER:,}"
            )
        if length > whole - 8:
            raise Unreadable(
                f"its header has {length:,} bytes, and the file ends after {whole - 8:,}",
                "it was cut short: fetch it again",
            )
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"its header is no JSON ({error})") from error
    if not isinstance(header, dict):
        raise Unreadable("its header is no table of tensors")
    return header, 8 + length, whole - 8 - length


def _tensor(path: Path, name: str, entry: Any, start: int, size: int) -> WeightTensor:
    try:
        kind, shape = str(entry["dtype"]), tuple(entry["shape"])
        begin, end = entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"its header says of `{name}` neither type nor shape") from error
    numbers = (*shape, begin, end)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
        raise Unreadable(f"its header has sizes of `{name}` that are no whole numbers")
    if begin > end:
        raise Unreadable(f"its header has `{name}` end before it begins")
    if end > size:
        raise Unreadable(
            f"`{name}` ends at byte {end:,} of the numbers, and there are {size:,}",
            "it was cut short: fetch it again",
        )
    dtype = _TYPES.get(kind, kind)
    if kind in _TYPES:
        wide = np.dtype(_RAW.get(dtype, dtype)).itemsize
        if prod(shape) * wide != end - begin:
            raise Unreadable(
                f"`{name}` has {end - begin:,} bytes, and its shape needs {prod(shape) * wide:,}"
            )
    return WeightTensor(name, shape, dtype, _reader(path, dtype, shape, start + begin))


def _apart(header: dict[str, Any]) -> None:
    """Check that no two tensors lie over each other."""
    places = sorted((*entry["data_offsets"], name) for name, entry in header.items())
    for (_, end, one), (begin, after, other) in pairwise(places):
        if begin < end and after > begin:
            raise Unreadable(f"its header has `{one}` and `{other}` in one place")


def _reader(path: Path, dtype: str, shape: Shape, offset: int) -> Callable[[], Array]:
    def read() -> Array:
        raw = np.fromfile(path, _RAW.get(dtype, dtype), prod(shape), offset=offset)
        if raw.size != prod(shape):
            raise Unreadable("it has become shorter while it was read")
        return (widened(raw) if dtype == "bfloat16" else raw).reshape(shape)

    return read
