"""Reads models of TensorFlow.js: a `model.json` with a list of weights, and files of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from deepdsl.transfer.weights.safetensors_file import inside
from deepdsl.transfer.weights.weight_file import Array, Shape, Stored, Unreadable, WeightTensor

_TYPES = ("float32", "int32", "uint8", "bool", "float16")


def read(path: Path, manifest: Any, shown: str) -> Stored:
    """The weights of the `weightsManifest` of a `model.json`."""
    tensors: dict[str, WeightTensor] = {}
    for group in manifest if isinstance(manifest, list) else ():
        for tensor in _group(path.parent, group):
            tensors[tensor.name] = tensor
    if not tensors:
        raise Unreadable("its weightsManifest names no weights")
    return Stored(shown, tensors, "keras", "TensorFlow.js")


def _group(folder: Path, group: Any) -> Iterator[WeightTensor]:
    """The weights whose numbers are one after another in some files."""
    try:
        shards = [inside(folder, str(name)) for name in group["paths"]]
        entries = [_entry(entry) for entry in group["weights"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable("its weightsManifest lacks paths, names, shapes or types") from error
    have, need = 0, sum(prod(shape) * wide for _, shape, _, wide, _ in entries)
    for shard in shards:
        if not shard.is_file():
            raise Unreadable(f"the file {shard.name} that it names is not beside it")
        have += shard.stat().st_size
    if have != need:
        told = "; it was cut short: fetch it again" if have < need else ""
        raise Unreadable(f"its weights take {need:,} bytes, and the files have {have:,}{told}")
    start = 0
    for name, shape, dtype, wide, scale in entries:
        count = prod(shape) * wide
        yield WeightTensor(name, shape, dtype, _reader(shards, start, count, shape, dtype, scale))
        start += count


Scale = tuple[float, float, str]


def _entry(entry: Mapping[str, Any]) -> tuple[str, Shape, str, int, Scale | None]:
    """Name, shape, type as it was before it was quantized, bytes of a number, and how it was."""
    name, shape, dtype = str(entry["name"]), tuple(entry["shape"]), str(entry["dtype"])
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape):
        raise Unreadable(f"the shape of `{name}` is no list of sizes")
    held = entry.get("quantization")
    if held is None:
        if dtype not in _TYPES:
            raise Unreadable(f"`{name}` holds {dtype}, whose length is not told")
        return name, shape, dtype, np.dtype(dtype).itemsize, None
    kind = str(held["dtype"])
    if kind == "float16":
        return name, shape, "float32", 2, (1.0, 0.0, kind)
    if kind not in ("uint8", "uint16"):
        raise Unreadable(f"`{name}` is quantized to {kind}, which is not known")
    scale = (float(held["scale"]), float(held["min"]), kind)
    return name, shape, dtype, np.dtype(kind).itemsize, scale


def _reader(
    shards: list[Path], start: int, count: int, shape: Shape, dtype: str, scale: Scale | None
) -> Callable[[], Array]:
    def read() -> Array:
        data = _bytes(shards, start, count)
        if scale is None:
            return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape)
        factor, least, kind = scale
        raw = np.frombuffer(data, np.dtype(kind).newbyteorder("<")).reshape(shape)
        if kind == "float16":
            return raw.astype(np.float32)
        return (raw.astype(np.float64) * factor + least).astype(np.float32)

    return read


def _bytes(shards: list[Path], start: int, count: int) -> bytes:
    """Bytes of the files as if they were one."""
    made = b""
    for shard in shards:
        size = shard.stat().st_size
        if start < size and len(made) < count:
            with shard.open("rb") as file:
                file.seek(start)
                made += file.read(count - len(made))
        start = max(0, start - size)
    if len(made) != count:
        raise Unreadable("its files have become shorter while they were read")
    return made
