"""Changes of a text, made from its syntax tree: an option set, a unit, a row or a statement put in
or taken out.
"""

from __future__ import annotations

from deepdsl.core.source import Source, Span
from deepdsl.diagnostics.base import Edit
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.places import Unit


def keyword(node: ast.Layer | ast.Row, name: str) -> ast.Keyword | None:
    """The option of this name where it is written in the node itself."""
    for arg in node.args:
        if isinstance(arg, ast.Keyword) and arg.name.text == name:
            return arg
    return None


def set_option(node: ast.Layer | ast.Row, name: str, value: str) -> Edit:
    """`name=value` in the place of what the node says, or after it."""
    given = keyword(node, name)
    if given is not None:
        return Edit(given.span, f"{name}={value}")
    return Edit(_at(node.span.source, node.span.end), f" {name}={value}")


def drop_option(node: ast.Layer | ast.Row, name: str) -> Edit | None:
    """The node without the option; None where it is not written there (a `default` gives it)."""
    given = keyword(node, name)
    if given is None:
        return None
    text, start = given.span.source.text, given.span.start
    while text[start - 1] in " \t":
        start -= 1
    return Edit(Span(given.span.source, start, given.span.end), "")


def drop_unit(unit: Unit) -> Edit | None:
    """The line without one of its layers; None where a comment would be lost, or nothing left."""
    chain, here = unit.chain, unit.layer.span
    if unit.index > 0:
        left = chain.head if unit.index == 1 else chain.rest[unit.index - 2]
        gone = Span(here.source, left.span.end, here.end)
    elif chain.rest:
        gone = Span(here.source, here.start, chain.rest[0].span.start)
    else:
        return None if _shares_its_line(here) else drop_statement(here)
    return None if "#" in gone.text else Edit(gone, "")


def drop_statement(span: Span) -> Edit:
    """The text without a statement or an item: its lines, or its piece of a line."""
    source, text = span.source, span.source.text
    start, end = span.start, span.end
    while start > 0 and text[start - 1] in " \t":
        start -= 1
    stop = _line_end(text, end)
    behind = text[end:stop].strip()
    alone = start == 0 or text[start - 1] == "\n"
    if alone and (not behind or behind.startswith("#")):
        return Edit(Span(source, start, min(stop + 1, len(text))), "")
    if behind.startswith(";"):
        end = text.index(";", end) + 1
        if alone:  # the statement after takes its place
            start = span.start
            while end < len(text) and text[end] in " \t":
                end += 1
    elif text[start - 1] == ";":
        start -= 1
    return Edit(Span(source, start, end), "")


def add_row(section: ast.Data | ast.Train, name: str, value: str = "") -> Edit | None:
    """The section with a row more, which is as those before it do."""
    if not section.rows:
        return None
    last = section.rows[-1]
    source, text = last.span.source, last.span.source.text
    closing = section.span.end - 1
    stop = _line_end(text, last.span.end)
    if closing < stop:
        return Edit(_at(source, last.span.end), f"; {name} {value}".rstrip())
    start = last.span.start
    line = text.rfind("\n", 0, start) + 1
    rows = [r for r in section.rows if isinstance(r, ast.Row) and r.args]
    first = next((r for r in rows if r.span.line == last.span.line), None)
    if text[line:start].strip():  # several rows are in the last line
        row = next(r for r in section.rows if r.span.line == last.span.line)
        start = row.span.start if not text[line : row.span.start].strip() else start
    indent = text[line:start] if not text[line:start].strip() else "  "
    width = len(name) + 1
    if first is not None:
        width = max(width, first.args[0].span.start - first.span.start)
    return Edit(_at(source, stop), f"\n{indent}{name:<{width}}{value}".rstrip(" "))


def _at(source: Source, offset: int) -> Span:
    return Span(source, offset, offset)


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _shares_its_line(span: Span) -> bool:
    text = span.source.text
    line = text[text.rfind("\n", 0, span.start) + 1 : _line_end(text, span.end)]
    return line.strip() != span.text
