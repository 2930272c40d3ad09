"""Puts pieces of trained networks into a model: `reuse fashion.mlp.body`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics import DnnError, Report
from deepdsl.diagnostics.language.names import DefinedTwice, UnknownReference
from deepdsl.diagnostics.language.reuse import (
    CannotReuse,
    NoTrainedWeights,
    TooFewLayers,
    UnknownPiece,
    WeightsDoNotFit,
)
from deepdsl.diagnostics.language.shapes import NothingFlows
from deepdsl.graph import ShapeError, Type, Value, by_times
from deepdsl.language.analysis.arguments import bind
from deepdsl.language.analysis.frames import Flowing, Frame
from deepdsl.language.analysis.library import Imported
from deepdsl.language.analysis.model import LayerCall, Model, Piece
from deepdsl.language.analysis.pieces import CannotCut, Taken, layers_with_weights, take
from deepdsl.language.analysis.reused import Cut, Reused
from deepdsl.language.analysis.units import Units
from deepdsl.language.analysis.values import FAILED
from deepdsl.language.sections.freeze_rows import ReuseOptions
from deepdsl.language.syntax import ast

if TYPE_CHECKING:
    from deepdsl.language.analysis.definitions import Definitions, Template


@record
class Standing:
    """The trained network that a `reuse` speaks of: `path` is inside of it; `alias` is the used
    file, of which `home` knows.
    """

    model: Model
    path: str
    home: Definitions
    alias: str = ""
    imported: Imported | None = None


class Reuses(Units):
    """Applies what is reused."""

    def network(self, template: Template, span: Span, report: Report) -> Model | None:
        """A model, unrolled to be on; None after something was reported."""
        raise NotImplementedError

    def reuse(self, unit: ast.Reuse, frame: Frame, into: Flowing | None) -> Flowing:
        options = bind(ReuseOptions, unit.args, unit.path.span, frame.env)
        nothing = Flowing(None, unit.span)
        if into is None:
            inputs = tuple(i.name for i in self.trace.inputs)
            self.say(NothingFlows(unit.span, unit.path.text, inputs))
            return nothing
        if into.value is not None:
            self.trace.read.add(into.value)
        if options is FAILED or into.value is None or frame.idle:
            self._spoken_of(unit, frame)
            return nothing
        spans = {a.name.text: a.value.span for a in unit.args if isinstance(a, ast.Keyword)}
        words = {"start": "from"}
        cut = Cut(
            options.from_,
            options.until,
            options.without,
            {k: spans[w] for k in ("start", "until", "without") if (w := words.get(k, k)) in spans},
        )
        standing = self._standing(unit, frame, cut, into.value.type)
        if standing is None:
            return nothing
        try:
            taken = take(standing.model, standing.path, Cut() if standing.imported else cut)
        except CannotCut as wrong:
            self._cannot(unit, wrong, spans)
            return nothing
        return self._applied(unit, frame, into.value, standing, taken, options, spans)

    # Which network --------------------------------------------------------------------------------

    def _spoken_of(self, unit: ast.Reuse, frame: Frame) -> None:
        """Note that a file is used by a `reuse` that is not gone through."""
        home: Any = frame.env.home or self.home
        if unit.path.parts[0] in home.files:
            home.speaks_of(unit.path.parts[0])

    def _standing(self, unit: ast.Reuse, frame: Frame, cut: Cut, given: Type) -> Standing | None:
        home: Definitions = frame.env.home or self.home  # type: ignore[assignment]
        first, rest = unit.path.parts[0], unit.path.parts[1:]
        if first not in home.files:
            return self._of_this_file(unit, frame, home)
        home.speaks_of(first)
        library = home.libraries.get(first)
        if library is not None:
            if rest:
                hint = f'a graph is cut at its tensors: `reuse {first} until="TENSOR"`'
                told = f"the file `{first}`"
                self.say(UnknownPiece(unit.path.span, ".".join(rest), told, (), hint))
                return None
            try:
                piece = library.piece([given], cut, unit.span)
            except DnnError as error:
                self.report.extend(error.diagnostics)
                return None
            return Standing(piece.model, "", home, first, piece)
        other = home.files[first]
        if other is None:
            return None
        models = tuple(n for n, t in other.templates.items() if t.what == "model")
        if not rest or rest[0] not in models:
            name = rest[0] if rest else ""
            hint = "" if rest else f"name a model of it: `reuse {first}.{(*models, 'MODEL')[0]}`"
            if name in other.templates:
                hint = f"`{name}` is a block, which has no weights: use it as `{first}.{name}`"
            shown = unit.path.text if not rest else name
            where = f"the file `{first}`" if rest else "a file alone"
            if not rest:
                self.say(CannotReuse(unit.path.span, shown, "this is a file, not a network", hint))
            else:
                self.say(UnknownPiece(unit.path.span, name, where, models, hint))
            return None
        model = self.network(other.templates[rest[0]], unit.path.span, self.report)
        if model is None:
            return None
        return Standing(model, ".".join(rest[1:]), home, first)

    def _of_this_file(self, unit: ast.Reuse, frame: Frame, home: Definitions) -> Standing | None:
        first, span = unit.path.parts[0], unit.path.span
        template = home.templates.get(first)
        models = tuple(n for n, t in home.templates.items() if t.what == "model")
        if template is None or template.what != "model":
            if first in frame.parts or first in frame.values:
                what = "a part of this model" if first in frame.parts else "a value of this model"
                advice = f"using it again needs no word: `{first}`"
                self.say(CannotReuse(span, first, f"this is {what}", advice))
            elif template is not None:
                advice = f"a block makes fresh weights: `{first}`"
                self.say(CannotReuse(span, first, "this is a block", advice))
            else:
                names = (*home.files, *models)
                self.say(UnknownReference(span, "network", unit.path.text, names))
            return None
        model = self.network(template, span, Report() if home is self.home else self.report)
        if model is None:
            return None
        return Standing(model, ".".join(unit.path.parts[1:]), home)

    def _cannot(self, unit: ast.Reuse, wrong: CannotCut, spans: dict[str, Span]) -> None:
        span = spans.get(wrong.word, unit.path.span)
        if wrong.name:
            where = wrong.message.rpartition(" has no ")[0]
            self.say(UnknownPiece(span, wrong.name, where, wrong.candidates))
        else:
            self.say(CannotReuse(span, unit.path.text, wrong.message, wrong.help))

    # Putting it here ------------------------------------------------------------------------------

    def _applied(
        self,
        unit: ast.Reuse,
        frame: Frame,
        given: Value,
        standing: Standing,
        taken: Taken,
        options: ReuseOptions,
        spans: dict[str, Span],
    ) -> Flowing:
        """The calls of a piece, made once more on what flows in."""
        names = _Names(self, unit, frame, standing, taken)
        values: dict[int, Value] = {taken.input: given}
        numbers: dict[int, int] = {taken.input: self.trace.numbers[given]}
        first = len(self.trace.calls)
        tensors: dict[str, str] = {}
        for call in taken.calls:
            path = names.of(call.path)
            if path is None or not self.trace.enter(unit.span):
                return Flowing(None, unit.span)
            inputs = [values[taken.read(v)] for v in call.inputs]
            layer = names.layer(call)
            try:
                made = self.trace.apply(layer, path, unit.span, inputs)
            except ShapeError as error:
                self._does_not_fit(unit, standing, taken, given, call, error.label or error.message)
                return Flowing(None, unit.span)
            values[call.output], numbers[call.output] = made, self.trace.numbers[made]
            here = self.trace.calls[-1]
            self.trace.calls[-1] = replace(here, trained=True)
            for mine, theirs in zip(here.params, call.params, strict=True):
                if mine.type != theirs.type:
                    needs = f"here they would have to be {by_times(mine.type.shape)}"
                    self._does_not_fit(unit, standing, taken, given, call, needs)
                    return Flowing(None, unit.span)
                tensors[mine.name] = theirs.name
        names.keep_pieces(first, numbers)
        self._note(unit, standing, taken, options, spans, tensors, names)
        return Flowing(values[taken.read(taken.output)], unit.span)

    def _does_not_fit(
        self,
        unit: ast.Reuse,
        standing: Standing,
        taken: Taken,
        given: Value,
        call: LayerCall,
        here: str,
    ) -> None:
        weights = [p for p in call.params if p.role == "weight"] or list(call.params)
        there = f"has weights {by_times(weights[0].type.shape)}" if weights else "stands in it"
        was = by_times(standing.model.type_of(taken.input).shape[1:])
        now = by_times(given.type.shape[1:])
        advice = ""
        if was != now:
            advice = f"it was made for {was} and is given {now}: bring what flows in to {was}"
        self.say(WeightsDoNotFit(unit.span, unit.path.text, call.path, there, here, advice))

    def _note(
        self,
        unit: ast.Reuse,
        standing: Standing,
        taken: Taken,
        options: ReuseOptions,
        spans: dict[str, Span],
        tensors: dict[str, str],
        names: _Names,
    ) -> None:
        """Note where the weights come from."""
        if any(tensors.keys() <= r.tensors.keys() for r in self.reused):
            return  # a part that is used again
        fresh: frozenset[str] = frozenset()
        if options.layers is not None:
            layers = layers_with_weights(taken.calls)
            if options.layers > len(layers):
                asked = spans["layers"]
                self.say(TooFewLayers(asked, unit.path.text, options.layers, tuple(layers)))
                return
            fresh = _fresh(taken.calls, frozenset(layers[options.layers :]), names)
        written = standing.home.weights.get(standing.alias)
        place = ""
        span: Span | None = None
        if options.weights is not None:
            place, span = options.weights, spans.get("weights", unit.span)
        elif written is not None:
            place, span = written.value, written.span
        trained = ""
        if span is not None:
            place = os.path.normpath(os.path.join(span.source.folder, place))
        elif not standing.alias and standing.home is self.home:
            trained = standing.model.name
        elif standing.imported is None and not self.to_stand_on:
            file = standing.home.file_of(standing.alias)
            self.say(NoTrainedWeights(unit.path.span, unit.path.text, standing.alias, file))
        self.reused.append(
            Reused(
                unit.path.text,
                unit.span,
                tensors,
                fresh,
                place,
                span,
                trained,
                standing.imported,
                options.match,
                options.prefix,
                options.rename,
                options.layout,
            )
        )


def _fresh(calls: Sequence[LayerCall], layers: frozenset[str], names: _Names) -> frozenset[str]:
    """The tensors that begin from scratch: those of some layers, and of the norms after them."""
    fresh: set[str] = set()
    afresh = False
    for call in calls:
        if any(p.role == "weight" for p in call.params):
            afresh = call.path in layers
        if afresh:
            path = names.of(call.path)
            own = (p.name for p in call.params if p.name not in call.layer.borrows)
            fresh.update(f"{path}{name.removeprefix(call.path)}" for name in own)
    return frozenset(fresh)


class _Names:
    """What the layers of a piece are called where it is put: as if they were written there."""

    def __init__(
        self, made: Reuses, unit: ast.Reuse, frame: Frame, standing: Standing, taken: Taken
    ) -> None:
        self.made, self.unit, self.frame = made, unit, frame
        self.model, self.taken = standing.model, taken
        self.before = f"{standing.path}." if standing.path else ""
        self.layer_itself = any(c.path == standing.path for c in taken.calls)
        self.known: dict[str, str | None] = {}

    def of(self, path: str) -> str | None:
        """The path here; None where its name is taken, which has been said."""
        if self.layer_itself:
            path, rest = path.rpartition(".")[2], ""
            head = path
        else:
            head, dot, rest = path.removeprefix(self.before).partition(".")
            rest = dot + rest
        if head not in self.known:
            self.known[head] = self._numbered(head)
        name = self.known[head]
        return None if name is None else f"{name}{rest}"

    def _numbered(self, head: str) -> str | None:
        """Layers and uses of blocks are numbered on; a part keeps its name."""
        full = f"{self.before}{head}"
        piece = self.model.pieces.get(full)
        kind, _, number = head.rpartition("_")
        if kind and number.isdigit() and (piece is None or piece.block):
            self.frame.counts[kind] += 1
            return self.frame.path(f"{kind}_{self.frame.counts[kind]}")
        first = self.frame.definitions.get(head)
        if first is not None and first != self.unit.span:
            self.made.say(DefinedTwice(self.unit.path.span, head, first))
            return None
        self.frame.definitions[head] = self.unit.span
        return self.frame.path(head)

    def layer(self, call: LayerCall) -> Any:
        """The layer, with the path of another one that it speaks of as it is here."""
        tie = getattr(call.layer, "tie", None)
        return call.layer if tie is None else replace(call.layer, tie=self.of(tie))  # type: ignore[call-arg]

    def keep_pieces(self, first: int, numbers: dict[int, int]) -> None:
        """Note the parts and uses of blocks that are here now, where they are whole."""
        place = {c.output: first + n for n, c in enumerate(self.taken.calls)}
        trace = self.made.trace
        for path, piece in self.model.pieces.items():
            whole = [place.get(c.output) for c in self.model.calls[piece.start : piece.end]]
            known = piece.input in numbers and piece.output in numbers
            if not path.startswith(self.before) or None in whole or not known or not whole:
                continue
            here = self.of(path)
            if here is not None and piece.input is not None:
                start, end = place[self.model.calls[piece.start].output], len(whole)
                trace.pieces.setdefault(
                    here,
                    Piece(
                        start,
                        start + end,
                        numbers[piece.input],
                        numbers[piece.output],
                        piece.block,
                    ),
                )
