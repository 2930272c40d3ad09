"""Goes through the syntax below a node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from deepdsl.language.syntax import ast


def nodes(node: Any) -> Iterator[ast.Syntax]:
    """The node and everything below it, in the order of the text."""
    todo = [node]
    while todo:
        here = todo.pop()
        if isinstance(here, tuple):
            todo.extend(reversed(here))
        elif isinstance(here, ast.Syntax):
            yield here
            todo.extend(getattr(here, field.name) for field in reversed(fields(here)))


def names_in(node: Any) -> frozenset[str]:
    """The first words of all names that are spoken of there, wherever they are."""
    return frozenset(each.parts[0] for each in nodes(node) if isinstance(each, ast.Path))
