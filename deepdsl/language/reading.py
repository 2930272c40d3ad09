"""Reads the text of a `.dnn` file."""

from __future__ import annotations

from pathlib import Path

from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.cli.files import CannotReadPath


def read_source(path: Path) -> Source:
    """The text of a file, or DnnError with NoSuchFile."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DnnError([CannotReadPath(None, str(path), (error.strerror or "").lower())]) from error
    # As a text file is read: each kind of line end is one.
    text = decoded(raw, str(path)).replace("\r\n", "\n").replace("\r", "\n")
    return Source(str(path), text, str(path))


def decoded(raw: bytes, name: str) -> str:
    """The text of a file, without a byte order mark, or DnnError with what the bytes look like."""
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 text (byte {error.start}){_looks_like(raw, name)}"
        raise DnnError([CannotReadPath(None, name, reason)]) from error


# The first bytes of files that are mistaken for a `.dnn` file.
_BEGINNINGS = {
    b"PK\x03\x04": "a zip or npz file",
    b"\x93NUMPY": "an npy file",
    b"\x1f\x8b": "a file compressed with gzip",
    b"\x89PNG": "an image",
    b"\x89HDF": "an hdf5 file",
    b"\x80\x04": "a pickle",
}


def _looks_like(raw: bytes, name: str) -> str:
    """What a file that is not UTF-8 seems to be, and how to convert it."""
    for start, what in _BEGINNINGS.items():
        if raw.startswith(start):
            return f"; it looks like {what}"
    encoding = ""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    elif b"\0" in raw[:4096]:
        halves = [raw[n:4096:2].count(0) for n in (0, 1)]
        if max(halves) < 0.4 * len(raw[:4096]) / 2:
            return "; it looks like a binary file"
        encoding = "UTF-16LE" if halves[1] > halves[0] else "UTF-16BE"
    elif all(byte >= 0xA0 or byte < 0x80 for byte in raw):
        encoding = "ISO-8859-1"
    else:
        encoding = "WINDOWS-1252"
    return (
        f"; it looks like {encoding}: `iconv -f {encoding} -t UTF-8 {name} > new.dnn` converts it"
    )
