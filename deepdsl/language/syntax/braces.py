"""Braces that do not match: which is missing or too much, told from margins and beginnings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deepdsl.core.source import Span
from deepdsl.diagnostics.language.structure import MissingOpeningBrace
from deepdsl.diagnostics.language.syntax import MissingClosingBrace, StrayClosingBrace
from deepdsl.language.syntax.repair import Finding, Repair, blank, mended_line, short
from deepdsl.language.syntax.scan import Layout, Statement

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_PATH = rf"{_WORD}(?:\s*\.\s*{_WORD})*"
_HEADER = re.compile(
    rf"""
    (?:model|data)\s+{_WORD}\s*\{{ | block\s+{_WORD}\s*\( | export\s+{_PATH}\s*\{{
  | train\s+{_PATH}\s+on\s+{_WORD}\s*\{{ | use\s+"[^"\n]*"\s+as\b
    """,
    re.VERBOSE,
)
_ITEMS = frozenset({"use", "let", "default", "block", "model", "data", "train", "export"})
_WITH_BRACES = frozenset({"block", "model", "data", "train", "export", "part", "phase", "repeat"})


def mismatches(layout: Layout) -> Iterator[Finding]:
    """The first mismatch; the next shows when that one is out of the way."""
    if (header := _item_inside(layout)) is not None:
        yield _unclosed(layout, header)
    elif layout.unclosed:
        yield _unclosed(layout, None)
    elif layout.stray:
        yield _stray(layout, layout.stray[0])


def _item_inside(layout: Layout) -> int | None:
    """The first token at the margin that begins an item although a brace is still open there."""
    best: int | None = None
    for frame in layout.frames[1:]:
        for statement in frame.statements:
            first = statement.tokens[0]
            token = layout.tokens[first]
            if best is not None and first > best:
                break
            if not layout.starts_line(first) or not _HEADER.match(layout.text, token.start):
                continue
            if _column(layout, first) <= _column(layout, _item_of(layout, first).tokens[0]):
                best = first
    return best


def _column(layout: Layout, index: int) -> int:
    return layout.source.position(layout.tokens[index].start)[1]


def _item_of(layout: Layout, index: int) -> Statement:
    statement = layout.statement_of[index]
    assert statement is not None
    while statement.frame.parent is not None:
        statement = statement.frame.parent
    return statement


def _unclosed(layout: Layout, header: int | None) -> Finding:
    if header is None:
        first = layout.unclosed[0].opening
        assert first is not None
        end, stop = len(layout.text), len(layout.tokens)
    else:
        first = header
        end, stop = layout.tokens[header].start, header
    item = _item_of(layout, first)
    start = layout.tokens[item.tokens[0]].start
    opening, before = _forgotten(layout, item.tokens[0], stop)
    before = header if before is None else before
    diagnostic = MissingClosingBrace(
        layout.span(opening),
        _header_text(layout, opening),
        layout.span(before) if before is not None else None,
    )
    if before is None:
        # Nothing says where it should have been closed but the end of the file.
        return Finding(diagnostic, (Repair(end, end, "\n" + "}" * len(layout.unclosed)),))
    return Finding(diagnostic, (blank(layout, start, end),))


def _forgotten(layout: Layout, start: int, stop: int) -> tuple[int, int | None]:
    """The brace that was not closed, and the `}` under an outer line that shows it."""
    stack: list[tuple[int, int]] = []
    margin = 1
    for index in range(start, stop):
        token = layout.tokens[index]
        if layout.starts_line(index):
            margin = _column(layout, index)
        if token.kind != "mark":
            continue
        if token.text == "{":
            stack.append((index, margin))
        elif token.text == "}" and stack:
            inner = stack.pop()
            if layout.starts_line(index) and inner[1] > margin and margin in (m for _, m in stack):
                return inner[0], index
    return stack[-1][0] if stack else start, None


def _header_text(layout: Layout, brace: int) -> str:
    """The words that belong to a `{`: `part body`, `repeat 3`."""
    statement = layout.statement_of[brace]
    assert statement is not None
    start = layout.tokens[statement.tokens[0]].start
    for index in layout.heads(statement):
        if index <= brace and layout.tokens[index].text in _WITH_BRACES:
            start = layout.tokens[index].start
    return short(layout.text[start : layout.tokens[brace].start]) or "{"


def _stray(layout: Layout, brace: int) -> Finding:
    items = [s for s in layout.file.statements if s.tokens[0] < brace]
    end = layout.tokens[brace].end
    if (header := _without_brace(layout, items, brace)) is not None:
        first = layout.tokens[header.tokens[0]]
        last = layout.tokens[header.tokens[-1]]
        what = layout.text[first.start : last.end]
        mended = mended_line(layout.source, first.start, (last.end, last.end, " {"))
        headless = MissingOpeningBrace(
            Span(layout.source, first.start, last.end), short(what), mended or f"{short(what)} {{"
        )
        start = layout.tokens[_item_of(layout, header.tokens[0]).tokens[0]].start
        return Finding(headless, (blank(layout, start, end),))
    closed = [s for s in items if layout.tokens[s.tokens[-1]].text == "}"]
    loose = [
        s
        for s in items
        if (not closed or s.tokens[0] > closed[-1].tokens[0]) and layout.words(s)[0] not in _ITEMS
    ]
    if closed and loose:
        before = closed[-1].tokens[-1]
        diagnostic = StrayClosingBrace(layout.span(brace), layout.span(before))
        return Finding(diagnostic, (blank(layout, layout.tokens[before].end, end),))
    stray = StrayClosingBrace(layout.span(brace), None)
    return Finding(stray, (blank(layout, layout.tokens[brace].start, end),))


def _without_brace(layout: Layout, items: list[Statement], brace: int) -> Statement | None:
    """The last statement before a stray `}` that should have had braces and has none."""
    if not items:
        return None
    start = items[-1].tokens[0]
    for item in reversed(items):
        start = item.tokens[0]
        if "{" in layout.words(item):
            break
    found = [
        statement
        for statement in layout.statements()
        if start <= statement.tokens[0] < brace
        and layout.words(statement)[0] in _WITH_BRACES
        and "{" not in layout.words(statement)
        and layout.words(statement)[1:2] != ["="]
        and len(statement.tokens) > 1
        and (
            statement.frame is layout.file
            or layout.words(statement)[0] in ("part", "phase", "repeat")
        )
    ]
    return found[-1] if found else None
