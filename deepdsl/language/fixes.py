"""`dnnc check --fix`: does what the warnings of a file advise, as far as they say it exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from deepdsl.core.record import record
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic, Edit, Report

# One fix can make another possible; a handful of rounds is usual.
MOST_ROUNDS = 100

# Everything that is to be said of a text, but the warnings with these codes.
Check = Callable[[Source, Collection[str]], Report]


@record
class Fixed:
    """A text after its fixes, which were made in this order, and what is left to say of it."""

    source: Source
    made: tuple[Diagnostic, ...]
    left: Report


def fix(source: Source, check: Check, allow: Collection[str] = frozenset()) -> Fixed:
    """Make every fix that leaves a program without errors.  A text with errors stays as it is."""
    made: list[Diagnostic] = []
    refused: set[tuple[str, str]] = set()
    seen = {source.text}  # so that two warnings cannot undo each other for ever
    report = check(source, allow)
    for _ in range(MOST_ROUNDS):
        if report.has_errors:
            break
        chosen = tuple(_beside_each_other(d for d in report if _key(d) not in refused))
        if not chosen:
            break
        tried = apply(source, chosen)
        after = check(tried, allow)
        good = tried.text not in seen and _better(chosen, report, after)
        if not good and len(chosen) > 1:
            # One of them does harm: each by itself tells which.
            chosen = chosen[:1]
            tried = apply(source, chosen)
            after = check(tried, allow)
            good = tried.text not in seen and _better(chosen, report, after)
        if not good:
            refused.add(_key(chosen[0]))
            continue
        made += chosen
        seen.add(tried.text)
        source, report = tried, after
    return Fixed(source, tuple(made), report)


def apply(source: Source, diagnostics: Collection[Diagnostic]) -> Source:
    """The text with the edits of these diagnostics."""
    text = source.text
    # From the end, so that the places before stay right.
    for edit in sorted(_edits(diagnostics), key=lambda e: e.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return replace(source, text=text)


def _edits(diagnostics: Collection[Diagnostic]) -> Iterator[Edit]:
    for diagnostic in diagnostics:
        yield from diagnostic.fixes


def _beside_each_other(diagnostics: Iterator[Diagnostic]) -> Iterator[Diagnostic]:
    """Those with fixes that touch no place that an earlier one changes."""
    taken: list[tuple[int, int]] = []
    for diagnostic in diagnostics:
        places = [(e.span.start, e.span.end) for e in diagnostic.fixes]
        if places and not any(a <= d and c <= b for a, b in places for c, d in taken):
            taken += places
            yield diagnostic


def _better(chosen: Collection[Diagnostic], before: Report, after: Report) -> bool:
    """Whether there are no errors, and what was to be fixed is said less often."""
    if after.has_errors:
        return False
    said = [Counter((d.code, d.message) for d in report) for report in (before, after)]
    return all(said[1][key] < said[0][key] for key in {(d.code, d.message) for d in chosen})


def _key(diagnostic: Diagnostic) -> tuple[str, str]:
    span = diagnostic.span
    return diagnostic.code, f"{span.source.line(span.line)}:{span.column}" if span else ""
