"""The syntax tree as text: one node a line, set in by its depth, with where it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from deepdsl.language.syntax.ast import String, Syntax

# The fields that hold several simple things, and what is between these.
_BETWEEN = {"parts": ".", "sides": "x"}


def dump(file: Syntax) -> str:
    """Each node's kind, place (`line:column`) and simple fields; below it the nodes it holds."""
    return "".join(line + "\n" for line in _lines(file, "", 0))


def _lines(node: Syntax, label: str, depth: int) -> Iterator[str]:
    facts: list[str] = []
    below: list[tuple[str, Syntax]] = []
    for each in fields(node):
        value = getattr(node, each.name)
        if each.name == "span" or value is None:
            continue
        if isinstance(value, Syntax):
            below.append((each.name, value))
        elif each.name in _BETWEEN:
            facts.append(_BETWEEN[each.name].join(map(str, value)))
        elif isinstance(value, tuple):
            below += [("", item) for item in value]
        else:
            facts.append(repr(value) if isinstance(node, String) else str(value))
    head = f"{label}: " if label else ""
    line, column = node.span.line, node.span.column
    yield " ".join([f"{'  ' * depth}{head}{type(node).__name__}", *facts, f"{line}:{column}"])
    for name, child in below:
        yield from _lines(child, name, depth + 1)
