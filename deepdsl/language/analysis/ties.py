"""Which layer's weights a tied layer uses: paths looked up among the layers before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics import Report, Use
from deepdsl.diagnostics.language.ties import (
    TiedLayerComesLater,
    TiedShape,
    TiedToNoDense,
    TiedToNoLayer,
    TiedWithOwnersOption,
)
from deepdsl.graph import Value
from deepdsl.language.analysis.frames import Frame
from deepdsl.language.analysis.model import LayerCall
from deepdsl.language.analysis.templates import Called
from deepdsl.language.analysis.trace import Trace
from deepdsl.language.syntax import ast
from deepdsl.nn.layers.dense import Dense
from deepdsl.nn.layers.layer import Layer

# What belongs to the weights, and so to the layer that has them.
_OWNERS = ("init", "l1", "l2", "max_norm")


@record
class _Unknown:
    """A path that no layer before it had."""

    written: str
    own: str  # the path of the layer that is tied
    places: tuple[str, ...]
    names: tuple[str, ...]
    span: Span
    uses: tuple[Use, ...]


class Ties:
    """The tied layers of a model, as it is unrolled."""

    def __init__(self, trace: Trace, report: Report) -> None:
        self.trace, self.report = trace, report
        self._calls: dict[str, LayerCall] = {}
        self._seen = 0
        self._unknown: list[_Unknown] = []

    def resolved(self, layer: Layer, called: Called, frame: Frame, flows: Value) -> Layer:
        """The layer with the whole path of the layer that it is tied to.

        One that cannot be tied gets weights of its own, so that the lines below it have shapes;
        what is wrong has been said then, or `finish` says it.
        """
        if not isinstance(layer, Dense) or layer.tie is None:
            return layer
        # Defaults for all dense layers say nothing to one that has no weights.
        free = replace(layer, tie=None, init=None, l1=0.0, l2=0.0, max_norm=None)
        places = tuple(_outwards(frame.prefix, layer.tie))
        span = _place(called)
        owner = next((c for p in places if (c := self._call(p)) is not None), None)
        if owner is None:
            own = frame.path(f"dense_{frame.counts['dense'] + 1}")
            names = tuple(_names(self._calls.values(), frame.prefix))
            uses = self.report.uses
            self._unknown.append(_Unknown(layer.tie, own, places, names, span, uses))
            return free
        fits = self._options_fit(called, owner) and self._dense(owner, layer.tie, span)
        if not fits or not self._shape_fits(layer, owner, flows, span):
            return free
        return replace(free, tie=owner.path)

    def finish(self) -> None:
        """Say what is wrong with the paths that no layer before them had."""
        for each in self._unknown:
            later = next((c for p in each.places if (c := self._call(p)) is not None), None)
            facts = (each.span, each.written)
            if later is not None:
                itself = later.path == each.own
                made: Any = TiedLayerComesLater(*facts, later.span, itself, uses=each.uses)
            else:
                made = TiedToNoLayer(*facts, each.names, uses=each.uses)
            self.report.add(made)

    def _call(self, path: str) -> LayerCall | None:
        for call in self.trace.calls[self._seen :]:
            self._calls.setdefault(call.path, call)
        self._seen = len(self.trace.calls)
        return self._calls.get(path)

    def _options_fit(self, called: Called, owner: LayerCall) -> bool:
        wrong = [
            arg for arg in called.args if isinstance(arg, ast.Keyword) and arg.name.text in _OWNERS
        ]
        for arg in wrong:
            self.report.add(
                TiedWithOwnersOption(arg.span, arg.name.text, arg.span.text, owner.path)
            )
        return not wrong

    def _dense(self, owner: LayerCall, written: str, span: Span) -> bool:
        if isinstance(owner.layer, Dense) and owner.layer.tie is None:
            return True
        further = getattr(owner.layer, "tie", None) or ""
        self.report.add(TiedToNoDense(span, written, owner.layer.name, further, owner.span))
        return False

    def _shape_fits(self, layer: Dense, owner: LayerCall, flows: Value, span: Span) -> bool:
        takes, gives = next(p for p in owner.params if p.role == "weight").type.shape
        given = flows.type.shape[-1]
        rank = 3 if layer.per else 2
        # What is no vector is told by the layer itself.
        if flows.type.rank != rank or (given, layer.units) == (gives, takes):
            return True
        name = owner.path.rpartition(".")[2]
        sizes: Any = (takes, gives, given, layer.units)
        facts = dict(zip(("takes", "gives", "given", "units"), sizes, strict=True))
        self.report.add(TiedShape(span, name, there=owner.span, **facts))
        return False


def _outwards(prefix: str, written: str) -> Iterator[str]:
    """The paths that a written one may mean, the nearest first."""
    while prefix:
        yield f"{prefix}.{written}"
        prefix = prefix.rpartition(".")[0]
    yield written


def _names(calls: Any, prefix: str) -> Iterator[str]:
    """How the dense layers among calls can be named from a place."""
    for call in calls:
        if isinstance(call.layer, Dense) and call.layer.tie is None:
            here = call.path.removeprefix(f"{prefix}.") if prefix else call.path
            yield here


def _place(called: Called) -> Span:
    """Where the path is written, or the layer where a `default` line has it."""
    for arg in called.args:
        if isinstance(arg, ast.Keyword) and arg.name.text == "tie":
            return arg.span
    return called.span
