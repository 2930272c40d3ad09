"""Finds and reads the files that a file uses, at any depth."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import Diagnostic, DnnError, Label, Report, Use, closest
from deepdsl.diagnostics.cli.files import CannotReadPath
from deepdsl.diagnostics.language.names import TooLarge
from deepdsl.diagnostics.language.templates import CannotUse, FilesInCircle
from deepdsl.language.analysis.library import Library
from deepdsl.language.reading import read_source
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.parser import parse_partial
from deepdsl.language.syntax.uses import Uses

MOST_FILES = 100
MOST_BYTES = 10_000_000  # of all texts
# What files of other programs end with.
LIBRARY = ".onnx"


@record
class UseStep:
    """A file on the way from the first to the one that is looked at, and where it is used."""

    key: str
    shown: str
    used_at: Span | None = None


# Opens a file of another program: its path, what messages call it, and where it is used.
OpenLibrary = Callable[[Path, str, Span], Library]


def gather(
    file: ast.File, report: Report, open_library: OpenLibrary
) -> tuple[Uses, list[Diagnostic]]:
    """The files that a file uses, and what could not be read in their texts.

    What is wrong with the `use` lines goes to `report`.
    """
    gathering = _Gathering(report, open_library)
    source = file.span.source
    first = UseStep(os.path.realpath(source.path) if source.path else "", source.name)
    gathering.follow(file, (first,))
    return Uses(gathering.files, gathering.libraries), gathering.problems


class _Gathering:
    """The files that were reached so far; each is read once."""

    def __init__(self, report: Report, open_library: OpenLibrary) -> None:
        self.report, self._open_library = report, open_library
        self.files: dict[Span, ast.File] = {}
        self.libraries: dict[Span, Any] = {}
        self.problems: list[Diagnostic] = []
        self._known: dict[str, ast.File | None] = {}
        self._opened: dict[str, Any] = {}
        self._bytes = 0

    def follow(self, file: ast.File, way: tuple[UseStep, ...]) -> None:
        before = self.report.uses
        for item in file.items:
            if isinstance(item, ast.Use):
                self.report.uses = before
                made = self._reached(item, way)
                if made is not None:
                    self.files[item.span] = made
        self.report.uses = before

    def _reached(self, item: ast.Use, way: tuple[UseStep, ...]) -> ast.File | None:
        shown = os.path.join(item.span.source.folder, item.file.value)
        if item.file.value.endswith(LIBRARY):
            self._library(item, shown)
            return None
        key = os.path.realpath(shown)
        step = UseStep(key, shown, item.file.span)
        if any(each.key == key for each in way):
            self.report.add(_circle(way, step))
            return None
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._read(item, shown, (*way, step))
        return self._known[key]

    def _library(self, item: ast.Use, shown: str) -> None:
        """A file of another program; what is wrong with it is at its name."""
        key = os.path.realpath(shown)
        if key not in self._opened:
            self._opened[key] = None
            if (refused := self._refused(item, shown)) is not None:
                self.report.add(refused)
                return
            try:
                self._opened[key] = self._open_library(Path(shown), shown, item.file.span)
            except DnnError as error:
                self.report.extend(error.diagnostics)
        if self._opened[key] is not None:
            self.libraries[item.span] = self._opened[key]

    def _read(self, item: ast.Use, shown: str, way: tuple[UseStep, ...]) -> ast.File | None:
        refused = self._refused(item, shown)
        if refused is not None:
            self.report.add(refused)
            return None
        try:
            source = read_source(Path(shown))
        except DnnError as error:
            reasons = [d.reason for d in error.diagnostics if isinstance(d, CannotReadPath)]
            self.report.add(CannotUse(item.file.span, shown, reasons[0]))
            return None
        return self._parsed(Source(shown, source.text, shown), item, way)

    def _parsed(self, source: Source, item: ast.Use, way: tuple[UseStep, ...]) -> ast.File | None:
        file, problems = parse_partial(source)
        self.report.uses = (Use(f"`{item.name.text}`", item.span), *self.report.uses)
        told = Report()
        told.uses = self.report.uses
        told.extend(problems)
        self.problems += told
        if file is not None:
            self.files[item.span] = file  # before those that it uses
            self.follow(file, way)
        return file

    def _refused(self, item: ast.Use, shown: str) -> Diagnostic | None:
        """Why a file is not read."""
        span = item.file.span
        if not shown.endswith((".dnn", LIBRARY)):
            reason = "it is neither a .dnn nor an .onnx file"
            return CannotUse(span, shown or '""', reason, _other(shown))
        if os.path.isdir(shown):
            return CannotUse(span, shown, "it is a folder")
        if not os.path.isfile(shown):
            return CannotUse(span, shown, "there is no such file", _other(shown))
        count = len(self._known) + len(self._opened)
        if count > MOST_FILES:
            return TooLarge(span, f"{count} files are used up to here", str(MOST_FILES))
        if shown.endswith(LIBRARY):
            return None  # its reader knows how large it may be
        self._bytes += os.path.getsize(shown)
        if self._bytes > MOST_BYTES:
            told = f"the files that are used have {self._bytes:,} bytes up to here"
            return TooLarge(span, told, f"{MOST_BYTES:,}")
        return None


def _other(shown: str) -> str:
    """A file beside it that may be meant."""
    folder, name = os.path.split(shown)
    try:
        endings = LIBRARY if name.endswith(LIBRARY) else (".dnn", LIBRARY)
        there = sorted(f for f in os.listdir(folder or ".") if f.endswith(endings))
    except (OSError, ValueError):
        return ""
    near = f"{name}.dnn" if f"{name}.dnn" in there else closest(name, there)
    return f"did you mean `{near}`?" if near and near != name else ""


def _circle(way: tuple[UseStep, ...], step: UseStep) -> FilesInCircle:
    start = next(i for i, each in enumerate(way) if each.key == step.key)
    ring = (*way[start:], step)
    assert step.used_at is not None
    labels = tuple(
        Label(each.used_at, f"{os.path.basename(each.shown)} is used here")
        for each in ring[1:-1]
        if each.used_at is not None
    )
    names = (os.path.basename(each.shown) for each in ring)
    return FilesInCircle(step.used_at, tuple(names), labels)


# Keeping them -------------------------------------------------------------------------------------

# What the file, and those that it uses, are called where they are kept.
SPEC, USED = "spec.dnn", "used"


def kept_together(file: ast.File, uses: Uses) -> dict[str, str | bytes]:
    """What a file and all that it uses are, by their places in a folder of their own; their `use`
    lines speak of these.  Texts, and the bytes of files of other programs, with the files that
    these need inside.
    """
    names: dict[int, str] = {}
    for used in uses.files.values():
        if id(used) not in names:
            names[id(used)] = _free(used.span.source.name, names.values())
    for library in uses.libraries.values():
        if id(library) not in names:
            names[id(library)] = _free(library.shown, names.values(), LIBRARY)
    kept: dict[str, str | bytes] = {SPEC: _moved(file, uses, names, f"{USED}/")}
    for used in uses.files.values():
        kept[f"{USED}/{names[id(used)]}"] = _moved(used, uses, names, "")
    for library in uses.libraries.values():
        kept[f"{USED}/{names[id(library)]}"] = library.kept()
    return kept


def _free(path: str, taken: Collection[str], ending: str = ".dnn") -> str:
    """The file's own name, or one with a number where another has it."""
    stem = os.path.basename(path).removesuffix(ending)
    number, name = 2, f"{stem}{ending}"
    while name.lower() in {other.lower() for other in taken}:
        number, name = number + 1, f"{stem}-{number}{ending}"
    return name


def _moved(file: ast.File, uses: Uses, names: Mapping[int, str], folder: str) -> str:
    text = file.span.source.text
    found = {**uses.files, **uses.libraries}
    lines = [i for i in file.items if isinstance(i, ast.Use) and i.span in found]
    # From the end, so that the places before stay right.
    for line in reversed(lines):
        there, span = names[id(found[line.span])], line.file.span
        text = f'{text[: span.start]}"{folder}{there}"{text[span.end :]}'
    return text
