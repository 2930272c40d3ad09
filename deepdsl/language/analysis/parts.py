"""Applies parts, which have one set of weights, and repeats."""

from __future__ import annotations

from typing import Any

from deepdsl.core.registry import Word
from deepdsl.core.source import Span
from deepdsl.diagnostics import closest
from deepdsl.diagnostics.language.arguments import WrongValue
from deepdsl.diagnostics.language.names import UsesItself
from deepdsl.diagnostics.language.shapes import NothingFlows
from deepdsl.language.analysis.elaboration import Elaboration, value_of
from deepdsl.language.analysis.frames import Flowing, Frame, inside
from deepdsl.language.analysis.values import FAILED, evaluate, found
from deepdsl.language.syntax import ast


def apply_part(
    state: Elaboration, part: ast.Part, frame: Frame, into: Flowing | None, span: Span
) -> Flowing:
    """A use of a part: its one set of weights applied to what flows in."""
    name, nothing = part.name.text, Flowing(None, span)
    if into is None:
        state.say(NothingFlows(span, name, state.input_names()))
        return nothing
    if name in frame.within:
        state.say(UsesItself(span, name))
        return nothing
    state.note_read(into)
    state.placed.add(part.name.span)
    if not state.may_enter(part.body.span, span, frame):
        return nothing
    inner, start = frame.inside(part, into), len(state.trace.calls)
    with state.trace.deeper(span):
        state.elaborate_body(state, part.body, inner, f"the part `{name}`", part.name.span)
    out = value_of(inner)
    if out is not None:
        state.trace.piece(inner.prefix, start, into.value, out)
    return Flowing(out, span)


def apply_repeat(
    state: Elaboration, unit: ast.Repeat, frame: Frame, into: Flowing | None
) -> Flowing:
    """A body as many times after itself as its count says, each with fresh weights."""
    count = _count(state, unit, frame)
    if frame.idle or count == 0:
        _look_at(state, unit, frame, into)
        return Flowing(None if frame.idle or into is None else into.value, unit.span)
    if count is FAILED:
        return Flowing(None, unit.span)
    before = frame.current
    frame.current = into
    with state.trace.deeper(unit.span):
        _unroll(state, unit, frame, count)
    out, frame.current = value_of(frame), before
    return Flowing(out, unit.span)


def _look_at(state: Elaboration, unit: ast.Repeat, frame: Frame, into: Flowing | None) -> None:
    """Look at the names and options of a body that no turn goes through."""
    idle = frame if frame.idle else frame.unreached()
    idle.current = into and Flowing(None, into.span)
    if state.may_enter(unit.body.span, unit.span, idle):
        state.elaborate_body(state, unit.body, idle, "this `repeat`", unit.span)


def _unroll(state: Elaboration, unit: ast.Repeat, frame: Frame, count: int) -> None:
    trace = state.trace
    calls, parameters = len(trace.calls), trace.parameters
    for turn in range(count):
        errors = state.report.has_errors
        state.elaborate_body(state, unit.body, frame, "this `repeat`", unit.span)
        if turn == 0:
            # What one turn adds, the others add: one beyond the limits is not gone through.
            left = count - 1
            trace.limit(
                unit.span,
                len(trace.calls) + left * (len(trace.calls) - calls),
                trace.parameters + left * (trace.parameters - parameters),
            )
        if trace.overflow or (state.report.has_errors and not errors):
            break
        frame.definitions = {
            name: span for name, span in frame.definitions.items() if not inside(span, unit.span)
        }


def _count(state: Elaboration, unit: ast.Repeat, frame: Frame) -> Any:
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
    state.say(WrongValue(unit.count.span, "repeat", "count", expected, shown, hint))
    return FAILED
