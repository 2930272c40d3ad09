"""Parts a model in two where nothing after changes what is in front: the layers at its beginning
whose outputs for a row are the same in every epoch, and the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import replace
from math import prod

from deepdsl.core.record import record
from deepdsl.data.spec import DataSpec
from deepdsl.graph import Builder, Type
from deepdsl.language.analysis.freezing import Freezing
from deepdsl.language.analysis.model import BATCH, LayerCall, Model, ModelInput
from deepdsl.nn.layers.layer import Scope
from deepdsl.nn.layers.random_draws import STEP_PATH

# Begins the names of the rest's inputs; no input of the language has a stroke in its name.
CUT = "frozen/"

_SIZES = {"f64": 8, "i64": 8, "u8": 1, "bool": 1}  # bytes; others have four


@record
class FrozenPrefix:
    """A model in two.

    `prefix` makes from raw rows what `rest` is given, under the names of the rest's inputs; what
    the rest reads of the raw rows has the name that it has in the model.  `data` is the section as
    it is for the rest, whose kept inputs have been through the transforms.  `row_bytes` is
    how many bytes of a row are kept, and `layers` are the paths of the frozen layers in front.
    """

    prefix: Model
    rest: Model
    data: DataSpec
    row_bytes: int
    layers: tuple[str, ...]

    @property
    def title(self) -> str:
        """What is frozen, in a word or two: the outermost parts, or the first and the last."""
        names = tuple(dict.fromkeys(path.partition(".")[0] for path in self.layers))
        return ", ".join(names) if len(names) <= 2 else f"{names[0]} to {names[-1]}"


def cut_frozen(model: Model, freezing: Freezing, data: DataSpec) -> FrozenPrefix | str:
    """The model split after its frozen beginning, or in a sentence why that cannot be done or
    is of no use.

    In front is every call whose output depends on nothing but the row: its weights are frozen,
    it draws no random numbers and does not look at the other rows of a batch, and so it is with all
    that flows into it.  Of the cuts that leave the work in front, the one that keeps fewest bytes
    is taken.
    """
    if reason := _out_of_question(freezing, data):
        return reason
    settled = _settled(model, freezing)
    if not any(c.params for c in model.calls if c.output in settled):
        return _reason(model, freezing, settled)
    chosen = _smallest(model, settled)
    layers = tuple(dict.fromkeys(c.path for c in model.calls if c.output in chosen and c.params))
    if not layers:
        return "looking up a table is as quick as reading what it gave"
    behind = (p for c in model.calls if c.output not in chosen for p in c.params)
    if not any(freezing.trains(p) for p in behind):
        return "nothing behind the frozen layers learns"
    return _parted(model, data, chosen, layers)


def _out_of_question(freezing: Freezing, data: DataSpec) -> str:
    if freezing.cache == "off":
        return "cache=off"
    if not freezing.tensors and not freezing.calls:
        return "nothing is frozen"
    if data.augments:
        return "augmentation changes the rows in every epoch"
    if data.target is not None:
        return "the target is the model's own input"
    return ""


# What is frozen --------------------------------------------------------------------------------


def _settled(model: Model, freezing: Freezing) -> set[int]:
    """The inputs, and the outputs of calls that depend on the row alone."""
    found = set(range(len(model.inputs)))
    for call in model.calls:
        if found.issuperset(call.inputs) and not _unsettled(model, call, freezing):
            found.add(call.output)
    return found


def _unsettled(model: Model, call: LayerCall, freezing: Freezing) -> str:
    """What makes a call's output change from epoch to epoch; nothing where it does not."""
    if call.path in freezing.moving:
        return f"`{call.path}` normalizes by the batch and moves its statistics"
    if any(freezing.trains(p) for p in call.params):
        return "the first layers are not frozen"
    if call.type.shape[:1] != (BATCH,) or not all(isinstance(d, int) for d in call.type.shape[1:]):
        return f"the rows of `{call.path}` are not those of the data"
    if call.path in freezing.calls:
        return ""
    b = Builder()
    inputs = [b.input(f"x{i}", model.type_of(n)) for i, n in enumerate(call.inputs)]
    graph = b.graph({"y": call.layer.expand(Scope(b, call.path, training=True), *inputs)})
    if any(p.name == STEP_PATH for p in graph.params):
        return f"`{call.path}` draws random numbers in every step"
    return f"`{call.path}` changes its state in every step" if graph.updates else ""


