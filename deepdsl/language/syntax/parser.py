"""Reads a `.dnn` text into a syntax tree, and says everything that is wrong with it in one go."""

from __future__ import annotations

from functools import cache
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.braces import mismatches
from deepdsl.language.syntax.repair import Finding, Repair, apart, apply
from deepdsl.language.syntax.scan import Layout
from deepdsl.language.syntax.tree import TreeBuilder
from deepdsl.language.syntax.words import CHECKS, not_text, too_deep

if TYPE_CHECKING:
    from lark import Lark

# Nobody fixes more at once, and a text that is wrong everywhere must still be refused quickly.
_MOST = 20
_MOST_CHARACTERS = 1_000_000

_lock = Lock()


def parse(source: Source) -> ast.File:
    """The tree of a text; raises DnnError with all that is wrong with it."""
    file, found = parse_partial(source)
    if file is None or found:
        raise DnnError(found)
    return file


def parse_partial(source: Source) -> tuple[ast.File | None, list[Diagnostic]]:
    """The tree of the statements that are right, and what is wrong with the others.

    The tree is None when too much is wrong to tell.
    """
    text = source.text
    if text.startswith("\ufeff"):  # editors on Windows begin a UTF-8 file with this mark
        text = " " + text[1:]
    found: list[Diagnostic] = []
    closed: list[Repair] = []
    read = 0
    for _ in range(_MOST + 1):
        file, findings = _attempt(source, text)
        for finding in findings:
            if not _follows(finding, closed):
                found.append(finding.diagnostic)
        if file is not None or any(finding.fatal for finding in findings):
            return file, _ordered(found)
        edits = apart(edit for finding in findings for edit in finding.edits)
        changed = apply(text, edits)
        read += len(text)
        if changed == text or len(found) >= _MOST or read > _MOST_CHARACTERS:
            break
        closed += edits
        text = changed
    return None, _ordered(found)


def _attempt(source: Source, text: str) -> tuple[ast.File | None, list[Finding]]:
    """The tree with what does not spoil it, or the next mistakes that do."""
    if findings := list(not_text(source)):
        return None, findings
    layout = Layout(source, text)
    for check in (too_deep, mismatches, *CHECKS):
        if findings := list(islice(check(layout), _MOST)):
            return None, findings
    return _parse(layout)


def _parse(layout: Layout) -> tuple[ast.File | None, list[Finding]]:
    from lark.exceptions import UnexpectedInput

    with _lock:
        parser, builder = _parser()
        builder.begin(layout.source)
        try:
            file: ast.File = parser.parse(layout.text)  # type: ignore[assignment]
        except UnexpectedInput as error:
            from deepdsl.language.syntax.errors import explain

            return None, [explain(layout, error)]
        return file, [Finding(diagnostic, ()) for diagnostic in builder.found]


@cache
def _parser() -> tuple[Lark, TreeBuilder]:
    from deepdsl.language.syntax.tables import load

    builder = TreeBuilder()
    return load(builder), builder


def _follows(finding: Finding, closed: list[Repair]) -> bool:
    """Whether a finding is where something was fixed, and may follow only from that."""
    span = finding.diagnostic.span
    return span is not None and any(edit.start <= span.start <= edit.end for edit in closed)


def _ordered(found: list[Diagnostic]) -> list[Diagnostic]:
    unique = {(each.code, each.span): each for each in found}
    return sorted(unique.values(), key=lambda each: each.sort_key)[:_MOST]
