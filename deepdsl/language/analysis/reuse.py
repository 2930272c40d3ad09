"""Puts pieces of trained networks into a model: `reuse fashion.mlp.body`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics.language.reuse import (
    CannotReuse,
    NoTrainedWeights,
    TooFewLayers,
    UnknownPiece,
    WeightsDoNotFit,
)
from deepdsl.diagnostics.language.shapes import NothingFlows
from deepdsl.graph import ShapeError, Value, by_times
from deepdsl.language.analysis.arguments import bind
from deepdsl.language.analysis.elaboration import Elaboration
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.model import LayerCall
from deepdsl.language.analysis.pieces import CannotCut, Taken, layers_with_weights, take
from deepdsl.language.analysis.reused import Cut, Reused
from deepdsl.language.analysis.reused_names import ReusedNames
from deepdsl.language.analysis.trained_network import (
    TrainedNetwork,
    find_network,
    note_file_used,
)
from deepdsl.language.analysis.values import FAILED
from deepdsl.language.sections.freeze_rows import ReuseOptions
from deepdsl.language.syntax import ast


@record
class _Reuse:
    """One `reuse` line: what it says, where its options stand, and the piece that it takes."""

    unit: ast.Reuse
    options: ReuseOptions
    spans: Mapping[str, Span]
    network: TrainedNetwork
    taken: Taken


def apply_reuse(state: Elaboration, unit: ast.Reuse, frame: Frame, into: Flowing | None) -> Flowing:
    """A piece of a trained network applied to what flows in."""
    options = bind(ReuseOptions, unit.args, unit.path.span, frame.env)
    nothing = Flowing(None, unit.span)
    if into is None:
        state.say(NothingFlows(unit.span, unit.path.text, state.input_names()))
        return nothing
    state.note_read(into)
    if options is FAILED or into.value is None or frame.idle:
        note_file_used(state, unit, frame)
        return nothing
    spans = {a.name.text: a.value.span for a in unit.args if isinstance(a, ast.Keyword)}
    cut = _cut(options, spans)
    network = find_network(state, unit, frame, cut, into.value.type)
    if network is None:
        return nothing
    try:
        # A graph made elsewhere is cut as it is read.
        taken = take(network.model, network.path, Cut() if network.imported else cut)
    except CannotCut as wrong:
        _say_cannot_cut(state, unit, wrong, spans)
        return nothing
    return _put(state, _Reuse(unit, options, spans, network, taken), frame, into.value)


def _cut(options: ReuseOptions, spans: Mapping[str, Span]) -> Cut:
    words = {"start": "from", "until": "until", "without": "without"}
    places = {field: spans[word] for field, word in words.items() if word in spans}
    return Cut(options.from_, options.until, options.without, places)


def _say_cannot_cut(
    state: Elaboration, unit: ast.Reuse, wrong: CannotCut, spans: Mapping[str, Span]
) -> None:
    span = spans.get(wrong.word, unit.path.span)
    if wrong.name:
        where = wrong.message.rpartition(" has no ")[0]
        state.say(UnknownPiece(span, wrong.name, where, wrong.candidates))
    else:
        state.say(CannotReuse(span, unit.path.text, wrong.message, wrong.help))


# Putting it here ----------------------------------------------------------------------------------


def _put(state: Elaboration, reuse: _Reuse, frame: Frame, flows: Value) -> Flowing:
    """The calls of a piece, made once more on what flows in."""
    unit, taken, trace = reuse.unit, reuse.taken, state.trace
    nothing = Flowing(None, unit.span)
    names = ReusedNames(state, unit, frame, reuse.network, taken)
    values: dict[int, Value] = {taken.input: flows}
    numbers: dict[int, int] = {taken.input: trace.numbers[flows]}
    first = len(trace.calls)
    tensors: dict[str, str] = {}
    for call in taken.calls:
        path = names.of(call.path)
        if path is None or not trace.enter(unit.span):
            return nothing
        inputs = [values[taken.read(v)] for v in call.inputs]
        try:
            out = trace.apply(names.layer(call), path, unit.span, inputs)
        except ShapeError as error:
            _say_does_not_fit(state, reuse, flows, call, error.label or error.message)
            return nothing
        values[call.output], numbers[call.output] = out, trace.numbers[out]
        copy = trace.calls[-1] = replace(trace.calls[-1], trained=True)
        for mine, theirs in zip(copy.params, call.params, strict=True):
            if mine.type != theirs.type:
                needs = f"here they would have to be {by_times(mine.type.shape)}"
                _say_does_not_fit(state, reuse, flows, call, needs)
                return nothing
            tensors[mine.name] = theirs.name
    names.keep_pieces(first, numbers)
    _note_weights(state, reuse, tensors, names)
    return Flowing(values[taken.read(taken.output)], unit.span)


def _say_does_not_fit(
    state: Elaboration, reuse: _Reuse, flows: Value, call: LayerCall, here: str
) -> None:
    weights = [p for p in call.params if p.role == "weight"] or list(call.params)
    there = f"has weights {by_times(weights[0].type.shape)}" if weights else "stands in it"
    was = by_times(reuse.network.model.type_of(reuse.taken.input).shape[1:])
    now = by_times(flows.type.shape[1:])
    advice = ""
    if was != now:
        advice = f"it was made for {was} and is given {now}: bring what flows in to {was}"
    unit = reuse.unit
    state.say(WeightsDoNotFit(unit.span, unit.path.text, call.path, there, here, advice))


# Where its weights come from ----------------------------------------------------------------------


def _note_weights(
    state: Elaboration, reuse: _Reuse, tensors: dict[str, str], names: ReusedNames
) -> None:
    """Note where the weights come from."""
    if any(tensors.keys() <= r.tensors.keys() for r in state.reused):
        return  # a part that is used again
    fresh = _fresh(state, reuse, names)
    if fresh is None:
        return
    unit, options, network = reuse.unit, reuse.options, reuse.network
    place, span = _place_of_weights(reuse)
    trained = ""
    if span is None and not network.alias and network.home is state.home:
        trained = network.model.name
    elif span is None and network.imported is None and not state.for_reuse:
        file = network.home.file_of(network.alias)
        state.say(NoTrainedWeights(unit.path.span, unit.path.text, network.alias, file))
    state.reused.append(
        Reused(
            unit.path.text,
            unit.span,
            tensors,
            fresh,
            place,
            span,
            trained,
            network.imported,
            options.match,
            options.prefix,
            options.rename,
            options.layout,
        )
    )


def _place_of_weights(reuse: _Reuse) -> tuple[str, Span | None]:
    """The file of the weights, as the `reuse` or the `use` line says it, and where it does."""
    network = reuse.network
    written = network.home.weights.get(network.alias)
    if reuse.options.weights is not None:
        place, span = reuse.options.weights, reuse.spans.get("weights", reuse.unit.span)
    elif written is not None:
        place, span = written.value, written.span
    else:
        return "", None
    return os.path.normpath(os.path.join(span.source.folder, place)), span


def _fresh(state: Elaboration, reuse: _Reuse, names: ReusedNames) -> frozenset[str] | None:
    """The tensors that begin from scratch, behind the first `layers`; None where it has fewer."""
    count = reuse.options.layers
    if count is None:
        return frozenset()
    layers = layers_with_weights(reuse.taken.calls)
    if count > len(layers):
        asked, path = reuse.spans["layers"], reuse.unit.path.text
        state.say(TooFewLayers(asked, path, count, tuple(layers)))
        return None
    return _tensors_of(reuse.taken.calls, frozenset(layers[count:]), names)


def _tensors_of(
    calls: Sequence[LayerCall], layers: frozenset[str], names: ReusedNames
) -> frozenset[str]:
    """The tensors of some layers, and of the norms after them."""
    tensors: set[str] = set()
    inside = False
    for call in calls:
        if any(p.role == "weight" for p in call.params):
            inside = call.path in layers
        if inside:
            path = names.of(call.path)
            own = (p.name for p in call.params if p.name not in call.layer.borrows)
            tensors.update(f"{path}{name.removeprefix(call.path)}" for name in own)
    return frozenset(tensors)
