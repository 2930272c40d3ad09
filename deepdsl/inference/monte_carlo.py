"""Monte-Carlo dropout: a trained model whose noise layers draw at inference too, and the mean and
deviation of what comes out.

Gal & Ghahramani 2016, arXiv:1506.02142.  Nothing else differs from inference: batch norm keeps its
running values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.forward import forward
from deepdsl.compiler.training_step import DEVIATION, inference_graph
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import CannotSample
from deepdsl.graph import Graph
from deepdsl.graph.passes import optimize
from deepdsl.nn.layers.monte_carlo import draws
from deepdsl.nn.layers.random_draws import STEP_PATH, UniformLike
from deepdsl.training.run_directory import Trained

Array = NDArray[Any]


def sampled_graph(run: Trained, samples: int) -> Graph:
    """Raw inputs to each output's mean over this many noisy passes, under its own name, and its
    deviation, `NAME_std`.

    Raises DnnError with CannotSample where the deviations would all be 0.
    """
    if samples < 2:
        reason = "the deviation of one pass is always 0"
        raise DnnError([CannotSample(None, run.model.name, reason, "take 2 samples or more")])
    graph = inference_graph(run.model, run.data, samples, run.training.seed)
    if not any(isinstance(node.op, UniformLike) for node in graph.nodes):
        reason = "it has no layer that draws random numbers: all deviations would be 0"
        advice = "leave `samples` out, or train a model with `dropout` in it"
        raise DnnError([CannotSample(None, run.model.name, reason, advice)])
    taken = set(run.model.outputs) & {f"{name}{DEVIATION}" for name in run.model.outputs}
    if taken:
        reason = f"the name of its output `{min(taken)}` is that of another one's deviation"
        raise DnnError([CannotSample(None, run.model.name, reason, "give the output another name")])
    return graph


def sampling_state(run: Trained) -> dict[str, Array]:
    """The run's state with the counter that noise is drawn from at 0."""
    return {**run.checkpoint.state, STEP_PATH: np.array(0, np.int64)}


def draws_graph(run: Trained, samples: int) -> Graph:
    """Raw inputs to every pass's outputs, in the shape (rows, samples, …)."""
    model = run.model
    made = forward(model, run.data, False, run.training.seed, sampling=True, repeats=samples)
    rows = str(model.inputs[0].type.shape[0])
    b = made.builder
    outputs = {name: draws(b, value, rows, samples) for name, value in made.outputs.items()}
    return optimize(b.graph(outputs))


def statistics(drawn: Mapping[str, Array]) -> dict[str, Array]:
    """What `sampled_graph` gives, computed from `draws_graph`'s outputs in double precision."""
    wide = {name: values.astype("float64") for name, values in drawn.items()}
    deviations = {f"{name}{DEVIATION}": values.std(axis=1) for name, values in wide.items()}
    return {name: values.mean(axis=1) for name, values in wide.items()} | deviations


def deviation_of(name: str, outputs: Mapping[str, Array]) -> str | None:
    """The output that an output is the deviation of, if it is one."""
    stem = name.removesuffix(DEVIATION)
    return stem if stem != name and stem in outputs else None
