"""Applies blocks, and models of used files that are used as blocks: each use has fresh weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deepdsl.core.source import Span
from deepdsl.diagnostics import Label, Use
from deepdsl.diagnostics.language.names import UsesItself
from deepdsl.diagnostics.language.shapes import NothingFlows, ShapeMismatch
from deepdsl.diagnostics.language.templates import NotForFlows, NumberedLikeBlock
from deepdsl.graph import by_times
from deepdsl.language.analysis.definitions import Template
from deepdsl.language.analysis.elaboration import Elaboration, value_of
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.model import BATCH
from deepdsl.language.analysis.templates import Bound, Called, bind_parameters
from deepdsl.language.analysis.values import FAILED, evaluate


def apply_block(
    state: Elaboration, template: Template, called: Called, frame: Frame, into: Flowing | None
) -> Flowing:
    """A use of a block, or of a used file's model: fresh weights, under the next number."""
    span, nothing = called.span, Flowing(None, called.span)
    bound = _bound(state, template, called, frame, into)
    if bound is None:
        return nothing
    path = _numbered(state, template, span, frame)
    if path is None or not state.trace.enter(span, state.sizes.of(template)):
        return nothing
    state.reached.add(template)
    inner = _inner_frame(template, bound, path, frame, into)
    if template.what == "model":
        if not _feed(state, template, called, inner, into):
            return nothing
    elif into is not None:
        inner.values["in"] = into
    start = len(state.trace.calls)
    with state.trace.deeper(span), _inside(state, template, called):
        syntax, what = template.syntax, f"the {template.what} `{template.name}`"
        state.elaborate_body(state, syntax.body, inner, what, syntax.name.span)
    out = _result(state, called, inner)
    if out.value is not None:
        alone = into.value if into is not None and not bound.values else None
        state.trace.piece(path, start, alone, out.value, template.name)
    return out


def _bound(
    state: Elaboration, template: Template, called: Called, frame: Frame, into: Flowing | None
) -> Bound | None:
    """The parameters' values; None where the block is not gone through."""
    if template.name in template.home.broken:
        return None
    bound = bind_parameters(template, called, frame.values)
    if frame.idle:
        return None
    operands = tuple(bound.values.values()) if bound is not None else ()
    for flowing in (into, *operands):
        state.note_read(flowing)
    if bound is None:
        return None
    if into is None and not operands:
        state.say(NothingFlows(called.named, called.name, state.input_names()))
        return None
    if any(each is template for each in state.stack):
        state.say(UsesItself(called.span, called.name))
        return None
    return bound


def _inner_frame(
    template: Template, bound: Bound, path: str, frame: Frame, into: Flowing | None
) -> Frame:
    inner = Frame(template.what, path, bound.env, template.defaults, into)
    inner.values.update(bound.values)
    inner.outer = frozenset(frame.values) - inner.values.keys()
    inner.definitions.update({p.name.text: p.name.span for p in template.parameters})
    return inner


def _numbered(state: Elaboration, template: Template, span: Span, frame: Frame) -> str | None:
    """The path of a use: the block's name, numbered as layers are; None where it is taken."""
    frame.counts[template.name] += 1
    name = f"{template.name}_{frame.counts[template.name]}"
    frame.numbered[name] = span
    if name in frame.parts:
        state.say(NumberedLikeBlock(frame.parts[name].name.span, name, span))
        return None
    return frame.path(name)


def _feed(
    state: Elaboration, template: Template, called: Called, inner: Frame, into: Flowing | None
) -> bool:
    """Let what flows be the model's one input; whether it can be."""
    inner.outputs, inner.inputs = {}, template.inputs
    if len(template.inputs) != 1:
        reason = f"it has {len(template.inputs) or 'no'} inputs"
        state.say(NotForFlows(called.named, called.name, reason))
        return False
    (input_,) = template.inputs
    inner.definitions[input_.name.text] = input_.name.span
    shape = evaluate(input_.shape, inner.env)
    if shape is FAILED or into is None or into.value is None:
        inner.current = inner.values[input_.name.text] = Flowing(None, called.span)
        return True
    if into.value.type.shape != (BATCH, *shape):
        rule = f"the model `{called.name}` takes {by_times(shape)}"
        is_given = f"it was given {by_times(into.value.type.shape[1:])}"
        labels = (Label(input_.span, "its input"),)
        state.say(ShapeMismatch(called.span, rule, is_given, "", labels))
        return False
    inner.values[input_.name.text] = into
    return True


def _result(state: Elaboration, called: Called, inner: Frame) -> Flowing:
    """What a use gives: the value of its last line, or the one output of a model."""
    if inner.outputs and len(inner.outputs) > 1:
        reason = f"it has {len(inner.outputs)} outputs"
        state.say(NotForFlows(called.named, called.name, reason))
        return Flowing(None, called.span)
    if inner.outputs:
        ((value, _),) = inner.outputs.values()
        return Flowing(value, called.span)
    return Flowing(value_of(inner), called.span)


@contextmanager
def _inside(state: Elaboration, template: Template, called: Called) -> Iterator[None]:
    """What is said meanwhile is about the text of the template, on its way to here."""
    before = state.report.uses
    state.report.uses = (Use(f"`{called.name}`", called.span), *before)
    state.stack.append(template)
    try:
        yield
    finally:
        state.stack.pop()
        state.report.uses = before
