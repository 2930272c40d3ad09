"""Finds the first tensor that is not finite: the step is run once more with every value as an
output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.training_step import step_with_gradients
from deepdsl.diagnostics.training.runtime import NonFiniteNumber
from deepdsl.graph import Graph, Param, Value
from deepdsl.graph.backend import Backend
from deepdsl.graph.emit import emit
from deepdsl.graph.passes import prune
from deepdsl.training.callbacks import NonFiniteError

Arrays = Mapping[str, NDArray[Any]]


def first_bad_tensor(
    wrong: NonFiniteError, backend: Backend, checkpoint: str = ""
) -> NonFiniteNumber:
    """The message that names it, in the order of computation: state first, then activations, loss,
    gradients, updates.
    """
    job = wrong.job
    for name, tensor in wrong.before.items():
        if found := bad(tensor):
            # The step before wrote it; the loss of that step was still finite.
            return NonFiniteNumber(
                None, f"`{name}`", found, wrong.epoch, wrong.step - 1, checkpoint
            )
    graph, gradients = step_with_gradients(job.task, job.steps_per_epoch)
    # What nothing needs may read what the state does not have.
    graph = prune(graph)
    told = {g: f"the gradient of `{p.name}`" for p, g in gradients.items()}
    values = [v for node in graph.nodes for v in node.outputs if v.type.dtype in ("f32", "f64")]
    watched = replace(graph, outputs={f"watch:{i}": v for i, v in enumerate(values)}, updates={})
    watched = replace(watched, params=_read_by(watched))
    made = backend.runner(emit(watched, "watch").serialize()).run({**wrong.before, **wrong.batch})
    for i, value in enumerate(values):
        if found := bad(made[f"watch:{i}"]):
            what = told.get(value) or _plain(value)
            return NonFiniteNumber(None, what, found, wrong.epoch, wrong.step, checkpoint)
    return NonFiniteNumber(None, "the loss", "not finite", wrong.epoch, wrong.step, checkpoint)


def bad(values: NDArray[Any]) -> str:
    """`NaN` or `infinite` where a tensor is, else nothing."""
    if values.dtype.kind != "f":
        return ""
    if np.isnan(values).any():
        return "NaN"
    return "infinite" if np.isinf(values).any() else ""


def _read_by(graph: Graph) -> tuple[Param, ...]:
    read = {v for node in graph.nodes for v in node.inputs}
    return tuple(p for p in graph.params if p in read)


def _plain(value: Value) -> str:
    """A value's name in a user's words."""
    path = value.name.rpartition("/")[0]
    if path.startswith("gradient/"):
        return f"the gradient below `{path.removeprefix('gradient/')}`"
    if path == "loss":
        return "the loss"
    if path == "optimizer":
        return "the update of the weights"
    return f"the output of `{path}`" if path else f"`{value.name}`"
