"""The spine: program and data to a job, a job to the graphs and the state that a host trains with.

onnx and NumPy are imported when a graph is written or data is read, and not before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from deepdsl.analysis import Program, Training
from deepdsl.data.request import DataSpec, Split, TargetSpec
from deepdsl.diagnostics import DnnError
from deepdsl.frontend import check, load_program, model_of, read_source, training_of
from deepdsl.losses import Target
from deepdsl.lower import TARGET
from deepdsl.schedules import FACTOR_PATH, Plateau
from deepdsl.source import Source
from deepdsl.step import Task, evaluation_graph, inference_graph, step_graph
from deepdsl.version import VERSION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepdsl.data.splits import Splits
    from deepdsl.emit import OnnxModel
    from deepdsl.ir import Graph, Param

    State = Mapping[str, NDArray[Any]]

__all__ = [
    "Artifacts",
    "Job",
    "build",
    "check",
    "either_target",
    "initial_state",
    "initial_values",
    "load_program",
    "model_of",
    "open_data",
    "open_job",
    "read_source",
    "spec_hash",
    "training_of",
    "wanted_target",
    "write_artifacts",
]

T = TypeVar("T")

FORMAT = 1

# For each input the columns of a table that feed it, by name.
Columns = Mapping[str, Sequence[str]]


# Data meets program -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A task with its data opened: all that is needed to compile and to train."""

    task: Task
    splits: Splits
    source: Source
    used: tuple[Source, ...] = ()  # the files that it uses

    @property
    def steps_per_epoch(self) -> int:
        assert self.splits.train is not None
        return -(-len(self.splits.train) // self.task.training.batch)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the outputs: the data's own, or numbers."""
        if self.splits.classes:
            return self.splits.classes
        target = wanted_target(self.task)
        count = {"index": target.classes, "binary": 2, "margin": 2}.get(target.kind)
        return tuple(map(str, range(count or 0)))

    @property
    def images(self) -> dict[str, dict[str, Any]]:
        """For each input that images feed, how their files become its numbers."""
        from deepdsl.data.open_images import decoding_of

        assert self.splits.train is not None
        found = {n: decoding_of(f) for n, f in self.splits.train.table.inputs.items()}
        return {name: how.as_json() for name, how in found.items() if how is not None}

    @property
    def columns(self) -> dict[str, list[str]]:
        """For each input the columns of the table that feed it; empty where they have no names."""
        assert self.splits.train is not None
        fields = self.splits.train.table.inputs
        return {name: list(f.columns) for name, f in fields.items() if f.columns}


def target_spec(target: Target) -> TargetSpec:
    """What the data is asked for."""
    row = target.type.row
    if target.kind == "index":
        return TargetSpec("index", target.classes, row)
    if target.kind in ("binary", "margin"):
        return TargetSpec("binary", None, row)
    return TargetSpec("value", target.classes, row)


def open_job(
    program: Program,
    training: Training,
    folder: Path,
    select: tuple[Split, ...] = ("train", "valid"),
    classes: tuple[str, ...] | None = None,
    columns: Columns | None = None,
) -> Job:
    """Open the data of a training."""
    model, spec = program.models[training.model], program.datasets[training.data]
    task, splits = open_data(Task(model, training, spec), spec, folder, select, classes, columns)
    return Job(task, splits, program.source, program.uses.sources)


def open_data(
    task: Task,
    spec: DataSpec,
    folder: Path,
    select: tuple[Split, ...],
    classes: tuple[str, ...] | None,
    columns: Columns | None = None,
) -> tuple[Task, Splits]:
    """Open splits of a data section for a task.

    Targets that stand in the data as one row of probabilities for each example are taken as such,
    and the task that is given back says so.
    """
    task = replace(task, one_hot=spec.rows_of_classes)
    return either_target(task, lambda t: _load(t, spec, folder, select, classes, columns))


def either_target(task: Task, load: Callable[[Task], T]) -> tuple[Task, T]:
    """Load targets as the task wants them or, where they do not fit, as rows of probabilities.

    What fits neither is told as the first attempt found it.
    """
    try:
        return task, load(task)
    except DnnError:
        rows = replace(task, one_hot=True)
        if wanted_target(rows) == wanted_target(task):
            raise
        try:
            return rows, load(rows)
        except DnnError:
            pass
        raise


def wanted_target(task: Task) -> TargetSpec:
    """What a task's data is asked for."""
    (number,) = task.model.outputs.values()
    return target_spec(task.training.loss.target(task.model.type_of(number), task.one_hot))


def _load(
    task: Task,
    spec: DataSpec,
    folder: Path,
    select: tuple[Split, ...],
    classes: tuple[str, ...] | None,
    columns: Columns | None,
) -> Splits:
    from deepdsl.data import load

    inputs = {i.name: i.row_shape for i in task.model.inputs}
    targets = {TARGET: wanted_target(task)}
    return load(spec, folder, inputs, targets, task.training.seed, select, classes, columns)


# Graphs and state ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Artifacts:
    """What `dnnc build` writes and the trainer runs."""

    step: OnnxModel
    evaluate: OnnxModel
    step_graph: Graph
    evaluation_graph: Graph
    inference_graph: Graph
    state: State
    manifest: Mapping[str, Any]


def initial_state(graphs: Collection[Graph], job: Job) -> dict[str, NDArray[Any]]:
    """The first value of every parameter: drawn from its own stream, or taken from the data."""
    from deepdsl.data import fit_transforms
    from deepdsl.initializers import Deferred

    seed = job.task.training.seed
    fitted: dict[str, Any] = {}
    params = {p.name: p for graph in graphs for p in graph.params}
    if any(isinstance(p.init, Deferred) for p in params.values()):
        assert job.splits.train is not None
        found = fit_transforms(job.task.data, job.splits.train)
        for number, (placed, inputs) in enumerate(
            zip(job.task.data.transforms, found, strict=True), 1
        ):
            for name, constants in inputs.items():
                for key, value in constants.items():
                    fitted[f"data.{name}.{placed.row.name}_{number}.{key}"] = value
    return initial_values(params.values(), seed, fitted)


def initial_values(
    params: Iterable[Param], seed: int, given: Mapping[str, Any] | None = None
) -> dict[str, NDArray[Any]]:
    """The first value of each parameter: what is given for it, or drawn from its own stream."""
    import numpy as np

    from deepdsl.emit import NUMPY
    from deepdsl.initializers import stream

    state: dict[str, NDArray[Any]] = {}
    for param in params:
        shape = tuple(d for d in param.type.shape if isinstance(d, int))
        if given is not None and param.name in given:
            values = given[param.name]
        else:
            values = param.init.sample(shape, param.fans or (1, 1), stream(seed, param.name))
        state[param.name] = np.ascontiguousarray(values, NUMPY[param.type.dtype]).reshape(shape)
    return state


def build(job: Job) -> Artifacts:
    """Compile a job to its graphs and its initial state."""
    from deepdsl.emit import emit

    task = job.task
    step = step_graph(task, job.steps_per_epoch)
    evaluate = evaluation_graph(task)
    infer = inference_graph(task.model, task.data)
    name = task.model.name
    emitted = emit(step, f"{name}_step")
    judged = emit(evaluate, f"{name}_eval")
    state = initial_state((step, evaluate, infer), job)
    manifest = _manifest(job, step, evaluate, infer, emitted)
    return Artifacts(emitted, judged, step, evaluate, infer, state, manifest)


def spec_hash(source: Source, used: Sequence[Source] = ()) -> str:
    """The hash of a file's text; of one that uses others, of all their texts, a zero between."""
    texts = "\0".join(each.text for each in (source, *used))
    return hashlib.sha256(texts.encode()).hexdigest()


def _manifest(
    job: Job, step: Graph, evaluate: Graph, infer: Graph, emitted: OnnxModel
) -> dict[str, Any]:
    """Names, shapes and types of everything that crosses the border of a file, and which output
    feeds which input.
    """
    training, model = job.task.training, job.task.model
    params = {p.name: p for graph in (step, evaluate) for p in graph.params}
    return {
        "format": FORMAT,
        "deepdsl": VERSION,
        "model": model.name,
        "spec_sha256": spec_hash(job.source, job.used),
        "seed": training.seed,
        "batch": training.batch,
        "epochs": training.epochs,
        "steps_per_epoch": job.steps_per_epoch,
        "accumulate": training.accumulate,
        "plateau": _plateau(training),
        "metrics": list(training.metric_names),
        "classes": list(job.classes),
        "columns": job.columns,
        "images": job.images,
        "state": [
            {
                "name": p.name,
                "shape": list(p.type.shape),
                "dtype": p.type.dtype,
                "role": p.role,
                "next": emitted.updates.get(p.name),
            }
            for p in params.values()
        ],
        "target": _target(job, step),
        "init": {"file": "init.onnx"},
        "step": _interface("step.onnx", step, training),
        "eval": _interface("eval.onnx", evaluate, training),
        "forward": _interface("forward.onnx", infer, training),
        "infer": {**_interface("infer.onnx", infer, training), "state": []},
        "parameters": {
            "trainable": sum(p.type.count or 0 for p in params.values() if p.trainable),
            "total": sum(p.type.count or 0 for p in model.params),
        },
    }


def _plateau(training: Training) -> dict[str, Any] | None:
    """What a host must know to lower the rate between epochs; None with any other schedule."""
    schedule = training.schedule
    if not isinstance(schedule, Plateau):
        return None
    return {
        "state": FACTOR_PATH,
        "on": schedule.on,
        "best": training.best_of(schedule.on),
        "factor": schedule.factor,
        "patience": schedule.patience,
        "min_delta": schedule.min_delta,
        "cooldown": schedule.cooldown,
        "lowest": schedule.min_lr / training.optimizer.lr,
    }


def _target(job: Job, step: Graph) -> dict[str, Any] | None:
    """What stands in the input for what is to be learned; None where the target is the model's own
    input.
    """
    if TARGET not in {v.name for v in step.inputs}:
        return None
    (number,) = job.task.model.outputs.values()
    target = job.task.training.loss.target(job.task.model.type_of(number), job.task.one_hot)
    return {"input": TARGET, "kind": target.kind, "classes": target.classes}


def _interface(file: str, graph: Graph, training: Training) -> dict[str, Any]:
    """What a host feeds and reads.  `holds` says how to add an output up over batches, and `finish`
    what to make of the sums.
    """
    holds = {"loss": "mean over the batch", "lr": "the rate of this step", "all_finite": "health"}
    finish = {"loss": "mean"}
    for metric in training.metrics:
        sums = "sum over the rows of the batch"
        holds[metric.name] = "scores for each row" if metric.collects else sums
        finish[metric.name] = metric.finish

    def told(name: str, value: Any) -> dict[str, Any]:
        return {"name": name, "shape": list(value.type.shape), "dtype": value.type.dtype}

    def made(name: str, value: Any) -> dict[str, Any]:
        held = holds.get(name, "the model's output, one row for each")
        out = {**told(name, value), "holds": held}
        return {**out, "finish": finish[name]} if name in finish else out

    return {
        "file": file,
        "inputs": [told(v.name, v) for v in graph.inputs],
        "state": [p.name for p in graph.params],
        "outputs": [made(key, value) for key, value in graph.outputs.items()],
    }


def write_artifacts(artifacts: Artifacts, folder: Path) -> None:
    """Write init, step, eval, forward, infer and the manifest; each file appears whole or not.

    `forward.onnx` takes the state as inputs, to serve what another host has trained; `infer.onnx`
    is closed over the initial state.
    """
    import json

    from deepdsl.emit import emit, emit_state
    from deepdsl.files import write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    name = artifacts.manifest["model"]
    infer = artifacts.inference_graph
    files = {
        "init.onnx": emit_state(artifacts.state),
        "step.onnx": artifacts.step,
        "eval.onnx": artifacts.evaluate,
        "forward.onnx": emit(infer, name),
        "infer.onnx": emit(infer, name, artifacts.state),
    }
    for file, model in files.items():
        model.check()
        write_atomically(folder / file, model.serialize())
    text = json.dumps(artifacts.manifest, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "manifest.json", text.encode())
