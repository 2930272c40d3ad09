"""The deployable model: weights inside, preprocessing inside, batch norm folded, compared with what
was evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.backend import open_backend
from deepdsl.data.transforms import Scale
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.runtime import ExportDiffers
from deepdsl.emit import OPSET, emit
from deepdsl.files import write_atomically
from deepdsl.fold import fold_batch_norms
from deepdsl.initializers import stream
from deepdsl.ir import Graph
from deepdsl.passes import prune
from deepdsl.record import changed
from deepdsl.runs import Trained
from deepdsl.step import Task, evaluation_graph, inference_graph
from deepdsl.version import VERSION

Array = NDArray[Any]

# Batch sizes that the export is tried with: a dynamic batch must take any.
TRIED = (1, 7, 64)


@dataclass(frozen=True)
class Exported:
    """What was written, and how far it is from the evaluation graph."""

    file: Path
    max_abs_error: float
    bytes: int
    opset: int
    folded: int

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "max_abs_error": self.max_abs_error,
            "bytes": self.bytes,
            "opset": self.opset,
            "folded_batch_norms": self.folded,
        }


def export(
    run: Trained, file: Path, fold: bool | None = None, tolerance: float | None = None
) -> Exported:
    """Write a run as one ONNX file.

    The file takes raw inputs in float32 with any batch size and gives the model's outputs, softmax
    included.  `fold` and `tolerance` default to the export section's.  Raises DnnError with
    ExportDiffers, and writes nothing, when the file's outputs are further from the evaluation
    graph's than the tolerance, times the size of the outputs where that is above 1.
    """
    wanted = run.program.exports.get(run.model.name)
    fold = fold if fold is not None else (wanted.fold_batch_norm if wanted else True)
    tolerance = tolerance if tolerance is not None else (wanted.verify if wanted else 1e-5)
    graph = inference_graph(run.model, run.data)
    state = run.checkpoint.state
    weights: Mapping[str, Array] = {p.name: state[p.name] for p in graph.params}
    folded = 0
    if fold:
        graph, weights, folded = fold_batch_norms(graph, weights)
    model = emit(graph, run.model.name, weights)
    model.annotate(metadata(run))
    model.check()
    data = model.serialize()
    error, size = difference(run, graph, data)
    # Outputs of a thousand have a thousandth less digits behind the point.
    if not error <= tolerance * size:
        raise DnnError([ExportDiffers(None, error, tolerance * size)])
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, data)
    return Exported(file, error, len(data), OPSET, folded)


def metadata(run: Trained) -> dict[str, str]:
    """What travels inside the file: `deepdsl.*`, each a text, lists as JSON."""
    training = run.training
    (number,) = run.model.outputs.values()
    target = training.loss.target(run.model.type_of(number), run.data.one_hot is not None)
    return {
        "deepdsl.version": VERSION,
        "deepdsl.model": run.model.name,
        "deepdsl.classes": json.dumps(list(run.classes), ensure_ascii=False),
        "deepdsl.columns": json.dumps(run.manifest.get("columns", {}), ensure_ascii=False),
        "deepdsl.target": target.kind,
        "deepdsl.loss": training.loss.show(),
        "deepdsl.metrics": json.dumps([m.name for m in training.metrics]),
        "deepdsl.preprocessing": json.dumps([p.row.show() for p in run.data.transforms]),
        "deepdsl.spec_sha256": run.manifest["spec_sha256"],
    }


def difference(run: Trained, graph: Graph, exported: bytes) -> tuple[float, float]:
    """The largest absolute difference between the exported model's output and the evaluation
    graph's, and the size of the outputs: the largest absolute value, at least 1.
    """
    task = Task(run.model, run.training, run.data)
    reference = evaluation_graph(task)
    (key,) = (k for k in reference.outputs if k == "output")
    (name,) = graph.outputs
    backend = open_backend("cpu")
    judge = backend.runner(emit(_only(reference, key), "reference").serialize())
    deployed = backend.runner(exported)
    state = {k: np.asarray(v) for k, v in run.checkpoint.state.items()}
    worst, size = 0.0, 1.0
    for rows in TRIED:
        inputs = {i.name: plausible(run, i.name, (rows, *i.row_shape)) for i in run.model.inputs}
        ours = deployed.run(inputs)[name]
        theirs = judge.run({**state, **inputs})[key]
        worst = max(worst, float(np.max(np.abs(ours - theirs), initial=0.0)))
        if not np.isfinite(ours).all():
            return float("nan"), size
        size = max(size, float(np.max(np.abs(theirs), initial=0.0)))
    return worst, size


def _only(graph: Graph, key: str) -> Graph:
    """The part of a graph that makes one output, with the inputs that it reads."""
    part = prune(changed(graph, outputs={key: graph.outputs[key]}, updates={}))
    read = {v for node in part.nodes for v in node.inputs}
    return changed(part, inputs=tuple(v for v in part.inputs if v in read))


def plausible(run: Trained, name: str, shape: tuple[int, ...]) -> Array:
    """Raw inputs in the range that the model's preprocessing expects: what it maps to ordinary
    numbers.
    """
    rng = stream(run.training.seed, f"{name}/{shape[0]}", "verify")
    values: Array = rng.standard_normal(shape)
    for number, placed in reversed(list(enumerate(run.data.transforms, 1))):
        transform = placed.row
        if not transform.concerns(name):
            continue
        path = f"data.{name}.{transform.name}_{number}"
        state = run.checkpoint.state
        if f"{path}.mean" in state:
            values = values * state[f"{path}.std"] + state[f"{path}.mean"]
        elif isinstance(transform, Scale) and transform.factor:
            # A scale brings bytes to [0, 1]: whole numbers, as raw images have them.
            values = np.round(np.clip(np.abs(values) / 3, 0, 1) / transform.factor)
    out: Array = values.astype(np.float32)
    return out
