"""Applies layers to values."""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.core.source import Span
from deepdsl.diagnostics import Label
from deepdsl.diagnostics.language.arguments import UnknownOption, WrongValue
from deepdsl.diagnostics.language.names import NoOperands, UnknownReference
from deepdsl.diagnostics.language.shapes import NothingFlows, ShapeMismatch
from deepdsl.graph import ShapeError, by_times
from deepdsl.language.analysis.arguments import bind
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.templates import Called
from deepdsl.language.analysis.values import FAILED, found
from deepdsl.language.syntax import ast
from deepdsl.nn.layers import Layer


def call_layer(
    state: Elaboration, cls: type[Layer], called: Called, frame: Frame, into: Flowing | None
) -> Flowing:
    """A layer with the options that are written, applied to what flows in."""
    nothing = Flowing(None, called.span)
    if cls.operands:
        return _call_with_operands(state, cls, called, frame)
    layer = bind(cls, called.args, called.named, called.env, frame.defaults.get(cls.name, ()))
    if into is None:
        state.say(NothingFlows(called.named, called.name, state.input_names()))
        return nothing
    if layer is FAILED or into.value is None:
        return nothing
    layer = state.ties.resolved(layer, called, frame, into.value)
    return apply_layer(state, layer, called.span, frame, [into])


def _call_with_operands(
    state: Elaboration, cls: type[Layer], called: Called, frame: Frame
) -> Flowing:
    operands: list[Flowing] = []
    for arg in called.args:
        named = named_value(state, arg, called.name, frame)
        state.note_read(named)
        operands.append(Flowing(named.value if named is not None else None, arg.span))
    if len(operands) < 2:
        if all(isinstance(arg, ast.Path) for arg in called.args):
            state.say(NoOperands(called.span, called.name))
        return Flowing(None, called.span)
    if any(o.value is None for o in operands):
        return Flowing(None, called.span)
    return apply_layer(state, cls(), called.span, frame, operands)


def named_value(state: Elaboration, arg: ast.Argument, owner: str, frame: Frame) -> Flowing | None:
    """The value that an argument names; None after something was reported."""
    if isinstance(arg, ast.Path) and arg.text in frame.values:
        return frame.values[arg.text]
    constant = frame.env.named(arg.text) if isinstance(arg, ast.Path) else None
    if constant is FAILED:
        return None
    if isinstance(arg, ast.Path) and constant is None:
        state.say(UnknownReference(arg.span, "value", arg.text, tuple(frame.values)))
    elif isinstance(arg, ast.Keyword):
        state.say(UnknownOption(arg.name.span, owner, arg.name.text, ()))
    else:
        hint = f"one of: {', '.join(frame.values)}" if frame.values else ""
        shown = f"`{arg.span.text}`" if constant is None else found(arg, constant)
        state.say(WrongValue(arg.span, owner, "values", "names of values", shown, hint))
    return None


def apply_layer(
    state: Elaboration, layer: Layer, span: Span, frame: Frame, into: Sequence[Flowing]
) -> Flowing:
    """A layer applied to values that are there, under the next name of its kind."""
    frame.counts[layer.name] += 1
    path = frame.path(f"{layer.name}_{frame.counts[layer.name]}")
    values = [f.value for f in into if f.value is not None]
    if state.trace.overflow:
        return Flowing(None, span)
    try:
        return Flowing(state.trace.apply(layer, path, span, values), span)
    except ShapeError as error:
        labels = tuple(
            Label(f.span, f"this gives {by_times(f.value.type.shape[1:])}")
            for f in into
            if f.value is not None and f.span != span
        )
        state.say(ShapeMismatch(span, error.message, error.label, error.help, labels))
        return Flowing(None, span)
