"""Finds and reads an index: the shipped one, a folder's, or one at an https address."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.transfer.zoo import BadZooIndex, CannotFetch, NoSuchIndex
from deepdsl.transfer.zoo.entry import INDEX, Index
from deepdsl.transfer.zoo.network import Fetch, secure_fetch
from deepdsl.transfer.zoo.rules import Parsed, entries, wrong_address

MOST_BYTES = 10_000_000
SHIPPED = "the shipped index"


def open_index(named: str | None, fetch: Fetch = secure_fetch) -> Index:
    """The index that `--index` names, a file, a folder or an address; the shipped one for None.

    Raises DnnError with NoSuchIndex, BadIndex or CannotFetch.
    """
    if named is None:
        data = files("deepdsl.transfer.zoo").joinpath(INDEX).read_bytes()
        return _read(data, SHIPPED, None)
    if "://" in named:
        return _online(named, fetch)
    path = Path(named)
    if path.is_dir():
        path = path / INDEX
    return _read(_bytes(path), str(path), path.parent)


def _online(address: str, fetch: Fetch) -> Index:
    if (reason := wrong_address(address)) is not None:
        raise DnnError([CannotFetch(None, address, reason, "the address of an index: https://…")])
    parts = urlsplit(address)
    if not parts.path.endswith(".json"):
        parts = parts._replace(path=f"{parts.path.rstrip('/')}/{INDEX}")
    address = parts.geturl()
    home = parts._replace(path=parts.path.rpartition("/")[0] + "/", query="").geturl()
    return _read(b"".join(fetch(address, MOST_BYTES)), address, home)


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            reason = "there is no index of models here" if not path.exists() else "this is no file"
            raise DnnError([NoSuchIndex(None, str(path), reason)])
        if path.stat().st_size > MOST_BYTES:
            reason = f"it has more than {MOST_BYTES:,} bytes"
            raise DnnError([NoSuchIndex(None, str(path), reason)])
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise DnnError([NoSuchIndex(None, str(path), reason)]) from error


def _read(data: bytes, shown: str, home: Path | str | None) -> Index:
    document = parsed(data, shown)
    return Index(shown, home, entries(document, shown), document)


def parsed(data: bytes, shown: str) -> Any:
    """The JSON of an index; DnnError with BadIndex where it is none."""

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    try:
        text = data.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=Parsed.of, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        reason = f"it is no JSON: {error.msg.lower()} ({where})"
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    raise DnnError([BadZooIndex(None, shown, "", reason)])
