"""Applies what is at a layer's place: a layer, a part, a block, a repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deepdsl.core.registry import Word, lookup
from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic, Label, Report, Use, closest
from deepdsl.diagnostics.language.arguments import TooManyArguments, UnknownOption, WrongValue
from deepdsl.diagnostics.language.names import (
    NoOperands,
    UnknownLayer,
    UnknownReference,
    UsesItself,
    ValueInChain,
)
from deepdsl.diagnostics.language.shapes import NothingFlows, ShapeMismatch
from deepdsl.diagnostics.language.templates import NoLayerHeld, NotForFlows, NumberedLikeBlock
from deepdsl.graph import ShapeError, by_times
from deepdsl.language.analysis.arguments import bind
from deepdsl.language.analysis.definitions import BlockName, Template
from deepdsl.language.analysis.frames import Flowing, Frame, inside
from deepdsl.language.analysis.model import BATCH
from deepdsl.language.analysis.reused import Reused
from deepdsl.language.analysis.sizes import Sizes
from deepdsl.language.analysis.templates import Called, bind_parameters
from deepdsl.language.analysis.ties import Ties
from deepdsl.language.analysis.trace import Trace
from deepdsl.language.analysis.values import FAILED, Closure, evaluate, found
from deepdsl.language.syntax import ast
from deepdsl.nn.layers import Layer

if TYPE_CHECKING:
    from deepdsl.language.analysis.definitions import Definitions


class Units:
    """A model as far as it is unrolled, and what can be applied to a value of it."""

    def __init__(self, home: Definitions, report: Report, reached: set[Template]) -> None:
        self.home, self.report, self.reached = home, report, reached
        self.trace = Trace(report)
        self.ties = Ties(self.trace, report)
        self.sizes = Sizes()
        self.stack: list[Template] = []
        self.placed: set[Span] = set()  # the names of the parts that are somewhere
        self.reused: list[Reused] = []
        self.to_stand_on = False
        self.looked_at: set[Span] = set()  # what is not reached and was looked at

    def say(self, diagnostic: Diagnostic) -> None:
        self.report.add(diagnostic)

    def body(self, body: ast.Body, frame: Frame, what: str, named: Span) -> None:
        """Go through the statements of a body."""
        raise NotImplementedError

    def reuse(self, unit: ast.Reuse, frame: Frame, into: Flowing | None) -> Flowing:
        """A piece of a trained network applied to what flows in."""
        raise NotImplementedError

    def unit(self, unit: ast.Unit, frame: Frame, into: Flowing | None) -> Flowing:
        """A layer, part, block or repeat applied to what flows in."""
        match unit:
            case ast.Repeat():
                return self._repeat(unit, frame, into)
            case ast.Reuse():
                return self.reuse(unit, frame, into)
        name = unit.path.text
        if name in frame.parts:
            for arg in unit.args:
                self.say(TooManyArguments(arg.span, name, "nothing: it is a part"))
            return self.part(frame.parts[name], frame, into, unit.span)
        called = Called(name, unit.path.span, unit.args, unit.span, frame.env)
        cls = lookup("layer").get(name)
        if cls is not None:
            return self._layer(cls, called, frame, into)
        held = frame.env.named(name)
        if held is not None:
            return self._held(held, called, frame, into)
        template = self.template(name, frame)
        if template is not None:
            return self._use(template, called, frame, into)
        self._unknown(unit, frame)
        return Flowing(None, unit.span)

    def template(self, name: str, frame: Frame) -> Template | None:
        word = frame.env.home.word(name) if frame.env.home is not None else None
        return word.template if isinstance(word, BlockName) else None

    def _held(self, held: Any, called: Called, frame: Frame, into: Flowing | None) -> Flowing:
        """What a constant or parameter names: a layer or a block, perhaps with its options."""
        span = called.span
        if held is FAILED:
            if into is not None and into.value is not None:
                self.trace.read.add(into.value)
            return Flowing(None, span)
        if isinstance(held, Word) and held.text == "none" and into is not None:
            return Flowing(into.value, span)
        if isinstance(held, Closure):
            if called.args:
                takes = f"nothing: its options stand where `{called.name}` gets its value"
                self.say(TooManyArguments(called.args[0].span, called.name, takes))
                return Flowing(None, span)
            there = held.env.reporting(self.report)
            called = Called(str(held.call.name.text), called.named, held.call.args, span, there)
            held = there.home.word(called.name) if there.home else Word(called.name)
        if isinstance(held, BlockName):
            named = Called(held.text, called.named, called.args, span, called.env)
            return self._use(held.template, named, frame, into)
        cls = lookup("layer").get(held.text) if isinstance(held, Word) else None
        if cls is None:
            candidates = (*lookup("layer"), *self.home.names(("block",)))
            shown = found(ast.Path((called.name,), span=called.named), held)
            shown = f"`{held.text}`" if isinstance(held, Word) else shown.rpartition("which is ")[2]
            self.say(NoLayerHeld(called.named, called.name, shown, candidates))
            return Flowing(None, span)
        named = Called(cls.name, called.named, called.args, span, called.env)
        return self._layer(cls, named, frame, into)

    def _unknown(self, unit: ast.Layer, frame: Frame) -> None:
        name, span = unit.path.text, unit.path.span
        if name in frame.values:
            self.say(ValueInChain(span, name))
        elif name in frame.within:
            self.say(UsesItself(span, name))
        else:
            home: Any = frame.env.home or self.home
            known = (*lookup("layer"), *frame.parts, *frame.values)
            self.say(UnknownLayer(span, name, (*known, *home.names())))

    # Layers ---------------------------------------------------------------------------------------

    def _layer(
        self, cls: type[Layer], called: Called, frame: Frame, into: Flowing | None
    ) -> Flowing:
        span = called.span
        if cls.operands:
            return self._operands(cls, called, frame)
        layer = bind(cls, called.args, called.named, called.env, frame.defaults.get(cls.name, ()))
        if into is None:
            inputs = tuple(i.name for i in self.trace.inputs)
            self.say(NothingFlows(called.named, called.name, inputs))
            return Flowing(None, span)
        if layer is FAILED or into.value is None:
            return Flowing(None, span)
        layer = self.ties.resolved(layer, called, frame, into.value)
        return self.apply(layer, span, frame, [into])

    def _operands(self, cls: type[Layer], called: Called, frame: Frame) -> Flowing:
        operands: list[Flowing] = []
        for arg in called.args:
            named = self.named(arg, called.name, frame)
            value = named.value if named is not None else None
            if value is not None:
                self.trace.read.add(value)
            operands.append(Flowing(value, arg.span))
        if len(operands) < 2:
            if all(isinstance(arg, ast.Path) for arg in called.args):
                self.say(NoOperands(called.span, called.name))
            return Flowing(None, called.span)
        if any(o.value is None for o in operands):
            return Flowing(None, called.span)
        return self.apply(cls(), called.span, frame, operands)

    def named(self, arg: ast.Argument, owner: str, frame: Frame) -> Flowing | None:
        """The value that an argument names; None after something was reported."""
        if isinstance(arg, ast.Path) and arg.text in frame.values:
            return frame.values[arg.text]
        held = frame.env.named(arg.text) if isinstance(arg, ast.Path) else None
        if held is FAILED:
            return None
        if isinstance(arg, ast.Path) and held is None:
            self.say(UnknownReference(arg.span, "value", arg.text, tuple(frame.values)))
        elif isinstance(arg, ast.Keyword):
            self.say(UnknownOption(arg.name.span, owner, arg.name.text, ()))
        else:
            hint = f"one of: {', '.join(frame.values)}" if frame.values else ""
            shown = f"`{arg.span.text}`" if held is None else found(arg, held)
            self.say(WrongValue(arg.span, owner, "values", "names of values", shown, hint))
        return None

    def apply(self, layer: Layer, span: Span, frame: Frame, into: Sequence[Flowing]) -> Flowing:
        """A layer applied to values that are there, under the next name of its kind."""
        frame.counts[layer.name] += 1
        path = frame.path(f"{layer.name}_{frame.counts[layer.name]}")
        values = [f.value for f in into if f.value is not None]
        if self.trace.overflow:
            return Flowing(None, span)
        try:
            return Flowing(self.trace.apply(layer, path, span, values), span)
        except ShapeError as error:
            labels = tuple(
                Label(f.span, f"this gives {by_times(f.value.type.shape[1:])}")
                for f in into
                if f.value is not None and f.span != span
            )
            self.say(ShapeMismatch(span, error.message, error.label, error.help, labels))
            return Flowing(None, span)

    # Parts and repeats ----------------------------------------------------------------------------

    def part(self, part: ast.Part, frame: Frame, into: Flowing | None, span: Span) -> Flowing:
        """A use of a part: its one set of weights applied to what flows in."""
        name = part.name.text
        if into is None:
            self.say(NothingFlows(span, name, tuple(i.name for i in self.trace.inputs)))
            return Flowing(None, span)
        if name in frame.within:
            self.say(UsesItself(span, name))
            return Flowing(None, span)
        if into.value is not None:
            self.trace.read.add(into.value)
        self.placed.add(part.name.span)
        if not self._enter(part.body.span, span, frame):
            return Flowing(None, span)
        inner, start = frame.inside(part, into), len(self.trace.calls)
        with self.trace.deeper(span):
            self.body(part.body, inner, f"the part `{name}`", part.name.span)
        if inner.current is not None and inner.current.value is not None:
            self.trace.piece(inner.prefix, start, into.value, inner.current.value)
        return Flowing(inner.current.value if inner.current else None, span)

    def _enter(self, body: Span, span: Span, frame: Frame) -> bool:
        """Whether a body is gone through: once where it is not reached, else within the limits."""
        if frame.idle:
            seen = body in self.looked_at
            self.looked_at.add(body)
            return not seen
        return self.trace.enter(span)

    def _repeat(self, unit: ast.Repeat, frame: Frame, into: Flowing | None) -> Flowing:
        count: Any = self._count(unit, frame)
        if frame.idle or count == 0:
            idle = frame if frame.idle else frame.unreached()
            idle.current = into and Flowing(None, into.span)
            if self._enter(unit.body.span, unit.span, idle):
                self.body(unit.body, idle, "this `repeat`", unit.span)
            return Flowing(None if frame.idle or into is None else into.value, unit.span)
        if count is FAILED:
            return Flowing(None, unit.span)
        before = frame.current
        frame.current = into
        calls, parameters = len(self.trace.calls), self.trace.parameters
        with self.trace.deeper(unit.span):
            for turn in range(count):
                errors = self.report.has_errors
                self.body(unit.body, frame, "this `repeat`", unit.span)
                if turn == 0:
                    # What one turn adds, the others add: one beyond the limits is not gone through.
                    left = count - 1
                    self.trace.limit(
                        unit.span,
                        len(self.trace.calls) + left * (len(self.trace.calls) - calls),
                        self.trace.parameters + left * (self.trace.parameters - parameters),
                    )
                if self.trace.overflow or (self.report.has_errors and not errors):
                    break
                frame.definitions = {
                    name: span
                    for name, span in frame.definitions.items()
                    if not inside(span, unit.span)
                }
        made, frame.current = frame.current, before
        return Flowing(made.value if made else None, unit.span)

    def _count(self, unit: ast.Repeat, frame: Frame) -> Any:
        """How many turns; none at all only where that was computed."""
        count = evaluate(unit.count, frame.env)
        least = 0 if isinstance(unit.count, ast.Binary | ast.Path) else 1
        whole = isinstance(count, int) and not isinstance(count, bool)
        if count is FAILED or (whole and count >= least):
            return count
        expected = f"a whole number of at least {least}"
        near = closest(count.text, frame.env.constants) if isinstance(count, Word) else None
        hint = f"did you mean `{near}`?" if near else ""
        shown = found(unit.count, count)
        self.say(WrongValue(unit.count.span, "repeat", "count", expected, shown, hint))
        return FAILED

    # Blocks ---------------------------------------------------------------------------------------

    def _use(
        self, template: Template, called: Called, frame: Frame, into: Flowing | None
    ) -> Flowing:
        """A use of a block, or of a used file's model: fresh weights, under the next number."""
        span = called.span
        if template.name in template.home.broken:
            return Flowing(None, span)
        bound = bind_parameters(template, called, frame.values)
        if frame.idle:
            return Flowing(None, span)
        handed = list(bound.values.values()) if bound is not None else []
        for flowing in (into, *handed):
            if flowing is not None and flowing.value is not None:
                self.trace.read.add(flowing.value)
        if bound is not None and into is None and not handed:
            inputs = tuple(i.name for i in self.trace.inputs)
            self.say(NothingFlows(called.named, called.name, inputs))
            bound = None
        if bound is None:
            return Flowing(None, span)
        if any(each is template for each in self.stack):
            self.say(UsesItself(span, called.name))
            return Flowing(None, span)
        path = self._numbered(template, span, frame)
        if path is None or not self.trace.enter(span, self.sizes.of(template)):
            return Flowing(None, span)
        self.reached.add(template)
        inner = Frame(template.what, path, bound.env, template.defaults, into)
        inner.values.update(bound.values)
        inner.outer = frozenset(frame.values) - inner.values.keys()
        inner.definitions.update({p.name.text: p.name.span for p in template.parameters})
        if template.what == "model":
            if not self._feed(template, called, inner, into):
                return Flowing(None, span)
        elif into is not None:
            inner.values["in"] = into
        start = len(self.trace.calls)
        with self.trace.deeper(span), self._inside(template, called):
            what = f"the {template.what} `{template.name}`"
            self.body(template.syntax.body, inner, what, template.syntax.name.span)
        made = self._made(called, inner)
        if made.value is not None:
            alone = into.value if into is not None and not handed else None
            self.trace.piece(path, start, alone, made.value, template.name)
        return made

    def _numbered(self, template: Template, span: Span, frame: Frame) -> str | None:
        """The path of a use: the block's name, numbered as layers are; None where it is taken."""
        frame.counts[template.name] += 1
        name = f"{template.name}_{frame.counts[template.name]}"
        frame.numbered[name] = span
        if name in frame.parts:
            self.say(NumberedLikeBlock(frame.parts[name].name.span, name, span))
            return None
        return frame.path(name)

    def _feed(self, template: Template, called: Called, inner: Frame, into: Flowing | None) -> bool:
        """Let what flows be the model's one input; whether it can be."""
        inner.outputs, inner.inputs = {}, template.inputs
        if len(template.inputs) != 1:
            reason = f"it has {len(template.inputs) or 'no'} inputs"
            self.say(NotForFlows(called.named, called.name, reason))
            return False
        (given,) = template.inputs
        inner.definitions[given.name.text] = given.name.span
        shape = evaluate(given.shape, inner.env)
        if shape is FAILED or into is None or into.value is None:
            inner.current = inner.values[given.name.text] = Flowing(None, called.span)
            return True
        if into.value.type.shape != (BATCH, *shape):
            rule = f"the model `{called.name}` takes {by_times(shape)}"
            is_given = f"it was given {by_times(into.value.type.shape[1:])}"
            labels = (Label(given.span, "its input"),)
            self.say(ShapeMismatch(called.span, rule, is_given, "", labels))
            return False
        inner.values[given.name.text] = into
        return True

    def _made(self, called: Called, inner: Frame) -> Flowing:
        """What a use gives: the value of its last line, or the one output of a model."""
        if inner.outputs and len(inner.outputs) > 1:
            reason = f"it has {len(inner.outputs)} outputs"
            self.say(NotForFlows(called.named, called.name, reason))
            return Flowing(None, called.span)
        if inner.outputs:
            ((value, _),) = inner.outputs.values()
            return Flowing(value, called.span)
        return Flowing(inner.current.value if inner.current else None, called.span)

    @contextmanager
    def _inside(self, template: Template, called: Called) -> Iterator[None]:
        """What is said meanwhile is about the text of the template, on its way to here."""
        before = self.report.uses
        self.report.uses = (Use(f"`{called.name}`", called.span), *before)
        self.stack.append(template)
        try:
            yield
        finally:
            self.stack.pop()
            self.report.uses = before
