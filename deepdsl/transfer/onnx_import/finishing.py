"""The layers that were made as a model: those that are needed, with paths and weights."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from deepdsl.core.source import Span
from deepdsl.graph import Builder, Param, Shape, Value
from deepdsl.language.analysis.model import BATCH, LayerCall, Model, ModelInput
from deepdsl.nn.layers.conv import Conv, ConvTranspose
from deepdsl.nn.layers.dense import Dense
from deepdsl.nn.layers.embedding import Embedding
from deepdsl.nn.layers.layer import Scope
from deepdsl.nn.layers.recurrent import Gru, Lstm
from deepdsl.transfer.onnx_import.conversion import Array, Conversion, ConvertedLayer
from deepdsl.transfer.onnx_import.layers import Unnamed

# Layers whose weights may be in several places.
_WITH_WEIGHTS = (Dense, Conv, ConvTranspose, Embedding, Lstm, Gru)


def finished(
    conversion: Conversion, output: int, name: str, source: ModelInput, span: Span
) -> tuple[Model, dict[str, Array], dict[str, str]]:
    """The model of the layers that the output needs, with paths as the language numbers them, the
    weights, and the tensors of the file that these are.
    """
    needed = {output}
    for number in range(len(conversion.made), 0, -1):
        if number in needed:
            needed.update(conversion.made[number - 1].inputs)
    b, counts = Builder(), Counter[str]()
    values: dict[int, Value] = {0: b.input(source.name, source.type)}
    places: dict[int, int] = {0: 0}
    calls: list[LayerCall] = []
    weights: dict[str, Array] = {}
    names: dict[str, str] = {}
    known: dict[Any, tuple[str, ConvertedLayer]] = {}
    owned: dict[str, tuple[Param, ...]] = {}
    for number, made in enumerate(conversion.made, 1):
        if number not in needed:
            continue
        key = _weights_of(made)
        path, first = known.get(key, ("", made))
        if not path or not _same_weights(first, made):
            kind = made.layer.title if isinstance(made.layer, Unnamed) else made.layer.name
            counts[kind] += 1
            path = f"{kind}_{counts[kind]}"
            if key is not None:
                known[key] = path, made
        before = len(b.params)
        with b.at(path, span):
            out = made.layer.expand(Scope(b, path), *(values[n] for n in made.inputs))
        values[number], places[number] = out, len(calls) + 1
        params = owned.setdefault(path, b.params_since(before))
        inputs = tuple(places[n] for n in made.inputs)
        calls.append(LayerCall(path, made.layer, inputs, len(calls) + 1, out.type, span, params))
        for param in params:
            weight = made.weights[param.name.removeprefix(f"{path}.")]
            weights[param.name], names[param.name] = weight.array, weight.origin
    model = Model(name, (source,), tuple(calls), {"output": places[output]}, span)
    return model, weights, names


def _weights_of(made: ConvertedLayer) -> Any:
    """What uses of one set of weights have in common; None where there are none.

    Norms are left apart: exporters store equal tensors once, and all norms begin alike.
    """
    if not isinstance(made.layer, _WITH_WEIGHTS):
        return None
    used = ((name, w.origin, w.array.shape) for name, w in sorted(made.weights.items()))
    return made.layer, tuple(used)


def _same_weights(one: ConvertedLayer, other: ConvertedLayer) -> bool:
    return all(np.array_equal(w.array, other.weights[n].array) for n, w in one.weights.items())


def rows_first(shape: Shape) -> bool:
    return bool(shape) and shape[0] == BATCH and all(isinstance(d, int) for d in shape[1:])
