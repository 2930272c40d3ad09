"""What is known while a body is gone through: its constants, defaults, parts and values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.graph import Value
from deepdsl.language.analysis.arguments import DefaultOption
from deepdsl.language.analysis.values import Environment
from deepdsl.language.syntax import ast


@record
class Flowing:
    """A value in a body: `value` is None when it could not be made and that has been said."""

    value: Value | None
    span: Span


class Frame:
    """One body being gone through: a model's, or one use of a part or a block.

    `what` is which of these.  In a frame that is `idle` nothing is made: what is there is not
    reached, and only its names and options are looked at.
    """

    def __init__(
        self,
        what: str,
        prefix: str,
        env: Environment,
        defaults: Mapping[str, tuple[DefaultOption, ...]],
        current: Flowing | None = None,
        idle: bool = False,
    ) -> None:
        self.what, self.prefix, self.env, self.idle = what, prefix, env, idle
        self.defaults = dict(defaults)
        self.current = current
        self.parts: dict[str, ast.Part] = {}
        self.outer: frozenset[str] = frozenset()  # values around it, which it does not see
        self.within: frozenset[str] = frozenset()  # the parts that it is in
        self.values: dict[str, Flowing] = {}
        self.inputs: Sequence[ast.Input] = ()  # those that are in it
        self.outputs: dict[str, tuple[Value, Span]] | None = None  # None where it has none
        self.counts: Counter[str] = Counter()
        self.numbered: dict[str, Span] = {}  # the names that uses of blocks have got
        self.definitions: dict[str, Span] = {}

    def path(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix else name

    def inside(self, part: ast.Part, into: Flowing) -> Frame:
        """The body of a part that is here."""
        name = part.name.text
        inner = Frame("part", self.path(name), self.env, self.defaults, into, self.idle)
        inner.parts = {k: v for k, v in self.parts.items() if k != name}
        inner.outer = self.outer | frozenset(self.values)
        inner.within = self.within | {name}
        inner.values["in"] = into
        inner.outputs = self.outputs
        return inner

    def unreached(self) -> Frame:
        """The same place where it is not reached: nothing is known of numbers and values."""
        current = self.current and Flowing(None, self.current.span)
        seen = Frame(self.what, self.prefix, self.env.unknown(), self.defaults, current, True)
        seen.parts, seen.outer, seen.within = dict(self.parts), self.outer, self.within
        seen.values = {name: Flowing(None, f.span) for name, f in self.values.items()}
        seen.definitions = dict(self.definitions)
        seen.inputs, seen.outputs = self.inputs, None if self.outputs is None else {}
        return seen


def inside(span: Span, outer: Span) -> bool:
    return outer.start <= span.start and span.end <= outer.end


def names_used(node: Any) -> frozenset[str]:
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

    visit(node)
    return frozenset(names)
