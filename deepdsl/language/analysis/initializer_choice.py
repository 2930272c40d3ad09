"""Fills in the initializer of each layer that has none, by the activation that it flows into."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from deepdsl.core.registry import lookup
from deepdsl.graph import Param
from deepdsl.language.analysis.model import LayerCall, Model
from deepdsl.nn.initializers import Initializer

# For layers that flow into no activation: Glorot's assumption of a linear unit.
FALLBACK = "glorot_uniform"


def choose_initializers(model: Model) -> Model:
    """The model with every `init` given.  A shared layer takes the choice of its first use, a
    parameter that another layer borrows that of its own.
    """
    readers: dict[int, list[LayerCall]] = defaultdict(list)
    for call in model.calls:
        for value in call.inputs:
            readers[value].append(call)
    chosen: dict[str, Initializer] = {}
    begun: dict[str, Param] = {}
    calls = []
    for call in model.calls:
        if call.layer.borrows:
            call = replace(call, params=tuple(begun.get(p.name, p) for p in call.params))
        elif hasattr(call.layer, "init") and call.layer.init is None:
            name = _activation_after(call.output, readers) or FALLBACK
            init = chosen.setdefault(call.path, lookup("initializer")[name]())
            layer = replace(call.layer, init=init)  # type: ignore[call-arg]
            params = tuple(
                replace(p, init=init) if p.role == "weight" and p.init is None else p
                for p in call.params
            )
            call = replace(call, layer=layer, params=params)
        for param in call.params:
            begun.setdefault(param.name, param)
        calls.append(call)
    return replace(model, calls=tuple(calls))


def _activation_after(value: int, readers: dict[int, list[LayerCall]]) -> str | None:
    """The initializer that the first activation downstream asks for, looking through transparent
    layers.
    """
    todo = [value]
    while todo:
        for call in readers.get(todo.pop(0), ()):
            if call.layer.activation is not None:
                return call.layer.activation
            if call.layer.transparent:
                todo.append(call.output)
    return None
