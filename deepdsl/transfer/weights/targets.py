"""The layers of a reused piece, and the parameters that want a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.graph import Param
from deepdsl.language.analysis.model import Model
from deepdsl.language.analysis.reused import Reused
from deepdsl.nn.layers.layer import Layer
from deepdsl.transfer.weights.flattened import Order, orders
from deepdsl.transfer.weights.weight_file import Shape


@record
class TargetTensor:
    """A parameter: its path here and there, its name within its layer, and where it is."""

    here: str
    there: str
    local: str
    shape: Shape
    dtype: str
    span: Span | None


@record
class TargetLayer:
    """A layer with its path here and there.  `order` says how Keras orders the numbers that flow
    into it, where that is another order than here.
    """

    here: str
    there: str
    layer: Layer | None
    slots: tuple[TargetTensor, ...]
    order: Order = None

    @property
    def kind(self) -> str:
        return self.layer.name if self.layer is not None else ""

    def slot(self, local: str) -> TargetTensor | None:
        return next((s for s in self.slots if s.local == local), None)


def wanted(model: Model, reused: Reused) -> tuple[TargetLayer, ...]:
    """The layers of a piece in order, without what begins from scratch."""
    return tuple(_wanted(model, reused))


def _wanted(model: Model, reused: Reused) -> Iterator[TargetLayer]:
    made = orders(model)
    tensors = reused.tensors
    if reused.imported is not None and reused.weights:
        # A file of weights for a foreign network has that one's names.
        tensors = {here: reused.imported.names.get(t, t) for here, t in tensors.items()}
    done: set[str] = set()
    late: list[TargetTensor] = []
    for call in model.calls:
        slots: list[TargetTensor] = []
        for param in call.params:
            if param.name not in reused.tensors or param.name in reused.fresh | done:
                continue
            slot = _slot(param, call.path, tensors)
            # The weights of a tied layer are another one's: they come with that one.
            (slots if param.name.startswith(f"{call.path}.") else late).append(slot)
        if slots:
            done.update(slot.here for slot in slots)
            there = _layer_of(slots[0])
            order = made.get(call.inputs[0]) if call.inputs else None
            yield TargetLayer(call.path, there, call.layer, tuple(slots), order)
    for slot in late:
        if slot.here not in done:
            done.add(slot.here)
            yield TargetLayer(slot.here.rpartition(".")[0], _layer_of(slot), None, (slot,))


def _slot(param: Param, path: str, tensors: Mapping[str, str]) -> TargetTensor:
    name = param.name
    local = name.removeprefix(f"{path}.") if name.startswith(f"{path}.") else name.split(".")[-1]
    shape = tuple(d for d in param.type.shape if isinstance(d, int))
    return TargetTensor(name, tensors[name], local, shape, param.type.dtype, param.span)


def _layer_of(slot: TargetTensor) -> str:
    if slot.there.endswith(f".{slot.local}"):
        return slot.there.removesuffix(f".{slot.local}")
    return slot.there.rpartition(".")[0] or slot.there
