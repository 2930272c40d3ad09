"""Unrolls the body of a model into calls of layers with known shapes."""

from __future__ import annotations

from deepdsl.core.registry import lookup
from deepdsl.core.source import Span
from deepdsl.diagnostics import Report, Severity, Use
from deepdsl.diagnostics.language.reuse import ReusedInCircle
from deepdsl.diagnostics.language.shapes import BadInputShape, NoInput, NoLayers
from deepdsl.graph import Type
from deepdsl.language.analysis.definitions import Template
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.initializer_choice import choose_initializers
from deepdsl.language.analysis.input_types import element_type, with_tables
from deepdsl.language.analysis.model import BATCH, Model
from deepdsl.language.analysis.statements import (
    RESERVED,
    elaborate_body,
    is_reserved,
    is_taken,
)
from deepdsl.language.analysis.templates import unbound
from deepdsl.language.analysis.unused import unused_in_model
from deepdsl.language.analysis.values import FAILED, evaluate, found
from deepdsl.language.syntax import ast

MAX_DIMENSIONS = 8


def elaborate_model(
    template: Template,
    report: Report,
    reached: set[Template],
    name: str = "",
    for_reuse: bool = False,
) -> Model | None:
    """The model of a template: each layer is applied once to a scratch graph, to learn its shapes
    and parameters.

    `name` is what it is called where this is not its own file; `reached` gets the blocks that it
    goes through.  With `for_reuse` it is elaborated for another model that reuses it.
    """
    state = _elaboration(template, report, reached, for_reuse)
    frame, written = _model_frame(template, report), template.syntax
    for statement in template.inputs:
        _input(state, statement, frame)
    if not template.inputs:
        state.say(NoInput(written.name.span, written.name.text))
        # What follows is still read for its names; nothing is said of its shapes.
        frame.current = Flowing(None, written.name.span)
    elif len(template.inputs) == 1:
        frame.current = frame.values[template.inputs[0].name.text]
    if written.body.statements:
        what = f"the model `{written.name.text}`"
        elaborate_body(state, written.body, frame, what, written.name.span)
    return _finish(state, frame, name or written.name.text)


def look_at_block(block: Template, report: Report, reached: set[Template]) -> None:
    """Look at the names and options of a block that nothing uses."""
    state, syntax = _elaboration(block, report, reached), block.syntax
    bound = unbound(block, block.env.reporting(report))
    nothing = Flowing(None, syntax.name.span)
    frame = Frame("block", "", bound.env, block.defaults, nothing, idle=True)
    frame.values["in"] = nothing
    elaborate_body(state, syntax.body, frame, f"the block `{block.name}`", syntax.name.span)


def _elaboration(
    template: Template, report: Report, reached: set[Template], for_reuse: bool = False
) -> Elaboration:
    return Elaboration(template, report, reached, elaborate_body, _network, for_reuse)


def _network(state: Elaboration, template: Template, span: Span, report: Report) -> Model | None:
    """A model that the one of `state` reuses; None after something was reported."""
    home, name = template.home, template.name
    if name in home.unrolling or template is state.template:
        state.say(ReusedInCircle(span, name))
        return None
    if name not in home.networks:
        home.unrolling.add(name)
        own = Report()
        own.uses = (Use(f"`{name}`", span), *state.report.uses)
        home.networks[name] = elaborate_model(template, own, state.reached, for_reuse=True)
        home.unrolling.discard(name)
        report.extend(d for d in own if d.severity is Severity.ERROR)
        if any(isinstance(d, ReusedInCircle) for d in own):
            state.say(ReusedInCircle(span, name))
    return home.networks[name]


def _model_frame(template: Template, report: Report) -> Frame:
    frame = Frame("model", "", template.env.reporting(report), template.defaults)
    frame.outputs = {}
    frame.inputs = template.inputs
    return frame


def _input(state: Elaboration, statement: ast.Input, frame: Frame) -> None:
    name = statement.name.text
    dtype = element_type(statement, frame.env)
    nothing = Flowing(None, statement.span)
    # An input is a tensor of the graphs by its own name, beside the figures that they give.
    reserved = RESERVED | set(lookup("metric"))
    if is_taken(state, statement.name, frame) or is_reserved(state, statement.name, reserved):
        frame.values.setdefault(name, nothing)
        return
    shape = evaluate(statement.shape, frame.env)
    if shape is FAILED or dtype is None:
        frame.values[name] = nothing
        return
    wrong = [
        found(written, size)
        for written, size in zip(statement.shape.items, shape, strict=True)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1
    ]
    if wrong or len(shape) > MAX_DIMENSIONS:
        what = wrong[0] if wrong else f"{len(shape)} dimensions"
        state.say(BadInputShape(statement.shape.span, name, what))
        frame.values[name] = nothing
        return
    value = state.trace.add_input(name, Type((BATCH, *shape), dtype), statement.span)
    frame.values[name] = Flowing(value, statement.span)


def _finish(state: Elaboration, frame: Frame, name: str) -> Model | None:
    trace, syntax = state.trace, state.template.syntax
    outputs = frame.outputs if frame.outputs is not None else {}
    last = frame.current
    if not outputs and last is not None and last.value is not None:
        outputs["output"] = (last.value, last.span)
    state.ties.finish()
    if not outputs or state.report.has_errors:
        return None
    for unused in unused_in_model(syntax.body, frame, trace, state.lets, state.placed, outputs):
        state.say(unused)
    for output, (value, span) in outputs.items():
        if trace.is_input(value):
            state.say(NoLayers(span, f"the output `{output}`"))
            return None
    model = Model(
        name,
        with_tables(trace.inputs, trace.calls),
        tuple(trace.calls),
        {output: trace.numbers[value] for output, (value, _) in outputs.items()},
        syntax.name.span,
        trace.pieces,
        tuple(state.reused),
    )
    return choose_initializers(model)
