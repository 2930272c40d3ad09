"""Builds the syntax tree while the grammar is being matched: one method a rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import Diagnostic
from deepdsl.diagnostics.language.structure import KeywordAsName
from deepdsl.language.syntax import ast

# Where these may be the grammar has already taken them for what they mean; anything else is a
# mistake.
FLOW_WORDS = frozenset({"if", "then", "else", "repeat", "reuse"})
RESERVED = FLOW_WORDS | {"input", "default", "let", "part", "in", "true", "false", "none"}

# What a rule has matched: the parser's tokens, and the trees that the rules below have made of
# them.
Matched = list[Any]


class TreeBuilder:
    """The methods are named for the rules of the grammar and get what these matched."""

    def __init__(self) -> None:
        self.begin(Source("", ""))

    def begin(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []

    def _span(self, matched: Matched) -> Span:
        # Braces that were missing are put in after the end of the text.
        end = min(_end(matched[-1]), len(self.source.text))
        return Span(self.source, _start(matched[0]), end)

    # Items

    def file(self, matched: Matched) -> ast.File:
        return ast.File(tuple(matched), span=Span(self.source, 0, len(self.source.text)))

    def use(self, matched: Matched) -> ast.Use:
        _, file, _, name, *args = matched
        self._declared(name)
        return ast.Use(file, name, tuple(args), span=self._span(matched))

    def let(self, matched: Matched) -> ast.Let:
        _, name, _, value = matched
        return ast.Let(self._declared(name), value, span=self._span(matched))

    def default(self, matched: Matched) -> ast.Default:
        _, layer, *args = matched
        return ast.Default(layer, tuple(args), span=self._span(matched))

    def block(self, matched: Matched) -> ast.Block:
        _, name, _, *parameters, _, body = matched
        return ast.Block(self._declared(name), tuple(parameters), body, span=self._span(matched))

    def param(self, matched: Matched) -> ast.Parameter:
        default = matched[2] if len(matched) == 3 else None
        return ast.Parameter(self._declared(matched[0]), default, span=self._span(matched))

    def model(self, matched: Matched) -> ast.Model:
        _, name, body = matched
        return ast.Model(self._declared(name), body, span=self._span(matched))

    def data(self, matched: Matched) -> ast.Data:
        _, name, _, rows, _ = matched
        return ast.Data(self._declared(name), rows, span=self._span(matched))

    def train(self, matched: Matched) -> ast.Train:
        _, model, _, data, _, *rows, _ = matched
        return ast.Train(model, data, tuple(rows), span=self._span(matched))

    def export(self, matched: Matched) -> ast.Export:
        _, model, _, rows, _ = matched
        return ast.Export(model, rows, span=self._span(matched))

    # Bodies and rows

    def body(self, matched: Matched) -> ast.Body:
        return ast.Body(tuple(matched[1:-1]), span=self._span(matched))

    def input(self, matched: Matched) -> ast.Input:
        _, name, shape, *args = matched
        return ast.Input(self._declared(name), shape, tuple(args), span=self._span(matched))

    def part(self, matched: Matched) -> ast.Part:
        _, name, body = matched
        return ast.Part(self._declared(name), body, span=self._span(matched))

    def bind(self, matched: Matched) -> ast.Bind:
        name, _, flow = matched
        return ast.Bind(self._declared(name), flow, span=self._span(matched))

    def rows(self, matched: Matched) -> tuple[ast.Row, ...]:
        return tuple(matched)

    def row(self, matched: Matched) -> ast.Row:
        name, *args = matched
        return ast.Row(name, tuple(args), span=self._span(matched))

    def phase(self, matched: Matched) -> ast.Phase:
        _, name, _, rows, _ = matched
        return ast.Phase(self._declared(name), rows, span=self._span(matched))

    # Flows

    def choose(self, matched: Matched) -> ast.Choose:
        _, condition, _, then, otherwise = matched
        return ast.Choose(condition, then, otherwise, span=self._span(matched))

    def condition(self, matched: Matched) -> ast.Condition:
        left, operator, right = matched
        return ast.Condition(str(operator), left, right, span=self._span(matched))

    def chain(self, matched: Matched) -> ast.Chain:
        return ast.Chain(matched[0], tuple(matched[1:]), span=self._span(matched))

    def sum(self, matched: Matched) -> ast.Sum:
        return ast.Sum(tuple(matched[::2]), span=self._span(matched))

    def layer(self, matched: Matched) -> ast.Layer:
        path, *args = matched
        return ast.Layer(path, tuple(args), span=self._span(matched))

    def repeat(self, matched: Matched) -> ast.Repeat:
        _, count, body = matched
        return ast.Repeat(count, body, span=self._span(matched))

    def reuse(self, matched: Matched) -> ast.Reuse:
        _, path, *args = matched
        return ast.Reuse(path, tuple(args), span=self._span(matched))

    # Values

    def keyword(self, matched: Matched) -> ast.Keyword:
        path, _, value = matched
        name = ast.Name(path.text, span=path.span)
        return ast.Keyword(name, value, span=self._span(matched))

    def pair(self, matched: Matched) -> ast.Pair:
        key, value = matched
        return ast.Pair(key, value, span=self._span(matched))

    def call(self, matched: Matched) -> ast.Call:
        opening, *args, _ = matched
        span = Span(self.source, opening.start_pos, opening.end_pos - 1)
        return ast.Call(
            ast.Name(str(opening[:-1]), span=span), tuple(args), span=self._span(matched)
        )

    def list(self, matched: Matched) -> ast.List:
        return ast.List(tuple(matched[1:-1]), span=self._span(matched))

    def group(self, matched: Matched) -> ast.Value:
        return replace(matched[1], span=self._span(matched))  # type: ignore[no-any-return]

    def binary(self, matched: Matched) -> ast.Binary:
        left, operator, right = matched
        return ast.Binary(str(operator), left, right, span=self._span(matched))

    def negative(self, matched: Matched) -> ast.Value:
        minus, value = matched
        span = self._span(matched)
        if isinstance(value, ast.Number | ast.Percent) and not value.text.startswith("-"):
            return replace(value, text="-" + value.text, span=span)
        zero = ast.Number("0", span=Span(self.source, minus.start_pos, minus.end_pos))
        return ast.Binary("-", zero, value, span=span)

    def path(self, matched: Matched) -> ast.Path:
        path = ast.Path(tuple(map(str, matched)), span=self._span(matched))
        if path.parts[0] in FLOW_WORDS:
            self.found.append(KeywordAsName(path.span, path.parts[0]))
        return path

    def name(self, matched: Matched) -> ast.Name:
        return ast.Name(str(matched[0]), span=self._span(matched))

    def number(self, matched: Matched) -> ast.Number:
        return ast.Number(str(matched[0]), span=self._span(matched))

    def percent(self, matched: Matched) -> ast.Percent:
        return ast.Percent(str(matched[0]), span=self._span(matched))

    def size(self, matched: Matched) -> ast.Size:
        sides = tuple(int(side) for side in matched[0].split("x"))
        return ast.Size(sides, span=self._span(matched))

    def string(self, matched: Matched) -> ast.String:
        return ast.String(str(matched[0][1:-1]), span=self._span(matched))

    def _declared(self, name: ast.Name) -> ast.Name:
        if name.text in RESERVED:
            self.found.append(KeywordAsName(name.span, name.text))
        return name


def _start(matched: Any) -> int:
    start: int = matched.span.start if isinstance(matched, ast.Syntax) else matched.start_pos
    return start


def _end(matched: Any) -> int:
    end: int = matched.span.end if isinstance(matched, ast.Syntax) else matched.end_pos
    return end
