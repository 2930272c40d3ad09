"""Kept outputs of frozen layers on the disk: one folder an entry, found by a key of all that made
it.

    .cache/KEY/entry.json     what it is, and the sha256 of each file
    .cache/KEY/0.bin          the rows of one output, numbers in the order of the machine
    .cache/index.txt          a list for people; any entry may be deleted at any time
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from deepdsl.core.atomic_files import write_atomically
from deepdsl.core.record import record
from deepdsl.data.table import Array

FORMAT = 1
ENTRY = "entry.json"
INDEX = "index.txt"
_CHUNK = 1 << 20
_ABANDONED = 86_400.0  # seconds after which what was never finished is taken for left after

Parts = Iterable[Mapping[str, Array]]
Layout = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]  # the row shape and type of each array


@record
class Store:
    """The folder of the entries."""

    place: Path

    def find(self, key: str, layout: Layout, rows: int) -> dict[str, Array] | None:
        """The arrays of an entry, mapped into memory; None where there is none that is whole."""
        folder = self.place / key
        try:
            entry = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
            told = {a["name"]: a for a in entry["arrays"]}
            if entry["format"] != FORMAT or entry["order"] != sys.byteorder:
                return None
            if told.keys() != layout.keys():
                return None
            return {
                name: _mapped(folder, told[name], (rows, *shape), dtype)
                for name, (shape, dtype) in layout.items()
            }
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, key: str, layout: Layout, rows: int, parts: Parts, title: str) -> None:
        """Write an entry of arrays that come in parts, some rows each, in order.

        Whatever is at its place is replaced.  It appears whole or not.  Raises OSError where
        the disk does not take it.
        """
        self.place.mkdir(parents=True, exist_ok=True)
        self._clear()
        beside = Path(mkdtemp(".tmp", f".{key}.", self.place))
        try:
            sums = _written(beside, tuple(layout), parts)
            arrays = [
                {"name": n, "file": f"{i}.bin", "dtype": str(d), "shape": [rows, *s],
                 "sha256": sums[n]}
                for i, (n, (s, d)) in enumerate(layout.items())
            ]  # fmt: skip
            entry = {
                "format": FORMAT,
                "order": sys.byteorder,
                "what": title,
                "made": time.strftime("%Y-%m-%d %H:%M:%S"),
                "rows": rows,
                "bytes": sum(f.stat().st_size for f in beside.iterdir()),
                "arrays": arrays,
            }
            text = json.dumps(entry, indent=2, ensure_ascii=False) + "\n"
            write_atomically(beside / ENTRY, text.encode())
            self._put(beside, self.place / key)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self._list()

    def free(self) -> int:
        """Bytes that are free on the disk."""
        there = next(p for p in (self.place, *self.place.absolute().parents) if p.exists())
        return shutil.disk_usage(there).free

    def _put(self, beside: Path, folder: Path) -> None:
        """Give a finished entry its name, in the place of a damaged one."""
        if _renamed(beside, folder):
            return
        away = beside.with_suffix(".old.tmp")
        with suppress(OSError):
            os.rename(folder, away)
        shutil.rmtree(away, ignore_errors=True)
        # Where another process was quicker, its entry is there now, and is as good.
        _renamed(beside, folder)

    def _clear(self) -> None:
        """Remove what a run that was killed has left after."""
        for left in self.place.glob(".*.tmp"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(left, ignore_errors=True)

    def _list(self) -> None:
        """The list for people, of the entries as they are now."""
        lines = []
        for file in sorted(self.place.glob(f"*/{ENTRY}")):
            try:
                entry = json.loads(file.read_text(encoding="utf-8"))
                size, rows = byte_text(entry["bytes"]), f"{entry['rows']:,} rows"
                lines.append(
                    f"{entry['made']}  {size:>8}  {rows:>16}  {file.parent.name}  {entry['what']}"
                )
            except (OSError, ValueError, KeyError, TypeError):
                continue
        head = "# Outputs of frozen layers, kept for later runs. Any folder may be deleted.\n"
        with suppress(OSError):
            write_atomically(
                self.place / INDEX, (head + "".join(f"{t}\n" for t in sorted(lines))).encode()
            )


def _renamed(folder: Path, name: Path) -> bool:
    """Give a folder a name; False where that is taken."""
    try:
        os.rename(folder, name)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _written(folder: Path, names: tuple[str, ...], parts: Parts) -> dict[str, str]:
    """Write the parts of each array after each other; the sha256 of each file."""
    sums = {name: hashlib.sha256() for name in names}
    files = {name: (folder / f"{i}.bin").open("wb") for i, name in enumerate(names)}
    try:
        for part in parts:
            for name in names:
                data = np.ascontiguousarray(part[name]).reshape(-1).view(np.uint8).data
                sums[name].update(data)
                files[name].write(data)
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    finally:
        for file in files.values():
            file.close()
    return {name: each.hexdigest() for name, each in sums.items()}


def _mapped(
    folder: Path, told: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Array:
    """The array of a file; ValueError where it is not what was written."""
    path = folder / Path(told["file"]).name
    if told["shape"] != list(shape) or told["dtype"] != str(dtype):
        raise ValueError("another shape")
    sum_ = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sum_.update(chunk)
    if sum_.hexdigest() != told["sha256"]:
        raise ValueError("damaged")
    if not all(shape):
        return np.empty(shape, dtype)
    mapped: Array = np.memmap(path, dtype, "r", 0, shape)
    return mapped.view(np.ndarray)


def byte_text(count: float) -> str:
    """`94 kB`, `1.2 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    digits = 1 if count < 10 and unit != "bytes" else 0
    return f"{count:.{digits}f} {unit}"
