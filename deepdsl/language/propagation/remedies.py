"""What would fix a model whose signal fades or grows: predictions of changed models."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from deepdsl.core.registry import lookup
from deepdsl.language.analysis.initializer_choice import choose_initializers
from deepdsl.language.analysis.model import LayerCall, Model
from deepdsl.language.propagation.prediction import predict, tops
from deepdsl.nn.layers.activations.base import Activation
from deepdsl.nn.layers.layer import Layer

# A ratio within this many powers of ten is what an initializer can be asked for.
FAIR = 1.5


def with_fitting_initializers(model: Model) -> Model:
    """The model with each hidden kernel's start chosen by the activation it flows into.

    The kernels of the outputs stay: a small or zero start is a choice of its own there.
    """
    last = {*tops(model), *model.outputs.values()}
    return choose_initializers(
        _each(model, lambda call: call if call.output in last else _without_init(call))
    )


def with_relu(model: Model) -> Model:
    """The model with relu in place of each hidden activation that saturates, started fittingly."""
    last = set(model.outputs.values())

    def swap(call: LayerCall) -> LayerCall:
        layer = call.layer
        if call.output in last or not (isinstance(layer, Activation) and layer.bounds):
            return call
        relu: Layer = lookup("layer")["relu"]()
        return replace(call, layer=relu)

    return with_fitting_initializers(_each(model, swap))


def remedy(model: Model) -> tuple[Callable[[Model], Model], Model, float] | None:
    """The least change that brings the gradient through, with the model that it makes and log10 of
    the ratio that this one gives.
    """
    for change in (with_fitting_initializers, with_relu):
        other = change(model)
        ratio = predict(other).weight_ratio(model)
        if ratio is not None and abs(ratio) < FAIR:
            return change, other, ratio
    return None


def changed_kernels(model: Model, other: Model) -> Iterable[tuple[LayerCall, LayerCall, float]]:
    """The calls whose kernel starts with another variance in the other model, with its own call and
    log10 of how many times the variance is the other's.
    """
    for here, there in zip(model.calls, other.calls, strict=True):
        for mine, theirs in zip(here.params, there.params, strict=True):
            if mine.role != "weight" or mine.init is None or theirs.init is None:
                continue
            fans = mine.fans or (1, 1)
            has, wants = mine.init.variance(fans), theirs.init.variance(fans)
            if has and wants and has != wants:
                yield here, there, math.log10(has / wants)


def _each(model: Model, change: Callable[[LayerCall], LayerCall]) -> Model:
    return replace(model, calls=tuple(change(call) for call in model.calls))


def _without_init(call: LayerCall) -> LayerCall:
    if not any(p.role == "weight" for p in call.params) or not hasattr(call.layer, "init"):
        return call
    params = tuple(replace(p, init=None) if p.role == "weight" else p for p in call.params)
    return replace(call, layer=replace(call.layer, init=None), params=params)  # type: ignore[call-arg]
