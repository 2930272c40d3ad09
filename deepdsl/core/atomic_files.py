"""Writing files so that they are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside the file, flush to the disk, and rename over it."""
    beside = path.with_name(f".{path.name}{_mark()}")
    try:
        with named(path):
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let the system's refusals speak of this file: a full disk names none, and the one that is
    written beside it is nobody's.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None or _mark() in str(error.filename):
            error.filename, error.filename2 = str(path), None
        raise


def _mark() -> str:
    return f".{os.getpid()}.tmp"
