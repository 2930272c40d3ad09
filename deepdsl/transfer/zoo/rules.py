"""The rules of an index: what every key means, and what is wrong with a value, with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from deepdsl.diagnostics import DnnError, did_you_mean
from deepdsl.diagnostics.transfer.zoo import BadZooIndex
from deepdsl.transfer.zoo.entry import (
    DTYPES,
    LONGEST_NAME,
    MOST_BYTES,
    NAME,
    Beside,
    Online,
    Packaged,
    Place,
    ZooEntry,
    ZooTensor,
)
from deepdsl.transfer.zoo.spdx import wrong_licence

FORMAT, VERSION = "deepdsl-zoo", 1
LONGEST_TEXT = 4000
MOST_SIZES, LARGEST_SIZE = 8, 1 << 31

# Project names of PyPI, and versions as PEP 440 has them, roughly.
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_RELEASE = re.compile(r"[0-9][A-Za-z0-9.!+_-]*")
# Windows opens devices under these names, in any folder and with any suffix.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(1, 10))}

Check = Callable[[str, Any], Any]


class Parsed(dict[str, Any]):
    """A JSON object that remembers the keys that it was given twice."""

    twice: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> Parsed:
        made = cls(pairs)
        names = [name for name, _ in pairs]
        made.twice = tuple(sorted({name for name in names if names.count(name) > 1}))
        return made


def entries(document: Any, shown: str) -> dict[str, ZooEntry]:
    """The models of a parsed index by name; DnnError with everything that is wrong with it."""
    rules = _Rules(shown)
    made = rules.index(document)
    if rules.found:
        raise DnnError(rules.found)
    return made


def wrong_name(name: str) -> str | None:
    """Why a model cannot have this name."""
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters"
    if not NAME.fullmatch(name):
        return "a name has small letters and digits, with single `-`, `.` or `_` between them"
    if name.partition(".")[0] in _DEVICES:
        return "this name belongs to a device on Windows"
    return None


def wrong_path(path: str) -> str | None:
    """Why a path cannot be one of a file below a folder."""
    parts = path.split("/")
    if "\\" in path:
        return "a path has `/` between its parts, on every system"
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or path.startswith("~"):
        return "a path is relative to the folder of the index"
    if ".." in parts:
        return "a path does not leave its folder: no `..`"
    if any(part in ("", ".") for part in parts):
        return "a path has a name between each two `/`"
    # In an address these would begin a query, a fragment or a coded character.
    if bad := next((c for c in path if c in '?#%*:"<>|'), None):
        return f"a path has no `{bad}`"
    return None


def wrong_address(address: str) -> str | None:
    """Why an address cannot be fetched from."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "this is no address"
    if parts.scheme == "http":
        return "http without s: anyone on the way could change the file"
    if parts.scheme != "https":
        return "an address begins with https://"
    if not host or not address.isascii() or any(c.isspace() for c in address):
        return "this is no address"
    if parts.username is not None or parts.password is not None:
        return "an address in an index has no user name or password"
    return "an address has no `#`" if parts.fragment else None


