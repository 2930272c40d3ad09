"""What is found wrong in a text, and how to continue after it without moving anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from deepdsl.core.record import record
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic
from deepdsl.language.syntax.scan import Layout, Statement

# Longer lines are not repeated in a help text.
_LINE = 90
_VISIBLE = re.compile(r"[^ \t\r\n]+")


@record
class Repair:
    """Put `text`, which is as long, in the place of the characters `start` up to `end`."""

    start: int
    end: int
    text: str


@record
class Finding:
    """A diagnostic, and the edits after which the rest of the text can be judged by itself."""

    diagnostic: Diagnostic
    edits: tuple[Repair, ...]
    fatal: bool = False


def blank(layout: Layout, start: int, end: int) -> Repair:
    hidden = _VISIBLE.sub(lambda match: " " * len(match[0]), layout.text[start:end])
    return Repair(start, end, hidden)


def blank_statement(layout: Layout, statement: Statement) -> Repair:
    return blank(layout, *layout.extent(statement))


def closes(layout: Layout, index: int) -> int | None:
    """Where a list ends that is closed on a line further down, with no brace between."""
    depth = 0
    for token in layout.tokens[index:]:
        if token.kind == "mark":
            depth += (token.text == "[") - (token.text == "]")
            if depth == 0 or token.text in ("{", "}"):
                return token.end if token.text == "]" else None
    return None


def apply(text: str, edits: Iterable[Repair]) -> str:
    """The text with edits made; they do not overlap."""
    pieces: list[str] = []
    done = 0
    for edit in sorted(edits, key=lambda each: each.start):
        pieces += text[done : edit.start], edit.text
        done = edit.end
    return "".join([*pieces, text[done:]])


def apart(edits: Iterable[Repair]) -> list[Repair]:
    """Edits without those that lie within or across earlier ones."""
    kept: list[Repair] = []
    for edit in sorted(edits, key=lambda each: (each.start, -each.end)):
        if not kept or kept[-1].end <= edit.start:
            kept.append(edit)
    return kept


def mended_line(source: Source, at: int, *changes: tuple[int, int, str]) -> str:
    """The line around `at` after changes, without its comment; empty when too long to show."""
    number, column = source.position(at)
    start = at - column + 1
    line = source.line(number)
    if len(line) > 4 * _LINE:
        return ""
    for first, last, text in sorted(changes, reverse=True):
        if not start <= first <= last <= start + len(line):
            return ""
        line = line[: first - start] + text + line[last - start :]
    line = re.sub(r'^((?:[^"#]|"[^"]*")*)#.*', r"\1", line).strip()
    return line if len(line) <= _LINE else ""


def short(text: str, width: int = 40) -> str:
    text = " ".join(text[: 4 * width].split())
    return text if len(text) <= width else text[: width - 2] + " …"
