"""Goes through flows: what is first, what it flows through, and choices between flows."""

from __future__ import annotations

from deepdsl.core.registry import lookup
from deepdsl.diagnostics.language.arguments import TooManyArguments
from deepdsl.diagnostics.language.names import OuterValue
from deepdsl.language.analysis.conditions import holds
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.layer_calls import apply_layer
from deepdsl.language.analysis.units import apply_unit, template_named
from deepdsl.language.analysis.values import FAILED
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.walk import names_in


def unroll_flow(state: Elaboration, flow: ast.Flow, frame: Frame) -> Flowing:
    """The value of a flow that starts in a frame."""
    chain = chosen_chain(state, flow, frame)
    if chain is None:
        return Flowing(None, flow.span)
    flowing = _head(state, chain.head, frame)
    for unit in chain.rest:
        flowing = apply_unit(state, unit, frame, flowing)
    return flowing


def starts_afresh(state: Elaboration, flow: ast.Flow, frame: Frame) -> bool:
    """Whether a line begins with a value rather than going on from the line above."""
    chain = chosen_chain(state, flow, frame)
    return chain is not None and not (
        isinstance(chain.head, ast.Layer) and lookup("layer").get(chain.head.path.text) is not None
    )


def chosen_chain(state: Elaboration, flow: ast.Flow, frame: Frame) -> ast.Chain | None:
    """The chain that a flow comes to, through its choices; None where that is not known."""
    while isinstance(flow, ast.Choose):
        taken = holds(flow.condition, frame.env)
        if taken is FAILED:
            for branch in (flow.then, flow.otherwise):
                _pass_by(state, branch, frame)
            return None
        _pass_by(state, flow.otherwise if taken else flow.then, frame)
        flow = flow.then if taken else flow.otherwise
    return flow


def _pass_by(state: Elaboration, flow: ast.Flow, frame: Frame) -> None:
    """Look at the names and options of a flow that is not taken; it makes nothing."""
    for name in names_in(flow):
        state.note_read(frame.values.get(name))
    if flow.span not in state.looked_at:
        state.looked_at.add(flow.span)
        unroll_flow(state, flow, frame.unreached())


def _head(state: Elaboration, head: ast.Sum | ast.Unit, frame: Frame) -> Flowing:
    if isinstance(head, ast.Sum):
        terms = [_start(state, term, frame) for term in head.terms]
        if any(t.value is None for t in terms):
            return Flowing(None, head.span)
        return apply_layer(state, lookup("layer")["add"](), head.span, frame, terms)
    return _start(state, head, frame)


def _start(state: Elaboration, unit: ast.Unit, frame: Frame) -> Flowing:
    """What is first in a line: a value, or a layer that continues from the line above."""
    value = _value_at_start(state, unit, frame)
    if value is not None:
        return value
    return apply_unit(state, unit, frame, frame.current)


def _value_at_start(state: Elaboration, unit: ast.Unit, frame: Frame) -> Flowing | None:
    """The value that a line begins with; None where it begins with something else."""
    if not isinstance(unit, ast.Layer) or len(unit.path.parts) != 1:
        return None
    name = unit.path.text
    flowing = frame.values.get(name)
    if flowing is None:
        here = name in frame.parts or name in lookup("layer") or name in frame.env.constants
        if name in frame.outer and not here and template_named(name, frame) is None:
            state.say(OuterValue(unit.path.span, name, frame.what))
            return Flowing(None, unit.span)
        return None
    if flowing.value is not None:
        for arg in unit.args:
            state.say(TooManyArguments(arg.span, name, "nothing: it is a value"))
        state.note_read(flowing)
    return Flowing(flowing.value, unit.span)
