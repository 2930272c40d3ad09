"""Models whose weights come from elsewhere: records made by hand, weights loaded, results had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from workbench import Array, on_runtime, program

from deepdsl.compiler.training_step import inference_graph
from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.language.analysis.model import Model
from deepdsl.language.analysis.reused import Reused
from deepdsl.transfer.weights import Loaded, load_reused

# A use line with its path, where messages about files stand.
USE = Source("shirts.dnn", 'use "old.dnn" as old weights="weights"\n', "work/shirts.dnn")
WEIGHTS_SPAN = Span(USE, 29, 38)

NET = """model m {
  input image[3 8 8]
  part body { conv 4 3x3 bias=false | batch_norm | relu | max_pool 2x2 | flatten }
  part head { dense 5 | relu | dense 5 | softmax }
}"""


def model(text: str, **reused: Any) -> Model:
    """The model of a text, all of it reused."""
    (made,) = program(text).models.values()
    given = {
        "path": "old.m",
        "span": made.calls[0].span,
        "tensors": {p.name: p.name for p in made.params},
        "weights_span": WEIGHTS_SPAN,
        **reused,
    }
    return replace(made, reused=(Reused(**given),))


def loaded(
    text: str, weights: Path | str = "", runs: Mapping[str, Path] | None = None, **reused: Any
) -> Loaded:
    (made,) = load_reused(model(text, weights=str(weights), **reused), runs or {})
    return made


def problems(
    text: str, weights: Path | str = "", runs: Mapping[str, Path] | None = None, **reused: Any
) -> tuple[Diagnostic, ...]:
    try:
        load_reused(model(text, weights=str(weights), **reused), runs or {})
    except DnnError as error:
        return error.diagnostics
    raise AssertionError("nothing was wrong")


def one_problem(text: str, weights: Path | str = "", **reused: Any) -> Diagnostic:
    (found,) = problems(text, weights, **reused)
    return found


def results(text: str, values: Mapping[str, Array], x: Array) -> Array:
    """What the inference graph of a model makes of a batch with these weights."""
    (made,) = program(text).models.values()
    graph = inference_graph(made)
    (given,) = graph.inputs
    feeds = {given.name: x, **{p.name: values[p.name] for p in graph.params}}
    (out,) = on_runtime(graph, feeds).values()
    return np.asarray(out)


# Weights as other programs have them ------------------------------------------------------------


def drawn(made: Model, seed: int = 0) -> dict[str, Array]:
    """Values for all parameters, in our layout."""
    rng = np.random.default_rng(seed)
    shapes = {p.name: [int(d) for d in p.type.shape] for p in made.params}
    return {n: rng.uniform(0.5, 1.5, s).astype(np.float32) for n, s in shapes.items()}


def as_torch(values: Mapping[str, Array]) -> dict[str, Array]:
    """The same as a state dict has them."""
    made: dict[str, Array] = {}
    for name, value in values.items():
        layer, _, local = name.rpartition(".")
        known = {"gamma": "weight", "beta": "bias", "running_variance": "running_var"}
        turned = value.T if local == "weight" and value.ndim == 2 else value
        made[f"{layer}.{known.get(local, local)}"] = np.ascontiguousarray(turned)
        if local == "running_variance":
            made[f"{layer}.num_batches_tracked"] = np.array(7)
    return made


def as_keras(values: Mapping[str, Array], channels: int = 4) -> dict[str, Array]:
    """The same as Keras has them: channels last, before the flatten too."""
    made: dict[str, Array] = {}
    known = {"weight": "kernel", "running_mean": "moving_mean"}
    known["running_variance"] = "moving_variance"
    for name, value in values.items():
        layer, _, local = name.rpartition(".")
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        elif name == "head.dense_1.weight":
            value = value.reshape(channels, -1, value.shape[1]).transpose(1, 0, 2)
            value = value.reshape(-1, value.shape[2])
        made[f"{layer.replace('.', '/')}/{known.get(local, local)}"] = value
    return made


def same(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


def torch_file(folder: Path, values: Mapping[str, Array], noted: bool = False) -> Path:
    path = folder / "t.safetensors"
    save_file(as_torch(values), path, {"format": "pt"} if noted else None)
    return path
