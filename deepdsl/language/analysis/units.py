"""Applies what is at the place of a layer: a layer, part, block, repeat or reused piece."""

from __future__ import annotations

from typing import Any

from deepdsl.core.registry import Word, lookup
from deepdsl.diagnostics.language.arguments import TooManyArguments
from deepdsl.diagnostics.language.names import UnknownLayer, UsesItself, ValueInChain
from deepdsl.diagnostics.language.templates import NoLayerHeld
from deepdsl.language.analysis.blocks import apply_block
from deepdsl.language.analysis.definitions import BlockName, Template
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.layer_calls import call_layer
from deepdsl.language.analysis.parts import apply_part, apply_repeat
from deepdsl.language.analysis.reuse import apply_reuse
from deepdsl.language.analysis.templates import Called
from deepdsl.language.analysis.values import FAILED, Closure, found
from deepdsl.language.syntax import ast


def apply_unit(state: Elaboration, unit: ast.Unit, frame: Frame, into: Flowing | None) -> Flowing:
    """A layer, part, block, repeat or reused piece applied to what flows in."""
    match unit:
        case ast.Repeat():
            return apply_repeat(state, unit, frame, into)
        case ast.Reuse():
            return apply_reuse(state, unit, frame, into)
    name = unit.path.text
    if name in frame.parts:
        for arg in unit.args:
            state.say(TooManyArguments(arg.span, name, "nothing: it is a part"))
        return apply_part(state, frame.parts[name], frame, into, unit.span)
    called = Called(name, unit.path.span, unit.args, unit.span, frame.env)
    cls = lookup("layer").get(name)
    if cls is not None:
        return call_layer(state, cls, called, frame, into)
    constant = frame.env.named(name)
    if constant is not None:
        return _apply_constant(state, constant, called, frame, into)
    template = template_named(name, frame)
    if template is not None:
        return apply_block(state, template, called, frame, into)
    _say_unknown(state, unit, frame)
    return Flowing(None, unit.span)


def template_named(name: str, frame: Frame) -> Template | None:
    """The block, or the model of a used file, that a name means in a frame."""
    word = frame.env.home.word(name) if frame.env.home is not None else None
    return word.template if isinstance(word, BlockName) else None


def _apply_constant(
    state: Elaboration, constant: Any, called: Called, frame: Frame, into: Flowing | None
) -> Flowing:
    """What a constant or parameter names: a layer or a block, perhaps with its options."""
    nothing = Flowing(None, called.span)
    if constant is FAILED:
        state.note_read(into)
        return nothing
    if isinstance(constant, Word) and constant.text == "none" and into is not None:
        return Flowing(into.value, called.span)
    if isinstance(constant, Closure):
        if called.args:
            takes = f"nothing: its options stand where `{called.name}` gets its value"
            state.say(TooManyArguments(called.args[0].span, called.name, takes))
            return nothing
        there, call = constant.env.reporting(state.report), constant.call
        called = Called(str(call.name.text), called.named, call.args, called.span, there)
        constant = there.home.word(called.name) if there.home else Word(called.name)
    if isinstance(constant, BlockName):
        named = Called(constant.text, called.named, called.args, called.span, called.env)
        return apply_block(state, constant.template, named, frame, into)
    cls = lookup("layer").get(constant.text) if isinstance(constant, Word) else None
    if cls is None:
        _say_no_layer(state, constant, called)
        return nothing
    named = Called(cls.name, called.named, called.args, called.span, called.env)
    return call_layer(state, cls, named, frame, into)


def _say_no_layer(state: Elaboration, constant: Any, called: Called) -> None:
    candidates = (*lookup("layer"), *state.home.names(("block",)))
    shown = found(ast.Path((called.name,), span=called.named), constant)
    word = isinstance(constant, Word)
    shown = f"`{constant.text}`" if word else shown.rpartition("which is ")[2]
    state.say(NoLayerHeld(called.named, called.name, shown, candidates))


def _say_unknown(state: Elaboration, unit: ast.Layer, frame: Frame) -> None:
    name, span = unit.path.text, unit.path.span
    if name in frame.values:
        state.say(ValueInChain(span, name))
    elif name in frame.within:
        state.say(UsesItself(span, name))
    else:
        names = (*lookup("layer"), *frame.parts, *frame.values, *state.home_of(frame).names())
        state.say(UnknownLayer(span, name, names))
