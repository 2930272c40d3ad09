"""Unrolls the body of a model into calls of layers with known shapes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from deepdsl.analysis.arguments import FAILED, Environment, bind, evaluate, found
from deepdsl.analysis.frames import Flowing, Frame, inside, names_used
from deepdsl.analysis.initializer_choice import choose_initializers
from deepdsl.analysis.layer_defaults import add_default
from deepdsl.analysis.model import BATCH, Model
from deepdsl.analysis.trace import Trace
from deepdsl.diagnostics import Diagnostic, Label, closest
from deepdsl.diagnostics.arguments import TooManyArguments, UnknownOption, WrongValue
from deepdsl.diagnostics.lints import UnusedName
from deepdsl.diagnostics.names import (
    DefinedTwice,
    NameOfLayer,
    NoOperands,
    NotBuiltYet,
    OuterValue,
    ReservedName,
    UnknownLayer,
    UnknownReference,
    UsesItself,
    ValueInChain,
)
from deepdsl.diagnostics.shapes import (
    BadInputShape,
    LostValue,
    NoInput,
    NoLayers,
    NothingFlows,
    ShapeMismatch,
)
from deepdsl.ir import ShapeError, Type, Value, by_times
from deepdsl.ops import Layer
from deepdsl.record import changed
from deepdsl.registry import Word, lookup
from deepdsl.source import Span
from deepdsl.syntax import ast
from deepdsl.syntax.edits import drop_statement
from deepdsl.vocabulary import planned

# Names of the step's inputs, outputs and state that a model's own would collide with.
RESERVED = frozenset({"target", "loss", "lr", "all_finite", "output", "step", "optimizer", "data"})


class Elaborator:
    """Goes through a model once, applying each layer to a scratch graph to learn its shapes and
    parameters.
    """

    def __init__(
        self,
        model: ast.Model,
        env: Environment,
        defaults: Mapping[str, tuple[ast.Keyword, ...]],
        blocks: frozenset[str] = frozenset(),
    ) -> None:
        self.model, self.env, self.blocks = model, env, blocks
        self.trace = Trace(env.report)
        self.outputs: dict[str, tuple[Value, Span]] = {}
        self.stack: list[str] = []
        self.placed: set[Span] = set()  # the names of the parts that stand somewhere
        self.lets: dict[Span, ast.Let] = {}
        self.frame = Frame("", env, dict(defaults), {})

    def say(self, diagnostic: Diagnostic) -> None:
        self.env.report.add(diagnostic)

    # The whole model ------------------------------------------------------------------------------

    def run(self) -> Model | None:
        frame = self.frame
        self._inputs()
        written = [s for s in self._statements() if isinstance(s, ast.Input)]
        if not written:
            self.say(NoInput(self.model.name.span, self.model.name.text))
            # What follows is still read for its names; nothing is said of its shapes.
            frame.current = Flowing(None, self.model.name.span)
        elif len(written) == 1:
            frame.current = frame.values[written[0].name.text]
        if written or self._statements():
            self.body(
                self.model.body, frame, f"the model `{self.model.name.text}`", self.model.name.span
            )
        return self._finish(frame)

    def _statements(self) -> Sequence[ast.Statement]:
        return self.model.body.statements

    def _inputs(self) -> None:
        for statement in self._statements():
            if isinstance(statement, ast.Input):
                self._input(statement)

    def _input(self, statement: ast.Input) -> None:
        name = statement.name.text
        for arg in statement.args:
            self.say(TooManyArguments(arg.span, "input", "a name and a shape"))
        # An input is a tensor of the graphs by its own name, beside the figures that they give.
        reserved = RESERVED | set(lookup("metric"))
        if self._taken(statement.name, self.frame) or self._reserved(statement.name, reserved):
            self.frame.values.setdefault(name, Flowing(None, statement.span))
            return
        shape = evaluate(statement.shape, self.env)
        flowing = Flowing(None, statement.span)
        if shape is not FAILED:
            wrong = [
                found(written, size)
                for written, size in zip(statement.shape.items, shape, strict=True)
                if not isinstance(size, int) or isinstance(size, bool) or size < 1
            ]
            if wrong or len(shape) > 8:
                what = wrong[0] if wrong else f"{len(shape)} dimensions"
                self.say(BadInputShape(statement.shape.span, name, what))
            else:
                type_ = Type((BATCH, *shape))
                value = self.trace.add_input(name, type_, statement.span)
                flowing = Flowing(value, statement.span)
        self.frame.values[name] = flowing

    def _finish(self, frame: Frame) -> Model | None:
        last = frame.current
        if not self.outputs and last is not None and last.value is not None:
            self.outputs["output"] = (last.value, last.span)
        self._unused(frame)
        if not self.outputs or self.env.report.has_errors:
            return None
        for name, (value, span) in self.outputs.items():
            if self.trace.is_input(value):
                self.say(NoLayers(span, f"the output `{name}`"))
                return None
        outputs = {name: self.trace.numbers[value] for name, (value, _) in self.outputs.items()}
        model = Model(
            self.model.name.text,
            tuple(self.trace.inputs),
            tuple(self.trace.calls),
            outputs,
            self.model.name.span,
        )
        return choose_initializers(model)

    def _unused(self, frame: Frame) -> None:
        if self.env.report.has_errors:
            return
        kept = {value for value, _ in self.outputs.values()}
        for name, flowing in frame.values.items():
            value = flowing.value
            if value is not None and value not in self.trace.read and value not in kept:
                what = "input" if any(i.name == name for i in self.trace.inputs) else "value"
                self.say(UnusedName(flowing.span, what, name))
        for let in self.lets.values():
            if let.name.text not in self.env.used:
                fix = drop_statement(let.span)
                self.say(UnusedName(let.name.span, "constant", let.name.text, fixes=(fix,)))
        self._unused_parts(self.model.body)

    def _unused_parts(self, body: ast.Body) -> None:
        for statement in body.statements:
            if not isinstance(statement, ast.Part):
                continue
            if statement.name.span in self.placed:
                self._unused_parts(statement.body)
            else:
                fix = drop_statement(statement.span)
                name = statement.name
                self.say(UnusedName(name.span, "part", name.text, fixes=(fix,)))

    # Statements -----------------------------------------------------------------------------------

    def body(self, body: ast.Body, frame: Frame, what: str, named: Span) -> None:
        # All parts of a body are known from its start, so that a line can use one that stands below
        # it.
        used = names_used(body)
        for statement in body.statements:
            if isinstance(statement, ast.Part) and not self._taken(statement.name, frame):
                # A part's name begins the paths of its tensors, as those of the step's state do.
                if not frame.prefix:
                    self._reserved(statement.name, RESERVED)
                frame.parts[statement.name.text] = statement
        flows = False
        for statement in body.statements:
            match statement:
                case ast.Input():
                    if frame is not self.frame:
                        self.say(NotBuiltYet(statement.span, "an input inside a part"))
                case ast.Let():
                    if not self._taken(statement.name, frame):
                        self.lets[statement.span] = statement
                        value = evaluate(statement.value, frame.env)
                        frame.env = frame.env.inner({statement.name.text: value})
                case ast.Default():
                    add_default(statement, frame.defaults, frame.env)
                case ast.Part():
                    # A part that is used by its name is only defined where it stands.
                    if statement.name.text not in used:
                        self._line(
                            frame, self._use(statement, frame, frame.current, statement.span)
                        )
                    flows = True
                case ast.Bind():
                    taken = self._taken(statement.name, frame)
                    made = self.flow(statement.flow, frame)
                    self._line(frame, made, self._starts_afresh(statement.flow))
                    if not taken:
                        frame.values[statement.name.text] = changed(made, span=statement.name.span)
                    flows = True
                case ast.Chain() | ast.Choose():
                    if not self._output(statement, frame):
                        self._line(
                            frame, self.flow(statement, frame), self._starts_afresh(statement)
                        )
                    flows = True
        if not flows:
            self.say(NoLayers(named, what))

    def _line(self, frame: Frame, made: Flowing, afresh: bool = False) -> None:
        """The line's value goes on to the next line; what stood before and was never read is
        lost.
        """
        before = frame.current
        if (
            afresh
            and made.value is not None
            and before is not None
            and before.value is not None
            and before.value not in self.trace.read
            and before not in frame.values.values()
            and not self.trace.is_input(before.value)
        ):
            named = any(v.value is before.value for v in frame.values.values())
            if not named:
                self.say(LostValue(before.span, "this line's value"))
        frame.current = made

    def _starts_afresh(self, flow: ast.Flow) -> bool:
        """Whether a line begins with a value rather than going on from the line above."""
        return isinstance(flow, ast.Chain) and not (
            isinstance(flow.head, ast.Layer)
            and lookup("layer").get(flow.head.path.text) is not None
        )

    def _taken(self, name: ast.Name, frame: Frame) -> bool:
        first = frame.definitions.get(name.text)
        if first is not None and first != name.span:
            self.say(DefinedTwice(name.span, name.text, first))
            return True
        frame.definitions[name.text] = name.span
        if name.text in lookup("layer") or name.text in planned("layer"):
            self.say(NameOfLayer(name.span, name.text))
            return True
        return False

    def _reserved(self, name: ast.Name, names: Collection[str]) -> bool:
        """Whether the compiled graphs have the name for themselves."""
        if name.text in names:
            self.say(ReservedName(name.span, name.text))
            return True
        return False

    def _output(self, flow: ast.Flow, frame: Frame) -> bool:
        """`output NAME` lines name the model's outputs."""
        if not (
            isinstance(flow, ast.Chain)
            and not flow.rest
            and isinstance(flow.head, ast.Layer)
            and flow.head.path.text == "output"
        ):
            return False
        for arg in flow.head.args:
            named = self._named(arg, "output", frame)
            if named is not None and named.value is not None:
                self.outputs[arg.span.text] = (named.value, arg.span)
        return True

    def _named(self, arg: ast.Argument, owner: str, frame: Frame) -> Flowing | None:
        """The value that an argument names; None after something was reported."""
        if isinstance(arg, ast.Path) and arg.text in frame.values:
            return frame.values[arg.text]
        if isinstance(arg, ast.Path):
            self.say(UnknownReference(arg.span, "value", arg.text, tuple(frame.values)))
        elif isinstance(arg, ast.Keyword):
            self.say(UnknownOption(arg.name.span, owner, arg.name.text, ()))
        else:
            hint = f"one of: {', '.join(frame.values)}" if frame.values else ""
            self.say(
                WrongValue(arg.span, owner, "values", "names of values", f"`{arg.span.text}`", hint)
            )
        return None

    # Flows ----------------------------------------------------------------------------------------

    def flow(self, flow: ast.Flow, frame: Frame) -> Flowing:
        if isinstance(flow, ast.Choose):
            self.say(NotBuiltYet(flow.span, "`if … then … else …`"))
            return Flowing(None, flow.span)
        made = self._head(flow.head, frame)
        for unit in flow.rest:
            made = self.unit(unit, frame, made)
        return Flowing(made.value, made.span)

    def _head(self, head: ast.Sum | ast.Unit, frame: Frame) -> Flowing:
        if isinstance(head, ast.Sum):
            terms = [self._start(term, frame) for term in head.terms]
            if any(t.value is None for t in terms):
                return Flowing(None, head.span)
            return self._apply(lookup("layer")["add"](), head.span, frame, terms)
        return self._start(head, frame)

    def _start(self, unit: ast.Unit, frame: Frame) -> Flowing:
        """What stands first in a line: a value, or a layer that goes on from the line above."""
        value = self._value_named(unit, frame)
        if value is not None:
            return value
        return self.unit(unit, frame, frame.current)

    def _value_named(self, unit: ast.Unit, frame: Frame) -> Flowing | None:
        if not isinstance(unit, ast.Layer) or len(unit.path.parts) != 1:
            return None
        name = unit.path.text
        known = frame.values.get(name)
        if known is None:
            if name in frame.outer and name not in frame.parts and name not in lookup("layer"):
                self.say(OuterValue(unit.path.span, name))
                return Flowing(None, unit.span)
            return None
        if known.value is not None:
            for arg in unit.args:
                self.say(TooManyArguments(arg.span, name, "nothing: it is a value"))
            self.trace.read.add(known.value)
        return Flowing(known.value, unit.span)

    def unit(self, unit: ast.Unit, frame: Frame, into: Flowing | None) -> Flowing:
        """A layer, part or repeat applied to what flows in."""
        match unit:
            case ast.Repeat():
                return self._repeat(unit, frame, into)
            case ast.Reuse():
                self.say(NotBuiltYet(unit.span, "`reuse`"))
                return Flowing(None, unit.span)
        name = unit.path.text
        if name in frame.parts:
            for arg in unit.args:
                self.say(TooManyArguments(arg.span, name, "nothing: it is a part"))
            return self._use(frame.parts[name], frame, into, unit.span)
        cls = lookup("layer").get(name)
        if cls is None:
            self._unknown(unit, frame)
            return Flowing(None, unit.span)
        if cls.operands:
            return self._operands(unit, cls, frame)
        layer = bind(cls, unit.args, unit.path.span, frame.env, frame.defaults.get(name, ()))
        if into is None:
            self.say(NothingFlows(unit.path.span, name, tuple(i.name for i in self.trace.inputs)))
            return Flowing(None, unit.span)
        if layer is FAILED or into.value is None:
            return Flowing(None, unit.span)
        return self._apply(layer, unit.span, frame, [into])

    def _unknown(self, unit: ast.Layer, frame: Frame) -> None:
        name = unit.path.text
        if name in frame.values:
            self.say(ValueInChain(unit.path.span, name))
        elif name in planned("layer"):
            instead = "`dnnc explain layers` lists what this version has"
            self.say(NotBuiltYet(unit.path.span, f"the layer `{name}`", instead))
        elif name in self.blocks:
            self.say(NotBuiltYet(unit.path.span, "the use of a block", "write it as a `part`"))
        elif name in self.stack:
            self.say(UsesItself(unit.path.span, name))
        else:
            candidates = (
                *lookup("layer"),
                *planned("layer"),
                *frame.parts,
                *frame.values,
                *self.blocks,
            )
            self.say(UnknownLayer(unit.path.span, name, candidates))

    def _operands(self, unit: ast.Layer, cls: type[Layer], frame: Frame) -> Flowing:
        operands: list[Flowing] = []
        for arg in unit.args:
            named = self._named(arg, unit.path.text, frame)
            value = named.value if named is not None else None
            if value is not None:
                self.trace.read.add(value)
            operands.append(Flowing(value, arg.span))
        if len(operands) < 2:
            if all(isinstance(arg, ast.Path) for arg in unit.args):
                self.say(NoOperands(unit.span, unit.path.text))
            return Flowing(None, unit.span)
        if any(o.value is None for o in operands):
            return Flowing(None, unit.span)
        return self._apply(cls(), unit.span, frame, operands)

    def _repeat(self, unit: ast.Repeat, frame: Frame, into: Flowing | None) -> Flowing:
        count: Any = evaluate(unit.count, frame.env)
        if count is FAILED:
            return Flowing(None, unit.span)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            expected = "a whole number of at least 1"
            shown = found(unit.count, count)
            near = closest(count.text, frame.env.constants) if isinstance(count, Word) else None
            hint = f"did you mean `{near}`?" if near else ""
            self.say(WrongValue(unit.count.span, "repeat", "count", expected, shown, hint))
            return Flowing(None, unit.span)
        before = frame.current
        frame.current = into
        calls, parameters = len(self.trace.calls), self.trace.parameters
        for turn in range(count):
            errors = self.env.report.has_errors
            self.body(unit.body, frame, "this `repeat`", unit.span)
            if turn == 0:
                # What one turn adds, the others add: one beyond the limits is not gone through.
                left = count - 1
                self.trace.limit(
                    unit.span,
                    len(self.trace.calls) + left * (len(self.trace.calls) - calls),
                    self.trace.parameters + left * (self.trace.parameters - parameters),
                )
            if self.trace.overflow or (self.env.report.has_errors and not errors):
                break
            frame.definitions = {
                name: span
                for name, span in frame.definitions.items()
                if not inside(span, unit.span)
            }
        made, frame.current = frame.current, before
        return Flowing(made.value if made else None, unit.span)

    def _use(self, part: ast.Part, frame: Frame, into: Flowing | None, span: Span) -> Flowing:
        name = part.name.text
        if into is None:
            self.say(NothingFlows(span, name, tuple(i.name for i in self.trace.inputs)))
            return Flowing(None, span)
        if name in self.stack:
            self.say(UsesItself(span, name))
            return Flowing(None, span)
        if into.value is not None:
            self.trace.read.add(into.value)
        self.placed.add(part.name.span)
        inner = Frame(
            frame.path(name),
            frame.env,
            dict(frame.defaults),
            {k: v for k, v in frame.parts.items() if k != name},
            frame.outer | frozenset(frame.values),
            into,
        )
        self.stack.append(name)
        self.body(part.body, inner, f"the part `{name}`", part.name.span)
        self.stack.pop()
        made = inner.current
        return Flowing(made.value if made else None, span)

    def _apply(self, layer: Layer, span: Span, frame: Frame, into: Sequence[Flowing]) -> Flowing:
        frame.counts[layer.name] += 1
        path = frame.path(f"{layer.name}_{frame.counts[layer.name]}")
        values = [f.value for f in into if f.value is not None]
        if self.trace.overflow:
            return Flowing(None, span)
        try:
            return Flowing(self.trace.apply(layer, path, span, values), span)
        except ShapeError as error:
            self._mismatch(error, span, into)
            return Flowing(None, span)

    def _mismatch(self, error: ShapeError, span: Span, into: Sequence[Flowing]) -> None:
        labels = tuple(
            Label(f.span, f"this gives {by_times(f.value.type.shape[1:])}")
            for f in into
            if f.value is not None and f.span != span
        )
        self.say(ShapeMismatch(span, error.message, error.label, error.help, labels))