def _reason(model: Model, freezing: Freezing, settled: Set[int]) -> str:
    """Why nothing in front can be kept: the first call that is in the way."""
    first = next(c for c in model.calls if c.output not in settled and settled >= set(c.inputs))
    return _unsettled(model, first, freezing)


# Where to cut -------------------------------------------------------------------------------------


def _smallest(model: Model, settled: Collection[int]) -> frozenset[int]:
    """The outputs of the calls in front.

    What costs little and makes much of a row (`upsample`, `embedding`) is left to the rest where
    nothing else in front needs it.
    """
    best = _without_growth(model, settled)
    least = _bytes(model, best)
    for call in model.calls:
        # What was left out on the way to a layer that grows, in another branch.
        if call.output in settled and all(n in best or not model.call_of(n) for n in call.inputs):
            more = best | {call.output}
            best = more if _bytes(model, more) <= least else best
    return best


def _without_growth(model: Model, settled: Collection[int]) -> frozenset[int]:
    """The calls in front without those at its end that make a row larger."""
    inside = {c.output for c in model.calls if c.output in settled}
    best, least = frozenset(inside), _bytes(model, inside)
    for call in reversed(model.calls):
        dear = call.params and not call.layer.indices
        if call.output not in inside or dear or _feeds(model, call.output, inside):
            continue
        inside.remove(call.output)
        size = _bytes(model, inside)
        if size < least:
            best, least = frozenset(inside), size
        elif size > least:
            inside.add(call.output)
    return best


def _feeds(model: Model, value: int, calls: Collection[int]) -> bool:
    return any(value in c.inputs for c in model.calls if c.output in calls)


def _crossing(model: Model, inside: Collection[int]) -> Iterator[int]:
    """The values that the rest reads and does not make, in order."""
    read = {n for c in model.calls if c.output not in inside for n in c.inputs}
    read.update(model.outputs.values())
    raw = range(len(model.inputs))
    return (n for n in sorted(read) if n in raw or n in inside)


def _bytes(model: Model, inside: Collection[int]) -> int:
    """What is kept of a row; raw values are there anyway."""
    return sum(_size(model.type_of(n)) for n in _crossing(model, inside) if n in inside)


def _size(type: Type) -> int:
    return prod(type.row) * _SIZES.get(type.dtype, 4)


# The two models -----------------------------------------------------------------------------------


def _parted(
    model: Model, data: DataSpec, chosen: frozenset[int], layers: tuple[str, ...]
) -> FrozenPrefix:
    crossing = tuple(_crossing(model, chosen))
    names = _names(model, crossing)
    kept = {names[n]: n for n in crossing if n in chosen}
    front = tuple(c for c in model.calls if c.output in chosen)
    back = tuple(c for c in model.calls if c.output not in chosen)
    read = {n for c in front for n in c.inputs}
    raw = tuple(n for n in range(len(model.inputs)) if n in read)
    prefix = _model(model, tuple(model.inputs[n] for n in raw), raw, front, kept)
    given = tuple(_given(model, n, names[n]) for n in crossing)
    rest = _model(model, given, crossing, back, model.outputs)
    ready = replace(data, ready=frozenset(kept))
    return FrozenPrefix(prefix, rest, ready, _bytes(model, chosen), layers)


def _names(model: Model, crossing: tuple[int, ...]) -> dict[int, str]:
    """Raw inputs have their own names; what a layer gives has its path's, numbered where a shared
    part gives several.
    """
    names: dict[int, str] = {}
    for n in crossing:
        call = model.call_of(n)
        stem = model.inputs[n].name if call is None else CUT + call.path
        names[n], number = stem, 1
        while names[n] in (names[k] for k in names if k != n):
            number += 1
            names[n] = f"{stem}/{number}"
    return names


def _given(model: Model, value: int, name: str) -> ModelInput:
    call = model.call_of(value)
    return model.inputs[value] if call is None else ModelInput(name, call.type, call.span)


def _model(
    model: Model,
    inputs: tuple[ModelInput, ...],
    values: tuple[int, ...],
    calls: tuple[LayerCall, ...],
    outputs: Mapping[str, int],
) -> Model:
    """Some calls of a model as a model; `values` are the numbers that its inputs had."""
    number = {n: i for i, n in enumerate((*values, *(c.output for c in calls)))}
    moved = tuple(
        replace(c, inputs=tuple(number[n] for n in c.inputs), output=number[c.output])
        for c in calls
    )
    named = {name: number[n] for name, n in outputs.items()}
    return Model(model.name, inputs, moved, named, model.span)