class _Rules:
    """Goes through a document and collects what is wrong, with a JSON pointer to each."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.found: list[BadZooIndex] = []

    def wrong(self, at: str, reason: str, advice: str = "") -> None:
        self.found.append(BadZooIndex(None, self.shown, at, reason, advice))

    # Kinds of values --------------------------------------------------------------------------

    def object(
        self, at: str, value: Any, needed: Mapping[str, Check], may: Mapping[str, Check]
    ) -> dict[str, Any] | None:
        """The checked values of an object's keys; None where it is no object."""
        if not isinstance(value, dict):
            keys = ", ".join(f"`{name}`" for name in needed)
            self.wrong(at, f"this is {_kind(value)}", f"write an object with {keys}")
            return None
        known = {**needed, **may}
        for name in getattr(value, "twice", ()):
            self.wrong(below(at, name), "this key stands here twice", "keep one of them")
        for name in (n for n in value if n not in known):
            near = did_you_mean(name, known)
            advice = near if near.startswith("did") else "the keys are " + ", ".join(known)
            self.wrong(below(at, name), "there is no such key", advice)
        for name in (n for n in needed if n not in value):
            self.wrong(at, f"the key `{name}` is missing")
        return {name: known[name](below(at, name), value[name]) for name in known if name in value}

    def list(self, at: str, value: Any, each: Check, least: int = 0) -> tuple[Any, ...]:
        if not isinstance(value, list):
            self.wrong(at, f"this is {_kind(value)}", "write a list: […]")
            return ()
        if len(value) < least:
            self.wrong(at, "this list is empty", f"it has at least {least}")
        return tuple(each(f"{at}/{number}", item) for number, item in enumerate(value))

    def text(self, at: str, value: Any) -> str:
        if not isinstance(value, str):
            self.wrong(at, f"this is {_kind(value)}", 'write a text: "…"')
        elif not value.strip() or value != value.strip():
            self.wrong(at, "this text is empty, or begins or ends with a blank")
        elif not value.isprintable():
            # A terminal would obey them.
            self.wrong(at, "this text has control characters or line ends", "write it in one line")
        elif len(value) > LONGEST_TEXT:
            self.wrong(at, f"this text has more than {LONGEST_TEXT:,} characters")
        else:
            return value
        return ""

    def whole(self, at: str, value: Any, least: int, most: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(at, f"this is {_kind(value)}", "write a whole number")
        elif not least <= value <= most:
            self.wrong(at, f"{_shown(value)} is not between {least:,} and {most:,}")
        else:
            return value
        return least

    def checked(self, at: str, value: Any, why: Callable[[str], str | None], how: str) -> str:
        """A text of which `why` says what is wrong with it."""
        text = self.text(at, value)
        reason = why(text) if text else None
        if reason is not None:
            self.wrong(at, f"{_shown(text)}: {reason}", how)
        return text

    # What an index has ------------------------------------------------------------------------

    def index(self, document: Any) -> dict[str, ZooEntry]:
        needed: dict[str, Check] = {
            "format": self.format,
            "version": self.version,
            "models": lambda at, value: self.list(at, value, self.model),
        }
        if isinstance(document, dict) and isinstance(document.get("version"), int):
            newer = document["version"] > VERSION and document.get("format") == FORMAT
            if newer:  # its keys may be others
                self.version("/version", document["version"])
                return {}
        read = self.object("", document, needed, {"title": self.text})
        made: dict[str, ZooEntry] = {}
        for number, entry in enumerate(read.get("models", ()) if read else ()):
            if entry is None:
                continue
            if entry.name in made:
                self.wrong(
                    f"/models/{number}/name",
                    f"the name `{entry.name}` is taken by a model above",
                    "each model has a name of its own",
                )
            made[entry.name] = entry
        return made

    def format(self, at: str, value: Any) -> None:
        if value != FORMAT:
            self.wrong(at, f"this is {_shown(value)}", f'the index of a zoo has "{FORMAT}" here')

    def version(self, at: str, value: Any) -> None:
        if isinstance(value, bool) or value != VERSION:
            advice = f"this version of dnnc reads version {VERSION}"
            self.wrong(at, f"this is version {_shown(value)}", advice)

    def model(self, at: str, value: Any) -> ZooEntry | None:
        before = len(self.found)
        needed: dict[str, Check] = {
            "name": lambda a, v: self.checked(a, v, wrong_name, "such as text-direction"),
            "title": self.text,
            "does": self.text,
            "file": self.place,
            "sha256": self.sha256,
            "bytes": lambda a, v: self.whole(a, v, 1, MOST_BYTES),
            "licence": self.licence,
            "licence_source": self.text,
            "inputs": lambda a, v: self.tensors(a, v, self.input, 1),
            "outputs": lambda a, v: self.tensors(a, v, self.output, 1),
        }
        may: dict[str, Check] = {
            "cuts": lambda a, v: self.tensors(a, v, self.cut),
            "classes": lambda a, v: self.list(a, v, self.text),
        }
        read = self.object(at, value, needed, may)
        if read is None or len(self.found) > before:
            return None
        read["place"] = read.pop("file")
        return ZooEntry(**read)

    def licence(self, at: str, value: Any) -> str:
        text = self.text(at, value)
        if text and (wrong := wrong_licence(text)) is not None:
            self.wrong(at, *wrong)
        return text

    def sha256(self, at: str, value: Any) -> str:
        text = self.text(at, value)
        if text and not re.fullmatch(r"[0-9a-f]{64}", text):
            advice = "the 64 small hexadecimal digits that `sha256sum FILE` prints"
            self.wrong(at, f"{_shown(text)} is no sha256", advice)
        return text

    def place(self, at: str, value: Any) -> Place | None:
        if isinstance(value, dict):
            release: Check = lambda a, v: self.checked(  # noqa: E731
                a, v, lambda t: None if _RELEASE.fullmatch(t) else "this is no version", "1.4.4"
            )
            package: Check = lambda a, v: self.checked(  # noqa: E731
                a, v, lambda t: None if _PACKAGE.fullmatch(t) else "this is no package", ""
            )
            needed = {"package": package, "version": release, "path": self.path}
            read = self.object(at, value, needed, {})
            return Packaged(**read) if read is not None and len(read) == len(needed) else None
        if isinstance(value, str) and "://" in value:
            how = "https://example.org/models/net.onnx, or a path in the folder of the index"
            return Online(self.checked(at, value, wrong_address, how))
        return Beside(self.path(at, value))

    def path(self, at: str, value: Any) -> str:
        return self.checked(at, value, wrong_path, "such as models/net.onnx")

    def tensors(self, at: str, value: Any, each: Check, least: int = 0) -> tuple[ZooTensor, ...]:
        read = [t for t in self.list(at, value, each, least) if t is not None]
        for number, tensor in enumerate(read):
            if tensor.name in {t.name for t in read[:number]}:
                self.wrong(f"{at}/{number}", f"`{tensor.name}` stands in this list twice")
        return tuple(read)

    def input(self, at: str, value: Any) -> ZooTensor | None:
        needed = {"name": self.text, "dtype": self.dtype, "shape": self.shape, "about": self.text}
        before = len(self.found)
        read = self.object(at, value, needed, {"size": self.size})
        if read is None or len(self.found) > before:
            return None
        tensor = ZooTensor(**read)
        pairs = zip(tensor.shape, tensor.size, strict=False)
        if tensor.size and (
            len(tensor.size) != len(tensor.shape) or any(a not in (None, b) for a, b in pairs)
        ):
            self.wrong(below(at, "size"), "this does not fit `shape`", "a number for each `null`")
        return tensor

    def output(self, at: str, value: Any) -> ZooTensor | None:
        needed = {"name": self.text, "shape": self.shape}
        read = self.object(at, value, needed, {"about": self.text, "dtype": self.dtype})
        return ZooTensor(**read) if read is not None and needed.keys() <= read.keys() else None

    def cut(self, at: str, value: Any) -> ZooTensor | None:
        needed = {"tensor": self.text, "shape": self.shape, "about": self.text}
        read = self.object(at, value, needed, {})
        if read is None or len(read) < len(needed):
            return None
        return ZooTensor(read["tensor"], read["shape"], read["about"])

    def dtype(self, at: str, value: Any) -> str:
        if value not in DTYPES:
            self.wrong(at, f"{_shown(value)} is no element type", "one of: " + ", ".join(DTYPES))
        return str(value)

    def shape(self, at: str, value: Any) -> tuple[int | None, ...]:
        return self._sizes(
            at, value, lambda a, v: None if v is None else self.whole(a, v, 1, LARGEST_SIZE)
        )

    def size(self, at: str, value: Any) -> tuple[int, ...]:
        return self._sizes(at, value, lambda a, v: self.whole(a, v, 1, LARGEST_SIZE))

    def _sizes(self, at: str, value: Any, each: Check) -> tuple[Any, ...]:
        made = self.list(at, value, each)
        if len(made) > MOST_SIZES:
            self.wrong(at, f"a shape has at most {MOST_SIZES} sizes")
        return made


def below(pointer: str, key: str) -> str:
    """A JSON pointer one key further (RFC 6901)."""
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    if value is None:
        return "null"
    return next((n for k, n in kinds.items() if isinstance(value, k)), "a number")


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except ValueError:
        text = "a very long number"
    return text if len(text) <= 80 else f"{text[:79]}…"
