"""What is known while a body is gone through: its constants, defaults, parts and values."""

from __future__ import annotations

from collections import Counter
from typing import Any

from deepdsl.analysis.arguments import Environment
from deepdsl.ir import Value
from deepdsl.record import record
from deepdsl.source import Span
from deepdsl.syntax import ast


@record
class Flowing:
    """A value in a body: `value` is None when it could not be made and that has been said."""

    value: Value | None
    span: Span


class Frame:
    """One body being gone through: a model's, or one use of a part."""

    def __init__(
        self,
        prefix: str,
        env: Environment,
        defaults: dict[str, tuple[ast.Keyword, ...]],
        parts: dict[str, ast.Part],
        outer: frozenset[str] = frozenset(),
        current: Flowing | None = None,
    ) -> None:
        self.prefix, self.env, self.defaults, self.parts = prefix, env, defaults, parts
        self.outer, self.current = outer, current
        self.values: dict[str, Flowing] = {} if current is None else {"in": current}
        self.counts: Counter[str] = Counter()
        self.definitions: dict[str, Span] = {}

    def path(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix else name


def inside(span: Span, outer: Span) -> bool:
    return outer.start <= span.start and span.end <= outer.end


def names_used(body: ast.Body) -> frozenset[str]:
    """The names that the flows of a body speak of, at any depth."""
    names: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, ast.Layer):
            names.add(node.path.parts[0])
            names.update(a.parts[0] for a in node.args if isinstance(a, ast.Path))
        elif isinstance(node, ast.Chain):
            visit(node.head)
            for unit in node.rest:
                visit(unit)
        elif isinstance(node, ast.Sum):
            for term in node.terms:
                visit(term)
        elif isinstance(node, ast.Choose):
            visit(node.then)
            visit(node.otherwise)
        elif isinstance(node, ast.Bind):
            visit(node.flow)
        elif isinstance(node, ast.Part):
            # A part that only speaks of itself is not used.
            names.update(names_used(node.body) - {node.name.text})
        elif isinstance(node, ast.Repeat):
            visit(node.body)
        elif isinstance(node, ast.Body):
            for statement in node.statements:
                visit(statement)

    visit(body)
    return frozenset(names)
