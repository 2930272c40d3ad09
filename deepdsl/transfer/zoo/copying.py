"""Copies the file of a model to where it is wanted, after its checksum was compared."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from deepdsl.core.atomic_files import named
from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.cli.files import FileTrouble
from deepdsl.diagnostics.transfer.zoo import FileThere, NotInIndex, OtherFile
from deepdsl.transfer.zoo.entry import Index, ZooEntry
from deepdsl.transfer.zoo.network import Fetch, secure_fetch
from deepdsl.transfer.zoo.places import locate, pieces

#: Bytes so far, and in all.
Progress = Callable[[int, int], None]


@record
class Got:
    """A model's file as it was written, and where it is from."""

    file: Path
    entry: ZooEntry
    source: str


def entry_of(index: Index, name: str) -> ZooEntry:
    """A model by its name; DnnError with NotInIndex where there is none."""
    try:
        return index.entries[name]
    except KeyError:
        raise DnnError([NotInIndex(None, index.shown, name, tuple(index.entries))]) from None


def get(
    index: Index,
    name: str,
    target: Path | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
    fetch: Fetch = secure_fetch,
) -> Got:
    """Write a model's file to `target` (a folder, or a file; NAME.onnx by default).

    The file appears under its name when its size and its sha256 are those of the index, not before.
    Raises DnnError with FileThere, unless forced, with OtherFile, NotAtHand or CannotFetch.
    """
    entry = entry_of(index, name)
    file = target or Path(f"{name}.onnx")
    if file.is_dir():
        file = file / f"{name}.onnx"
    if file.exists() and not force:
        raise DnnError([FileThere(None, str(file))])
    found = locate(entry, index)
    source = found.address or str(found.path)
    if file.exists() and found.path is not None and file.samefile(found.path):
        raise DnnError([FileTrouble(None, str(file), "this is the file that would be copied")])
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(entry, file, pieces(entry, found, fetch), source, force, progress)
    return Got(file, entry, source)


def _write(
    entry: ZooEntry,
    file: Path,
    data: Iterable[bytes],
    source: str,
    force: bool,
    progress: Progress,
) -> None:
    """Write beside the file while the sum is taken, and give it its name when both are right."""
    beside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    sum_, done = hashlib.sha256(), 0
    try:
        with named(file), beside.open("wb") as out:
            for piece in data:
                sum_.update(piece)
                out.write(piece)
                done += len(piece)
                progress(done, entry.bytes)
            out.flush()
            os.fsync(out.fileno())
        compare(entry, source, done, sum_.hexdigest())
        if force:
            os.replace(beside, file)
        else:
            place(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def place(beside: Path, file: Path) -> None:
    """Give a file its name where nothing has taken it meanwhile."""
    try:
        os.link(beside, file)
    except FileExistsError:
        raise DnnError([FileThere(None, str(file))]) from None
    except OSError:  # a file system without links
        if file.exists():
            raise DnnError([FileThere(None, str(file))]) from None
        os.replace(beside, file)


def compare(entry: ZooEntry, source: str, size: int, sha256: str) -> None:
    """Raise DnnError with OtherFile where a file is not the one that the index means."""
    if size != entry.bytes:
        found = f"more than {entry.bytes:,} bytes" if size > entry.bytes else f"{size:,} bytes"
        raise DnnError([OtherFile(None, source, "size", f"{entry.bytes:,} bytes", found)])
    if sha256 != entry.sha256:
        raise DnnError([OtherFile(None, source, "sha256", entry.sha256, sha256)])
