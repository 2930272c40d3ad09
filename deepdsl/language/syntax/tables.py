"""The parser's tables: made from the grammar once, then read from the user's cache directory."""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import sys
from contextlib import suppress
from importlib import resources
from io import BytesIO
from pathlib import Path

from lark import Lark
from lark import __version__ as lark_version


def grammar_text() -> str:
    return resources.files("deepdsl.grammar").joinpath("dnn.lark").read_text(encoding="utf-8")


def load(callbacks: object) -> Lark:
    """A parser that calls `callbacks` as it reduces; without a cache it takes longer to make."""
    grammar = grammar_text()
    file = _cache_file(grammar)
    if file is not None and (kept := _read(file)) is not None:
        # A damaged file may hold anything at all, and then the tables are made again.
        with suppress(Exception):
            return _with_callbacks(kept, callbacks)
    made = BytesIO()
    Lark(grammar, start="start", parser="lalr", lexer="contextual").save(made)
    if file is not None:
        _write(file, made.getvalue())
    return _with_callbacks(made.getvalue(), callbacks)


def _with_callbacks(tables: bytes, callbacks: object) -> Lark:
    # What lark's own are-alone parsers call: unlike `load`, it takes the callbacks.
    parser: Lark = Lark._load_from_dict(  # type: ignore[no-untyped-call]
        **pickle.loads(tables), transformer=callbacks
    )
    return parser


def _cache_file(grammar: str) -> Path | None:
    facts = "\n".join((grammar, lark_version, sys.version))
    name = f"grammar-{hashlib.sha256(facts.encode()).hexdigest()[:24]}.tables"
    folder = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(folder):
        return Path(folder, "deepdsl", name)
    with suppress(RuntimeError):  # no home directory
        return Path.home() / ".cache" / "deepdsl" / name
    return None


def _read(file: Path) -> bytes | None:
    # Unpickling runs code, so only what this user alone can have written is read.
    with suppress(OSError):
        if _own(file.parent) and _own(file):
            return file.read_bytes()
    return None


def _own(path: Path) -> bool:
    if not hasattr(os, "getuid"):
        return True
    facts = path.lstat()
    writable = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return facts.st_uid == os.getuid() and not writable and not stat.S_ISLNK(facts.st_mode)


def _write(file: Path, tables: bytes) -> None:
    # Imported here: tables are written once, and read by every command.
    import tempfile

    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".grammar-")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(tables)
            os.replace(temporary, file)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
