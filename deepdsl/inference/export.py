"""The deployable model: weights inside, preprocessing inside, batch norm folded, compared with what
was evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.training_step import Task, evaluation_graph, inference_graph
from deepdsl.core.atomic_files import write_atomically
from deepdsl.core.record import record
from deepdsl.core.version import VERSION
from deepdsl.data.transforms import Scale
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.inference.quantize import QuantizedDiffers
from deepdsl.diagnostics.training.runtime import ExportDiffers
from deepdsl.graph import Graph
from deepdsl.graph.backend import DEFAULT_DEVICE, Backend, open_backend
from deepdsl.graph.emit import OPSET, emit
from deepdsl.graph.passes import prune
from deepdsl.inference.batch_norm_folding import fold_batch_norms
from deepdsl.inference.monte_carlo import draws_graph, sampled_graph, sampling_state, statistics
from deepdsl.inference.quantize import quantize_weights
from deepdsl.language.analysis.quantize_exclusions import wrong_keeping
from deepdsl.language.sections.train_options import TOLERANCES
from deepdsl.nn.initializers import stream
from deepdsl.training.run_directory import Trained

Array = NDArray[Any]

# Batch sizes that the export is tried with: a dynamic batch must take any.
TRIED = (1, 7, 64)


@record
class Exported:
    """What was written, and how far it is from the evaluation graph."""

    file: Path
    max_abs_error: float
    bytes: int
    opset: int
    folded: int
    quantized: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "max_abs_error": self.max_abs_error,
            "bytes": self.bytes,
            "opset": self.opset,
            "folded_batch_norms": self.folded,
            "quantized": list(self.quantized),
        }


def export(
    run: Trained,
    file: Path,
    fold: bool | None = None,
    tolerance: float | None = None,
    samples: int | None = None,
    quantize: str | None = None,
    keep_float: Sequence[str] | None = None,
) -> Exported:
    """Write a run as one ONNX file.

    The file takes raw inputs in float32, indices in int64, with any batch size and gives the
    model's outputs, softmax included.  With `samples` it gives their means over this many passes
    with dropout at work, and as `NAME_std` their deviations; it is a pure function all the same.
    `fold`, `tolerance`, `quantize` (`int8`, or `none`) and `keep_float` default to the export
    section's.
    Raises DnnError with CannotSample where there is no noise, and with ExportDiffers or
    QuantizedDiffers, and writes nothing, when the file's outputs are further from the evaluation
    graph's than the tolerance, times the size of the outputs where that is above 1.
    """
    wanted = run.program.exports.get(run.model.name)
    fold = fold if fold is not None else (wanted.fold_batch_norm if wanted else True)
    how = keeping(run, tolerance, quantize, keep_float)
    graph = inference_graph(run.model, run.data) if samples is None else sampled_graph(run, samples)
    state = sampling_state(run)
    weights: Mapping[str, Array] = {p.name: state[p.name] for p in graph.params}
    folded = 0
    if fold:
        graph, weights, folded = fold_batch_norms(graph, weights)
    plain = graph, weights
    whole: tuple[str, ...] = ()
    if how.quantize is not None:
        graph, weights, whole = quantize_weights(graph, weights, how.keep_float)
    model = emit(graph, run.model.name, weights)
    noted = metadata(run)
    noted.update({"deepdsl.samples": str(samples)} if samples is not None else {})
    noted.update({"deepdsl.inference.quantize": how.quantize} if how.quantize is not None else {})
    model.annotate(noted)
    model.check()
    data = model.serialize()
    error, size = difference(run, data, samples)
    # Outputs of a thousand have a thousandth less digits after the point.
    if not error <= how.tolerance * size:
        if whole:
            told = costliest(run, *plain, whole, samples)
            raise DnnError([QuantizedDiffers(None, error, how.tolerance * size, told)])
        raise DnnError([ExportDiffers(None, error, how.tolerance * size)])
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, data)
    return Exported(file, error, len(data), OPSET, folded, whole)


@record
class Keeping:
    """How weights are kept in the file, and how far its outputs may be off."""

    quantize: str | None
    keep_float: Sequence[str]
    tolerance: float


def keeping(
    run: Trained, tolerance: float | None, quantize: str | None, keep_float: Sequence[str] | None
) -> Keeping:
    """What is asked for, by the export section where that is silent; DnnError where what is to stay
    float is not there.
    """
    wanted = run.program.exports.get(run.model.name)
    written = wanted.quantize if wanted is not None else None
    chosen = written if quantize is None else None if quantize == "none" else quantize
    kept = tuple(keep_float or ()) if keep_float or wanted is None else wanted.keep_float
    kept = kept if chosen is not None or keep_float else ()
    if wrong := tuple(wrong_keeping(chosen, kept, run.model, None)):
        raise DnnError(wrong)
    # The section's tolerance is for how it keeps weights.
    told = wanted.verify if wanted is not None and chosen == written else None
    default = told if told is not None else TOLERANCES[chosen]
    return Keeping(chosen, kept, tolerance if tolerance is not None else default)


# This many tensors, the largest, are tried alone to see what they cost.
_TRIED_ALONE = 64


def costliest(
    run: Trained,
    graph: Graph,
    weights: Mapping[str, Array],
    whole: Sequence[str],
    samples: int | None,
) -> tuple[tuple[str, float], ...]:
    """The three tensors that cost most, with the difference when each is quantized alone."""
    largest = sorted(whole, key=lambda name: -weights[name].size)[:_TRIED_ALONE]
    costs = []
    for name in largest:
        others = [other for other in whole if other != name]
        alone, values, _ = quantize_weights(graph, weights, others)
        data = emit(alone, run.model.name, values).serialize()
        costs.append((name, difference(run, data, samples)[0]))
    return tuple(sorted(costs, key=lambda each: -each[1])[:3])


def metadata(run: Trained) -> dict[str, str]:
    """What travels inside the file: `deepdsl.*`, each a text, lists as JSON."""
    training = run.training
    (number,) = run.model.outputs.values()
    target = training.loss.target(run.model.type_of(number), run.data.one_hot is not None)
    return {
        "deepdsl.core.version": VERSION,
        "deepdsl.model": run.model.name,
        "deepdsl.classes": json.dumps(list(run.classes), ensure_ascii=False),
        "deepdsl.columns": json.dumps(run.manifest.get("columns", {}), ensure_ascii=False),
        "deepdsl.images": json.dumps(run.manifest.get("images", {})),
        "deepdsl.indices": json.dumps({i.name: i.rows for i in run.model.inputs if i.rows}),
        "deepdsl.target": target.kind,
        "deepdsl.loss": training.loss.show(),
        "deepdsl.nn.metrics": json.dumps([m.show() for m in training.metrics]),
        "deepdsl.preprocessing": json.dumps([p.row.show() for p in run.data.transforms]),
        "deepdsl.spec_sha256": run.manifest["spec_sha256"],
    }


def difference(run: Trained, exported: bytes, samples: int | None = None) -> tuple[float, float]:
    """The largest absolute difference between the exported model's outputs and what they should be,
    and the size of the outputs: the largest absolute value, at least 1.
    """
    backend = open_backend(DEFAULT_DEVICE)
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
    part = prune(replace(graph, outputs={key: graph.outputs[key]}, updates={}))
    read = {v for node in part.nodes for v in node.inputs}
    return replace(part, inputs=tuple(v for v in part.inputs if v in read))


def plausible(run: Trained, name: str, shape: tuple[int, ...]) -> Array:
    """Raw inputs in the range that the model's preprocessing expects: what it maps to ordinary
    numbers.
    """
    rng = stream(run.training.seed, f"{name}/{shape[0]}", "verify")
    rows = {i.name: i.rows for i in run.model.inputs if i.type.dtype == "i64"}
    if name in rows:
        return rng.integers(0, rows[name] or 2, shape)
    values: Array = rng.standard_normal(shape)
    image = run.manifest.get("images", {}).get(name)
    if image is not None:
        # Noise beyond what an image can hold drives a softmax to 0 and 1, and hides differences.
        low, high = image["range"]
        inside = np.clip((low + high) / 2 + (high - low) / 4 * values, low, high)
        return np.asarray(np.round(inside) if high > 1 else inside, np.float32)
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
