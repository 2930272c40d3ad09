"""Predicts how signals and gradients go through a whole model at its start, without running it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from deepdsl.core.record import record
from deepdsl.language.analysis.model import LayerCall, Model
from deepdsl.nn.layers.activations.base import Activation
from deepdsl.nn.layers.propagation import STANDARD, Gain, Moments, Transfer, width

# Squares beyond these bounds are not representable as float32 in the values themselves.
LARGEST, SMALLEST = 1e76, 1e-90


@record
class Predicted:
    """A call's output: its moments, and log10 of its gradient's standard deviation, where that at
    the model's end is 1.
    """

    path: str
    kind: str
    moments: Moments | None
    gradient: float | None


@record
class Prediction:
    """All calls of a model, in order; after the call `unknown` nothing is known."""

    layers: tuple[Predicted, ...]
    transfers: tuple[Transfer | None, ...]
    unknown: str = ""

    def gradient_ratio(self, model: Model) -> float | None:
        """log10 of the gradient's standard deviation at the first layer with a kernel over that at
        the last one.
        """
        ends = kernels(model)
        if len(ends) < 2:
            return None
        first, last = (self.layers[n - len(model.inputs)].gradient for n in (ends[0], ends[-1]))
        return None if first is None or last is None else first - last

    def weight_ratio(self, model: Model) -> float | None:
        """The same for the weights, which sum the gradient over the places of an image.

        A mean over all places hands each of them a small gradient, and the weights the sum.  How
        much it comes to depends on how alike the places are: of what is possible, the ratio that is
        closest to 1.
        """
        ratio = self.gradient_ratio(model)
        if ratio is None:
            return None
        first, *_, last = kernels(model)
        summed = ratio + math.log10(_places(model, first) / _places(model, last))
        low, high = min(ratio, summed), max(ratio, summed)
        return min(max(0.0, low), high)


def _places(model: Model, number: int) -> float:
    """At how many places of a row a layer uses its kernel."""
    call = model.call_of(number)
    assert call is not None
    weight = next(p for p in call.params if p.role == "weight")
    units = call.type.shape[1 if weight.type.rank > 2 else -1]
    assert isinstance(units, int)
    return width(call.type) / units


def kernels(model: Model) -> list[int]:
    """The values that layers with a kernel make, in order."""
    return [c.output for c in model.calls if any(p.role == "weight" for p in c.params)]


def predict(model: Model, inputs: Mapping[str, Moments] | None = None) -> Prediction:
    """Moments going forward, and gradients going back.

    Inputs are rows of independent standard normal numbers unless their moments are given.  After a
    layer that no theory covers, nothing is known.
    """
    given = [(inputs or {}).get(i.name, STANDARD) for i in model.inputs]
    if not any(call.layer.parts_rows for call in model.calls):
        given = [replace(x, shared=None) for x in given]
    forward: list[Moments | None] = list(given)
    transfers: list[Transfer | None] = []
    unknown, ends = "", set(model.outputs.values()) - set(tops(model))
    for call in model.calls:
        transfer = _transfer(model, call, [forward[n] for n in call.inputs])
        out = transfer.out if transfer is not None else None
        if out is not None and not (SMALLEST < out.square < LARGEST):
            out = None
        if out is None and not unknown and call.output not in ends:
            unknown = call.path
        transfers.append(transfer)
        forward.append(out)
    back = _backward(model, transfers)
    layers = tuple(
        Predicted(call.path, call.layer.name, forward[call.output], back[call.output])
        for call in model.calls
    )
    return Prediction(layers, tuple(transfers), unknown)


def _transfer(model: Model, call: LayerCall, operands: list[Moments | None]) -> Transfer | None:
    known = tuple(x for x in operands if x is not None)
    if call.trained:
        # What its weights are is not known before they are read.
        return None
    if len(known) < len(operands) or (call.layer.independent and _alike(model, call)):
        return None
    types = tuple(model.type_of(n) for n in call.inputs)
    return call.layer.signal(known, types, call.params)


def _alike(model: Model, call: LayerCall) -> bool:
    """Whether two operands are the same numbers, or functions of the same numbers: nothing but
    layers without kernels, or with the same ones, lies between.
    """
    roots = [_root(model, n) for n in call.inputs]
    return len(set(roots)) < len(roots)


def _root(model: Model, number: int) -> tuple[object, ...]:
    """What a value is a function of: an input, or kernels by their path over such a value."""
    paths: list[str] = []
    call = model.call_of(number)
    while call is not None and len(call.inputs) == 1:
        if any(p.role == "weight" for p in call.params):
            paths.append(call.path)
        number = call.inputs[0]
        call = model.call_of(number)
    return (number, *paths)


def tops(model: Model) -> tuple[int, ...]:
    """The values where gradients begin: the outputs, or what a last softmax is given, which is
    compiled together with the loss.
    """
    found = []
    for number in model.outputs.values():
        call = model.call_of(number)
        if call is not None and isinstance(call.layer, Activation):
            number = number if call.layer.is_elementwise else call.inputs[0]
        found.append(number)
    return tuple(found)


@record
class _Back:
    """A gradient: log10 of its mean square, and how many times that is the square of its component
    along the row's own signal (1 for a random direction).
    """

    log: float
    along: float

    def through(self, gain: Gain) -> _Back | None:
        square = gain.tt + gain.tc * self.along
        if square <= 0:
            return None
        along = gain.ct + gain.cc * self.along
        # Less than a random direction gets is of the order of what is left out here.
        return _Back(self.log + math.log10(square), max(1.0, along / square))

    def plus(self, other: _Back | None) -> _Back:
        """Gradients from several readers are independent: their squares add up."""
        if other is None:
            return self
        high, low = (self, other) if self.log >= other.log else (other, self)
        share = 10 ** (low.log - high.log)
        along = (high.along + share * low.along) / (1 + share)
        return _Back(high.log + math.log10(1 + share), along)


def _backward(model: Model, transfers: list[Transfer | None]) -> list[float | None]:
    """log10 of each value's gradient's standard deviation; None where no gradient arrives, or
    nothing is known of it.
    """
    back: list[_Back | None] = [None] * (len(model.inputs) + len(model.calls))
    for number in tops(model):
        back[number] = _Back(0.0, 1.0)
    for call, transfer in zip(reversed(model.calls), reversed(transfers), strict=True):
        above = back[call.output]
        if transfer is None or above is None:
            continue
        for n, gain in zip(call.inputs, transfer.gains, strict=True):
            here = above.through(gain)
            back[n] = here.plus(back[n]) if here is not None else back[n]
    return [None if g is None else g.log / 2 for g in back]
