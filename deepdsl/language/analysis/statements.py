"""Goes through the statements of a body."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from deepdsl.core.registry import lookup
from deepdsl.core.source import Span
from deepdsl.diagnostics.language.names import DefinedTwice, NameOfLayer, NotBuiltYet, ReservedName
from deepdsl.diagnostics.language.shapes import LostValue, NoLayers
from deepdsl.diagnostics.language.templates import NumberedLikeBlock, OutputInBlock
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.flows import starts_afresh, unroll_flow
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.layer_calls import named_value
from deepdsl.language.analysis.layer_defaults import add_default
from deepdsl.language.analysis.parts import apply_part
from deepdsl.language.analysis.values import LetConstant, evaluate
from deepdsl.language.syntax import ast

# Names of the step's inputs, outputs and state that a model's own would collide with.
RESERVED = frozenset({"target", "loss", "lr", "all_finite", "output", "step", "optimizer", "data"})


def elaborate_body(
    state: Elaboration, body: ast.Body, frame: Frame, what: str, named: Span
) -> None:
    """Go through the statements of a body; `what` says in messages which body it is."""
    used = _define_parts(state, body, frame)
    flows = False
    for statement in body.statements:
        match statement:
            case ast.Input():
                if not any(each is statement for each in frame.inputs):
                    state.say(NotBuiltYet(statement.span, f"an input inside {what}"))
            case ast.Let():
                _let(state, statement, frame)
            case ast.Default():
                add_default(statement, frame.defaults, frame.env)
            case ast.Part():
                # A part that is used by its name is only defined where it is.
                if statement.name.text not in used:
                    out = apply_part(state, statement, frame, frame.current, statement.span)
                    _end_line(state, frame, out)
                flows = True
            case ast.Bind():
                _bind(state, statement, frame)
                flows = True
            case ast.Chain() | ast.Choose():
                if not _output(state, statement, frame):
                    _line(state, statement, frame)
                flows = True
    if not flows:
        state.say(NoLayers(named, what))


def is_taken(state: Elaboration, name: ast.Name, frame: Frame) -> bool:
    """Whether a name cannot be given here; that has been said then."""
    first = frame.definitions.get(name.text)
    if first is not None and first != name.span:
        state.say(DefinedTwice(name.span, name.text, first))
        return True
    frame.definitions[name.text] = name.span
    if name.text in lookup("layer"):
        state.say(NameOfLayer(name.span, name.text))
        return True
    return False


def is_reserved(state: Elaboration, name: ast.Name, names: Collection[str]) -> bool:
    """Whether the compiled graphs have the name for themselves; that has been said then."""
    if name.text in names:
        state.say(ReservedName(name.span, name.text))
        return True
    return False


def _define_parts(state: Elaboration, body: ast.Body, frame: Frame) -> Collection[str]:
    """Note all parts of a body at its start, so that a line can use one that is below it;
    the names that the body's flows speak of.
    """
    for statement in body.statements:
        if isinstance(statement, ast.Part) and not is_taken(state, statement.name, frame):
            name = statement.name.text
            # A part's name begins the paths of its tensors, as those of the step's state do.
            if not frame.prefix:
                is_reserved(state, statement.name, RESERVED)
            if name in frame.numbered:
                state.say(NumberedLikeBlock(statement.name.span, name, frame.numbered[name]))
            frame.parts[name] = statement
    return state.names_used_in(body)


def _let(state: Elaboration, statement: ast.Let, frame: Frame) -> None:
    if is_taken(state, statement.name, frame):
        return
    if not state.stack:
        state.lets.append(statement)
    constant = LetConstant(evaluate(statement.value, frame.env), statement.name.span)
    frame.env = frame.env.inner({statement.name.text: constant})


def _bind(state: Elaboration, statement: ast.Bind, frame: Frame) -> None:
    """`NAME = FLOW`: a line whose value has a name."""
    taken = is_taken(state, statement.name, frame)
    out = _line(state, statement.flow, frame)
    if not taken:
        frame.values[statement.name.text] = replace(out, span=statement.name.span)


def _line(state: Elaboration, flow: ast.Flow, frame: Frame) -> Flowing:
    out = unroll_flow(state, flow, frame)
    _end_line(state, frame, out, starts_afresh(state, flow, frame))
    return out


def _end_line(state: Elaboration, frame: Frame, out: Flowing, afresh: bool = False) -> None:
    """The line's value continues to the next line; what was before and was never read is lost."""
    before = frame.current
    if (
        afresh
        and out.value is not None
        and before is not None
        and before.value not in (None, out.value)
        and before.value not in state.trace.read
        and not state.trace.is_input(before.value)
    ):
        named = any(v.value is before.value for v in frame.values.values())
        if not named:
            state.say(LostValue(before.span, "this line's value"))
    frame.current = out


def _output(state: Elaboration, flow: ast.Flow, frame: Frame) -> bool:
    """`output NAME` lines name the model's outputs."""
    if not (
        isinstance(flow, ast.Chain)
        and not flow.rest
        and isinstance(flow.head, ast.Layer)
        and flow.head.path.text == "output"
    ):
        return False
    if frame.outputs is None:
        state.say(OutputInBlock(flow.span))
        return True
    for arg in flow.head.args:
        named = named_value(state, arg, "output", frame)
        if named is not None and named.value is not None:
            frame.outputs[arg.span.text] = (named.value, arg.span)
    return True
