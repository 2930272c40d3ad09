"""What is left unsaid while a part of the text could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic
from deepdsl.language.syntax import ast

_NAME = re.compile(r"[A-Za-z_]\w*")


def beside_gaps(
    file: ast.File, found: Iterable[Diagnostic], problems: Iterable[Diagnostic]
) -> Iterator[Diagnostic]:
    """The diagnostics that hold whatever the unreadable lines say.

    A line that could not be read was fixed or left out.  So nothing more is said about it, a name
    that is in it is not called unknown, and what it may have supplied is not called missing.
    """
    gaps = [p.span for p in problems if p.span is not None]
    if not gaps:
        yield from found
        return
    lines = {(span.source, span.line) for span in gaps}
    names = {name for span in gaps for name in _NAME.findall(span.source.line(span.line))}
    broken = [item.span for item in file.items if item.span and _any_inside(gaps, item.span)]
    for each in found:
        if each.depends_on == "file":
            continue
        if each.span is not None:
            if (each.span.source, each.span.line) in lines or each.span.text in names:
                continue
            if each.depends_on == "item" and any(_inside(each.span, item) for item in broken):
                continue
        yield each


def _any_inside(spans: Iterable[Span], outer: Span) -> bool:
    return any(_inside(span, outer) for span in spans)


def _inside(span: Span, outer: Span) -> bool:
    return outer.source == span.source and outer.start <= span.start <= outer.end
