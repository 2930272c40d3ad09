"""Finds the syntax of what a typed program speaks of, by its place in the text."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.language.syntax import ast


@record
class Unit:
    """A layer as it is written: it is in a chain, at its head (0) or after it."""

    layer: ast.Layer
    chain: ast.Chain
    index: int


class Places:
    """What is where in a file."""

    def __init__(self, file: ast.File | None) -> None:
        self._source = file.span.source if file else None
        self._units: dict[tuple[int, int], Unit] = {}
        self._sections: dict[int, ast.Data | ast.Train | ast.Phase] = {}
        self._defaults: set[tuple[str, str]] = set()
        self._uses: dict[str, ast.Use] = {}
        for item in file.items if file else ():
            match item:
                case ast.Data():
                    self._sections[item.name.span.start] = item
                case ast.Use():
                    self._uses[item.name.text] = item
                case ast.Train():
                    self._sections[item.model.span.start] = item
                    for phase in item.rows:
                        if isinstance(phase, ast.Phase):
                            self._sections[phase.name.span.start] = phase
                case ast.Model() | ast.Block() | ast.Default():
                    self._visit(item)

    def unit(self, span: Span | None) -> Unit | None:
        """The layer that is written exactly there."""
        if span is None or span.source != self._source:
            return None  # the text of a used file
        return self._units.get((span.start, span.end))

    def section(self, span: Span | None) -> ast.Data | ast.Train | ast.Phase | None:
        """The data section or phase with its name there, or the train section with its model's."""
        return None if span is None else self._sections.get(span.start)

    def row(self, section: Span | None, name: str) -> ast.Row | None:
        """The last row of a name in the section."""
        found = self.section(section)
        rows = found.rows if found else ()
        named = [r for r in rows if isinstance(r, ast.Row) and r.name.text == name]
        return named[-1] if named else None

    def use(self, alias: str) -> ast.Use | None:
        """The `use` line with a name."""
        return self._uses.get(alias)

    def has_default(self, layer: str, option: str) -> bool:
        """Whether a `default` anywhere in the file gives a layer this option."""
        return (layer, option) in self._defaults

    def _visit(self, node: Any) -> None:
        match node:
            case ast.Default():
                options = [a.name.text for a in node.args if isinstance(a, ast.Keyword)]
                self._defaults.update((node.layer.text, option) for option in options)
            case ast.Chain():
                for index, unit in enumerate((node.head, *node.rest)):
                    if isinstance(unit, ast.Layer):
                        self._note(Unit(unit, node, index))
                    else:
                        self._visit(unit)
            case ast.Sum():
                for term in node.terms:
                    # A term is no link of a chain: it cannot be taken out alone.
                    if isinstance(term, ast.Layer):
                        self._note(Unit(term, ast.Chain(term, (), span=term.span), 0))
                    else:
                        self._visit(term)
            case ast.Syntax():
                for each in fields(node):
                    self._visit(getattr(node, each.name))
            case tuple():
                for each in node:
                    self._visit(each)

    def _note(self, unit: Unit) -> None:
        self._units[unit.layer.span.start, unit.layer.span.end] = unit
