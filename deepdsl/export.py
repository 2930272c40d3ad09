"""The deployable model: weights inside, preprocessing inside, batch norm folded, compared with what
was evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.backend import Backend, open_backend
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
from deepdsl.uncertainty import draws_graph, sampled_graph, sampling_state, statistics
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
    run: Trained,
    file: Path,
    fold: bool | None = None,
    tolerance: float | None = None,
    samples: int | None = None,
) -> Exported:
    """Write a run as one ONNX file.

    The file takes raw inputs in float32, indices in int64, with any batch size and gives the
    model's outputs, softmax included.  With `samples` it gives their means over so many passes with
    dropout at work, and as `NAME_std` their deviations; it is a pure function all the same.  `fold`
    and `tolerance` default to the export section's.  Raises DnnError with CannotSample where there
    is no noise, and with ExportDiffers, and writes nothing, when the file's outputs are further
    from the evaluation graph's than the tolerance, times the size of the outputs where that is
    above 1.
    """
    wanted = run.program.exports.get(run.model.name)
    fold = fold if fold is not None else (wanted.fold_batch_norm if wanted else True)
    tolerance = tolerance if tolerance is not None else (wanted.verify if wanted else 1e-5)
    graph = inference_graph(run.model, run.data) if samples is None else sampled_graph(run, samples)
    state = sampling_state(run)
    weights: Mapping[str, Array] = {p.name: state[p.name] for p in graph.params}
    folded = 0
    if fold:
        graph, weights, folded = fold_batch_norms(graph, weights)
    model = emit(graph, run.model.name, weights)
    noted = metadata(run)
    model.annotate(noted if samples is None else {**noted, "deepdsl.samples": str(samples)})
    model.check()
    data = model.serialize()
    error, size = difference(run, data, samples)
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
        "deepdsl.images": json.dumps(run.manifest.get("images", {})),
        "deepdsl.indices": json.dumps({i.name: i.rows for i in run.model.inputs if i.rows}),
        "deepdsl.target": target.kind,
        "deepdsl.loss": training.loss.show(),
        "deepdsl.metrics": json.dumps([m.show() for m in training.metrics]),
        "deepdsl.preprocessing": json.dumps([p.row.show() for p in run.data.transforms]),
        "deepdsl.spec_sha256": run.manifest["spec_sha256"],
    }


def difference(run: Trained, exported: bytes, samples: int | None = None) -> tuple[float, float]:
    """The largest absolute difference between the exported model's outputs and what they should be,
    and the size of the outputs: the largest absolute value, at least 1.
    """
    backend = open_backend("cpu")
    judge = _evaluated(run, backend) if samples is None else _sampled(run, backend, samples)
    deployed = backend.runner(exported)
    worst, size = 0.0, 1.0
    for rows in TRIED:
        inputs = {i.name: plausible(run, i.name, (rows, *i.row_shape)) for i in run.model.inputs}
        ours = deployed.run(inputs)
        for name, theirs in judge(inputs).items():
            worst = max(worst, float(np.max(np.abs(ours[name] - theirs), initial=0.0)))
            if not np.isfinite(ours[name]).all():
                return float("nan"), size
            size = max(size, float(np.max(np.abs(theirs), initial=0.0)))
    return worst, size


Judge = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def _evaluated(run: Trained, backend: Backend) -> Judge:
    """The output by the evaluation graph."""
    whole = evaluation_graph(Task(run.model, run.training, run.data))
    runner = backend.runner(emit(_only(whole, "output"), "reference").serialize())
    state = {k: np.asarray(v) for k, v in run.checkpoint.state.items()}
    (name,) = run.model.outputs
    return lambda inputs: {name: runner.run({**state, **inputs})["output"]}


def _sampled(run: Trained, backend: Backend, samples: int) -> Judge:
    """Mean and deviation by NumPy, of all passes' outputs; no batch norm is folded."""
    graph = draws_graph(run, samples)
    state = sampling_state(run)
    weights = {p.name: state[p.name] for p in graph.params}
    runner = backend.runner(emit(graph, "reference", weights).serialize())
    return lambda inputs: statistics(runner.run(inputs))


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
    rows = {i.name: i.rows for i in run.model.inputs if i.type.dtype == "i64"}
    if name in rows:
        return rng.integers(0, rows[name] or 2, shape)
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
