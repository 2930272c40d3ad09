"""What is left unsaid while a part of the text could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from deepdsl.diagnostics import Diagnostic

_NAME = re.compile(r"[A-Za-z_]\w*")


def beside_gaps(
    found: Iterable[Diagnostic], problems: Iterable[Diagnostic]
) -> Iterator[Diagnostic]:
    """The diagnostics that hold whatever the unreadable lines say.

    A line that could not be read was mended or left out.  So nothing more is said about it, nothing
    is called missing, and a name that stands in it is not called unknown."""
    spans = [p.span for p in problems if p.span is not None]
    if not spans:
        yield from found
        return
    lines = {span.line for span in spans}
    names = {name for span in spans for name in _NAME.findall(span.source.line(span.line))}
    for each in found:
        if each.absence or (each.span and (each.span.line in lines or each.span.text in names)):
            continue
        yield each
