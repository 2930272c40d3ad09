"""The syntax tree as text: one node a line, set in by its depth, with where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from deepdsl.syntax.ast import Syntax


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
        elif isinstance(value, tuple) and any(isinstance(item, Syntax) for item in value):
            below += [("", item) for item in value]
        elif isinstance(value, tuple):
            if value:
                facts.append(_tuple(each.name, value))
        else:
            facts.append(_quoted(value))
    head = f"{label}: " if label else ""
    line, column = node.span.line, node.span.column
    yield " ".join([f"{'  ' * depth}{head}{type(node).__name__}", *facts, f"{line}:{column}"])
    for name, child in below:
        yield from _lines(child, name, depth + 1)


def _tuple(name: str, value: tuple[object, ...]) -> str:
    return ("." if name == "parts" else "x").join(str(item) for item in value)


def _quoted(value: object) -> str:
    return str(value)
