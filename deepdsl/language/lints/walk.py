"""Ways through a network, for lints: what is before a layer, after it, and anywhere above."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.language.analysis.model import CheckedProgram, LayerCall, Model, Training

NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm"})

# For each value, the calls that take it.
Readers = Mapping[int, Sequence[LayerCall]]


def each_call(program: CheckedProgram) -> Iterator[tuple[Model, LayerCall]]:
    for model in program.models.values():
        for call in model.calls:
            yield model, call


def each_stage(program: CheckedProgram) -> Iterator[Training]:
    """Each phase of each training."""
    for training in program.trainings:
        yield from training.stages


def before(model: Model, call: LayerCall) -> Iterator[LayerCall]:
    """The calls that a call's first operand comes from, nearest first, along a plain chain."""
    here: LayerCall | None = call
    while here is not None and here.inputs:
        here = model.call_of(here.inputs[0])
        if here is not None:
            yield here


def readers_of(model: Model) -> Readers:
    readers: dict[int, list[LayerCall]] = defaultdict(list)
    for call in model.calls:
        for value in dict.fromkeys(call.inputs):
            readers[value].append(call)
    return readers


def after(value: int, readers: Readers) -> Iterator[tuple[LayerCall, bool]]:
    """The calls that a value flows into, up to the first on each way that is not transparent, and
    whether a normalization is between.
    """
    todo = [(value, False)]
    while todo:
        here, normalized = todo.pop()
        for call in readers.get(here, ()):
            yield call, normalized
            if call.layer.transparent:
                todo.append((call.output, normalized or call.layer.name in NORMS))


def uses_by_path(model: Model) -> Mapping[str, Sequence[LayerCall]]:
    """The calls of each layer by its path: weights that are shared have several."""
    found: dict[str, list[LayerCall]] = defaultdict(list)
    for call in model.calls:
        found[call.path].append(call)
    return found


def activations_after(value: int, readers: Readers) -> list[tuple[LayerCall, bool]]:
    """The activations that a value flows into, through transparent layers, and whether a
    normalization is between.
    """
    return [(c, norm) for c, norm in after(value, readers) if c.layer.activation is not None]


def below(value: int, readers: Readers) -> Iterator[LayerCall]:
    """Every call that depends on a value, each once."""
    todo, seen = [value], {value}
    while todo:
        for call in readers.get(todo.pop(), ()):
            if call.output not in seen:
                seen.add(call.output)
                todo.append(call.output)
                yield call


def at_one_place(calls: Sequence[LayerCall]) -> dict[Span, list[LayerCall]]:
    """Calls by the place where they are written: in a `repeat` or a shared part one has several."""
    found: dict[Span, list[LayerCall]] = defaultdict(list)
    for call in calls:
        found[call.span].append(call)
    return found


@record
class Kernel:
    """The weights of a layer: how they begin, and how many inputs and outputs they join."""

    init: Any
    fans: tuple[int, int]

    @property
    def variance(self) -> float | None:
        known: float | None = self.init.variance(self.fans)
        return known


def kernel(call: LayerCall) -> Kernel | None:
    """The kernel of a layer that has one."""
    init = getattr(call.layer, "init", None)
    fans = next((p.fans for p in call.params if p.role == "weight"), None)
    return Kernel(init, fans) if init is not None and fans is not None else None


def output_calls(model: Model) -> list[LayerCall]:
    """The last call of each output, layers that change no number left out."""
    found = []
    for value in model.outputs.values():
        call = model.call_of(value)
        while call is not None and call.layer.name in ("identity", "flatten", "reshape"):
            call = model.call_of(call.inputs[0])
        if call is not None:
            found.append(call)
    return found
