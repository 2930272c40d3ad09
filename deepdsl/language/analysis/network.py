"""Unrolls the body of a model into calls of layers with known shapes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from deepdsl.core.registry import lookup
from deepdsl.core.source import Span
from deepdsl.diagnostics import Report, Severity, Use
from deepdsl.diagnostics.language.names import DefinedTwice, NameOfLayer, NotBuiltYet, ReservedName
from deepdsl.diagnostics.language.reuse import ReusedInCircle
from deepdsl.diagnostics.language.shapes import BadInputShape, LostValue, NoInput, NoLayers
from deepdsl.diagnostics.language.templates import NumberedLikeBlock, OutputInBlock
from deepdsl.graph import Type
from deepdsl.language.analysis.definitions import Template
from deepdsl.language.analysis.flows import Flows
from deepdsl.language.analysis.frames import Flowing, Frame, names_used
from deepdsl.language.analysis.initializer_choice import choose_initializers
from deepdsl.language.analysis.input_types import element_type, with_tables
from deepdsl.language.analysis.layer_defaults import add_default
from deepdsl.language.analysis.model import BATCH, Model
from deepdsl.language.analysis.templates import unbound
from deepdsl.language.analysis.unused import unused_in_model
from deepdsl.language.analysis.values import FAILED, LetConstant, evaluate, found
from deepdsl.language.syntax import ast

# Names of the step's inputs, outputs and state that a model's own would collide with.
RESERVED = frozenset({"target", "loss", "lr", "all_finite", "output", "step", "optimizer", "data"})


class Elaborator(Flows):
    """Goes through a model once, applying each layer to a scratch graph to learn its shapes and
    parameters.

    `reached` gets the blocks that it goes through.  With `to_stand_on` the model is unrolled for
    another one that reuses it.
    """

    def __init__(
        self,
        template: Template,
        report: Report,
        reached: set[Template],
        to_stand_on: bool = False,
    ) -> None:
        super().__init__(template.home, report, reached)
        self.to_stand_on = to_stand_on
        self.source = template
        self.lets: list[ast.Let] = []  # those of the model, not of blocks
        self._used: dict[int, Collection[str]] = {}  # of each body, the names it speaks of
        self.frame = Frame("model", "", template.env.reporting(report), template.defaults)
        self.frame.outputs = {}
        self.frame.inputs = template.inputs

    # The whole model ------------------------------------------------------------------------------

    def run(self, name: str = "") -> Model | None:
        """The model; `name` is what it is called where this is not its own file."""
        frame, written = self.frame, self.source.syntax
        self._inputs()
        inputs = self.source.inputs
        if not inputs:
            self.say(NoInput(written.name.span, written.name.text))
            # What follows is still read for its names; nothing is said of its shapes.
            frame.current = Flowing(None, written.name.span)
        elif len(inputs) == 1:
            frame.current = frame.values[inputs[0].name.text]
        if written.body.statements:
            what = f"the model `{written.name.text}`"
            self.body(written.body, frame, what, written.name.span)
        return self._finish(frame, name or written.name.text)

    def look_at(self, block: Template) -> None:
        """Look at the names and options of a block that nothing uses."""
        bound = unbound(block, block.env.reporting(self.report))
        syntax = block.syntax
        frame = Frame(
            "block", "", bound.env, block.defaults, Flowing(None, syntax.name.span), idle=True
        )
        frame.values["in"] = Flowing(None, syntax.name.span)
        self.body(syntax.body, frame, f"the block `{block.name}`", syntax.name.span)

    def _inputs(self) -> None:
        for statement in self.source.inputs:
            self._input(statement)

    def _input(self, statement: ast.Input) -> None:
        name, frame = statement.name.text, self.frame
        dtype = element_type(statement, frame.env)
        # An input is a tensor of the graphs by its own name, beside the figures that they give.
        reserved = RESERVED | set(lookup("metric"))
        if self._taken(statement.name, frame) or self._reserved(statement.name, reserved):
            frame.values.setdefault(name, Flowing(None, statement.span))
            return
        shape = evaluate(statement.shape, frame.env)
        flowing = Flowing(None, statement.span)
        if shape is not FAILED and dtype is not None:
            wrong = [
                found(written, size)
                for written, size in zip(statement.shape.items, shape, strict=True)
                if not isinstance(size, int) or isinstance(size, bool) or size < 1
            ]
            if wrong or len(shape) > 8:
                what = wrong[0] if wrong else f"{len(shape)} dimensions"
                self.say(BadInputShape(statement.shape.span, name, what))
            else:
                type_ = Type((BATCH, *shape), dtype)
                value = self.trace.add_input(name, type_, statement.span)
                flowing = Flowing(value, statement.span)
        frame.values[name] = flowing

    def _finish(self, frame: Frame, name: str) -> Model | None:
        outputs = frame.outputs if frame.outputs is not None else {}
        last = frame.current
        if not outputs and last is not None and last.value is not None:
            outputs["output"] = (last.value, last.span)
        self.ties.finish()
        if not outputs or self.report.has_errors:
            return None
        body = self.source.syntax.body
        found = unused_in_model(body, self.frame, self.trace, self.lets, self.placed, outputs)
        for unused in found:
            self.say(unused)
        for output, (value, span) in outputs.items():
            if self.trace.is_input(value):
                self.say(NoLayers(span, f"the output `{output}`"))
                return None
        model = Model(
            name,
            with_tables(self.trace.inputs, self.trace.calls),
            tuple(self.trace.calls),
            {output: self.trace.numbers[value] for output, (value, _) in outputs.items()},
            self.source.syntax.name.span,
            self.trace.pieces,
            tuple(self.reused),
        )
        return choose_initializers(model)

    def network(self, template: Template, span: Span, report: Report) -> Model | None:
        home, name = template.home, template.name
        if name in home.unrolling or template is self.source:
            self.say(ReusedInCircle(span, name))
            return None
        if name not in home.networks:
            home.unrolling.add(name)
            own = Report()
            own.uses = (Use(f"`{name}`", span), *self.report.uses)
            made = Elaborator(template, own, self.reached, to_stand_on=True).run()
            home.networks[name] = made
            home.unrolling.discard(name)
            report.extend(d for d in own if d.severity is Severity.ERROR)
            circles = [d for d in own if isinstance(d, ReusedInCircle)]
            if circles:
                self.say(ReusedInCircle(span, name))
        return home.networks[name]

    # Statements -----------------------------------------------------------------------------------

    def body(self, body: ast.Body, frame: Frame, what: str, named: Span) -> None:
        used = self._define_parts(body, frame)
        flows = False
        for statement in body.statements:
            match statement:
                case ast.Input():
                    if not any(each is statement for each in frame.inputs):
                        self.say(NotBuiltYet(statement.span, f"an input inside {what}"))
                case ast.Let():
                    self._let(statement, frame)
                case ast.Default():
                    add_default(statement, frame.defaults, frame.env)
                case ast.Part():
                    # A part that is used by its name is only defined where it is.
                    if statement.name.text not in used:
                        made = self.part(statement, frame, frame.current, statement.span)
                        self._line(frame, made)
                    flows = True
                case ast.Bind():
                    taken = self._taken(statement.name, frame)
                    made = self.flow(statement.flow, frame)
                    self._line(frame, made, self.starts_afresh(statement.flow, frame))
                    if not taken:
                        frame.values[statement.name.text] = replace(made, span=statement.name.span)
                    flows = True
                case ast.Chain() | ast.Choose():
                    if not self._output(statement, frame):
                        made = self.flow(statement, frame)
                        self._line(frame, made, self.starts_afresh(statement, frame))
                    flows = True
        if not flows:
            self.say(NoLayers(named, what))

    def _define_parts(self, body: ast.Body, frame: Frame) -> Collection[str]:
        """Note all parts of a body at its start, so that a line can use one that is below it;
        the names that the body's flows speak of.
        """
        for statement in body.statements:
            if isinstance(statement, ast.Part) and not self._taken(statement.name, frame):
                name = statement.name.text
                # A part's name begins the paths of its tensors, as those of the step's state do.
                if not frame.prefix:
                    self._reserved(statement.name, RESERVED)
                if name in frame.numbered:
                    self.say(NumberedLikeBlock(statement.name.span, name, frame.numbered[name]))
                frame.parts[name] = statement
        known = self._used.get(id(body))
        if known is None:
            known = self._used[id(body)] = names_used(body)
        return known

    def _let(self, statement: ast.Let, frame: Frame) -> None:
        if self._taken(statement.name, frame):
            return
        if not self.stack:
            self.lets.append(statement)
        made = LetConstant(evaluate(statement.value, frame.env), statement.name.span)
        frame.env = frame.env.inner({statement.name.text: made})

    def _line(self, frame: Frame, made: Flowing, afresh: bool = False) -> None:
        """The line's value continues to the next line; what was before and was never read is
        lost.
        """
        before = frame.current
        if (
            afresh
            and made.value is not None
            and before is not None
            and before.value not in (None, made.value)
            and before.value not in self.trace.read
            and not self.trace.is_input(before.value)
        ):
            named = any(v.value is before.value for v in frame.values.values())
            if not named:
                self.say(LostValue(before.span, "this line's value"))
        frame.current = made

    def _taken(self, name: ast.Name, frame: Frame) -> bool:
        first = frame.definitions.get(name.text)
        if first is not None and first != name.span:
            self.say(DefinedTwice(name.span, name.text, first))
            return True
        frame.definitions[name.text] = name.span
        if name.text in lookup("layer"):
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
        if frame.outputs is None:
            self.say(OutputInBlock(flow.span))
            return True
        for arg in flow.head.args:
            named = self.named(arg, "output", frame)
            if named is not None and named.value is not None:
                frame.outputs[arg.span.text] = (named.value, arg.span)
        return True
