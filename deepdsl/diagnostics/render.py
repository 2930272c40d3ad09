"""Diagnostics as a person reads them on a terminal: source lines, carets, labels, help."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from deepdsl.core.source import Source
from deepdsl.core.text import plural
from deepdsl.diagnostics.base import Diagnostic, Label, Severity

_COLORS = {"error": "1;31", "warning": "1;33", "bold": "1", "blue": "1;34", "help": "1;36"}

Paint = Callable[[str, str], str]

# Longer lines are cut, so that a file without line ends cannot flood the terminal.
_WIDEST = 160
_BEFORE_CUT = 40

# Control characters as pictures: a terminal would obey them.
_PICTURES = {code: 0x2400 + code for code in range(32) if code != 9} | {0x7F: 0x2421}
# Halves of surrogate pairs cannot be written at all.
_PICTURES |= dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)


def render(diagnostic: Diagnostic, color: bool = False) -> str:
    """One diagnostic with its lines of source, as plain text or with ANSI colours."""

    def paint(text: str, style: str) -> str:
        return f"\x1b[{_COLORS[style]}m{text}\x1b[0m" if color and text else text

    severity = diagnostic.severity.value
    lines = [
        paint(f"{severity}[{diagnostic.code}]", severity) + paint(f": {diagnostic.message}", "bold")
    ]
    if diagnostic.span is not None:
        lines += _excerpt(diagnostic, paint)
    if diagnostic.help:
        lines.append(paint("help", "help") + f": {diagnostic.help}")
    if diagnostic.severity is Severity.WARNING:
        lines[-1] += f"{'  ' if diagnostic.help else ''}(dnnc explain {diagnostic.code})"
    return "\n".join(lines) + "\n"


def _excerpt(diagnostic: Diagnostic, paint: Paint) -> list[str]:
    assert diagnostic.span is not None
    span = diagnostic.span
    labels = [Label(span, diagnostic.label), *diagnostic.notes, *_uses(diagnostic)]
    here = [label for label in labels if label.span.source == span.source]
    elsewhere = [label for label in labels if label.span.source != span.source]
    width = max(len(str(label.span.line)) for label in labels)
    gutter = " " * (width + 1) + paint("|", "blue")
    lines = [
        " " * width + paint("-->", "blue") + f" {span.source.name}:{span.line}:{span.column}",
        gutter,
    ]
    style = diagnostic.severity.value
    lines += _lines_of(span.source, here, labels[0], width, paint, style)
    for label in elsewhere:
        where = label.span
        lines += [
            " " * width
            + paint(":::", "blue")
            + f" {where.source.name}:{where.line}:{where.column}",
            gutter,
        ]
        lines += _lines_of(where.source, [label], labels[0], width, paint, style)
    return [*lines, gutter]


# Of a long way to a place, this many uses are shown.
_MOST_USES = 6


def _uses(diagnostic: Diagnostic) -> list[Label]:
    """Where the text of the message is used, from the inside out; a place is shown once."""
    told: list[Label] = []
    hidden = len(diagnostic.uses) - _MOST_USES
    for number, use in enumerate(diagnostic.uses[:_MOST_USES], 1):
        words = f"{use.name} is used here"
        if number == 1 and diagnostic.elsewhere:
            words += f", and {diagnostic.elsewhere} more {plural(diagnostic.elsewhere, 'time')}"
        if number == _MOST_USES and hidden > 0:
            words += f", inside {hidden} more"
        told.append(Label(use.span, words))
    return told


def _lines_of(
    source: Source, labels: list[Label], primary: Label, width: int, paint: Paint, style: str
) -> list[str]:
    out: list[str] = []
    shown = 0
    cut = 0
    for label in sorted(labels, key=lambda each: each.span.start):
        number, column = source.position(label.span.start)
        if number != shown:
            if 0 < shown < number - 2:
                out.append(paint("...", "blue"))
            elif 0 < shown == number - 2 and source.line(shown + 1).strip():
                out.append(_numbered(source, shown + 1, 0, width, paint))
            cut = column - _BEFORE_CUT if column > _WIDEST else 0
            out.append(_numbered(source, number, cut, width, paint))
            shown = number
        text = source.line(number)
        room = min(len(text) - column + 1, _WIDEST + cut - column)
        length = max(1, min(label.span.end - label.span.start, room))
        mark = "^" if label is primary else "-"
        # A tab before the mark stays a tab, so that the mark is under its text.
        before = text[cut : column - 1]
        lead = "".join("\t" if c == "\t" else " " for c in before) + " " * bool(cut)
        said = f"{mark * length} {label.text}".rstrip()
        out.append(
            " " * (width + 1)
            + paint("|", "blue")
            + f" {lead[:_WIDEST]}"
            + paint(said, style if label is primary else "blue")
        )
    return out


def _numbered(source: Source, number: int, cut: int, width: int, paint: Paint) -> str:
    text = source.line(number)
    shown = ("…" if cut else "") + text[cut : cut + _WIDEST]
    shown += "…" if len(text) > cut + _WIDEST else ""
    return paint(f"{number:>{width}} |", "blue") + f" {shown.translate(_PICTURES)}".rstrip()


def render_all(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """Every diagnostic, then one line that counts them; empty for none."""
    found = list(diagnostics)
    if not found:
        return ""
    errors = sum(d.severity is Severity.ERROR for d in found)
    warnings = len(found) - errors
    parts = [
        f"{n} {word}{'s' if n > 1 else ''}"
        for n, word in ((errors, "error"), (warnings, "warning"))
        if n
    ]
    return "\n".join([*(render(d, color) for d in found), " and ".join(parts) + "\n"])
