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
from deepdsl.data.request import Split, TargetSpec
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics import DnnError
from deepdsl.frontend import check, load_program, model_of, read_source, training_of
from deepdsl.losses import Target
from deepdsl.lower import TARGET
from deepdsl.manifest import manifest_of
from deepdsl.pace import begun_path
from deepdsl.schedules import FACTOR_PATH
from deepdsl.source import Source
from deepdsl.step import Task, evaluation_graph, inference_graph, step_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepdsl.data.splits import Splits
    from deepdsl.emit import OnnxModel
    from deepdsl.ir import Graph, Param
    from deepdsl.reuse import Loaded

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
    "with_reused",
    "write_artifacts",
]

T = TypeVar("T")

# For each input the columns of a table that feed it, by name.
Columns = Mapping[str, Sequence[str]]


# Data meets program -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A task with its data opened: all that is needed to compile and to train.

    `loaded` are the weights of the pieces that the model reuses; None where they have not been
    read.
    """

    task: Task
    splits: Splits
    source: Source
    used: tuple[Source, ...] = ()  # the files that it uses
    loaded: tuple[Loaded, ...] | None = None

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
        from deepdsl.data.image_field import decoding_of

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


def with_reused(job: Job, runs: Mapping[str, Path]) -> Job:
    """The job with the weights of what its model reuses; `runs` are the run directories of other
    models of the file.  Raises DnnError where they do not fit.
    """
    if job.loaded is not None or not job.task.model.reused:
        return job
    from deepdsl.reuse import load_reused

    return replace(job, loaded=load_reused(job.task.model, runs))


# Graphs and state ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Artifacts:
    """What `dnnc build` writes and the trainer runs."""

    stages: tuple[Stage, ...]
    evaluate: OnnxModel
    evaluation_graph: Graph
    inference_graph: Graph
    state: State
    manifest: Mapping[str, Any]

    @property
    def step(self) -> OnnxModel:
        """The step of the first stage."""
        return self.stages[0].step

    @property
    def step_graph(self) -> Graph:
        return self.stages[0].graph

    @property
    def step_state(self) -> State:
        """The part of the state that the step of the first stage has."""
        return {p.name: self.state[p.name] for p in self.step_graph.params}


@dataclass(frozen=True)
class Stage:
    """The step of one stage of a training."""

    number: int
    training: Training
    graph: Graph
    step: OnnxModel

    def file(self, stages: int) -> str:
        """What its file is called."""
        return f"step_{self.number + 1}.onnx" if stages > 1 else "step.onnx"

    @property
    def fresh(self) -> tuple[str, ...]:
        """The state that begins anew with the stage: slots of what was not trained before, sums of
        gradients, the factor of a plateau.
        """
        return tuple(p.name for p in self.graph.params if self.number and self._anew(p))

    def _anew(self, param: Param) -> bool:
        head, _, rest = param.name.partition(".")
        if head == "accumulated":
            return True
        if param.name == FACTOR_PATH:
            return self.training.clock == self.number
        if head != "optimizer":
            return False
        _, _, tensor = rest.partition(".")
        born = self.training.births
        return born.get(tensor) == self.number or tensor == f"since_{self.number}"

    @property
    def begun(self) -> str | None:
        """The state that takes the number of steps done when the stage begins."""
        path = begun_path(self.number)
        return path if path in {p.name for p in self.graph.params} else None


def initial_state(graphs: Collection[Graph], job: Job) -> dict[str, NDArray[Any]]:
    """The first value of every parameter: that of a trained network where it is reused, what was
    learned from the data, or drawn from its own stream.
    """
    from deepdsl.data import fit_transforms
    from deepdsl.initializers import Deferred

    seed = job.task.training.seed
    fitted: dict[str, Any] = {}
    for loaded in with_reused(job, {}).loaded or ():
        fitted.update(loaded.values)
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
    stages = compile_stages(job)
    evaluate = evaluation_graph(task)
    infer = inference_graph(task.model, task.data)
    judged = emit(evaluate, f"{task.model.name}_eval")
    state = initial_state((*(stage.graph for stage in stages), evaluate, infer), job)
    spec = spec_hash(job.source, job.used)
    manifest = manifest_of(job, stages, evaluate, infer, spec)
    return Artifacts(stages, judged, evaluate, infer, state, manifest)


def compile_stages(job: Job) -> tuple[Stage, ...]:
    """The step of each stage of a training."""
    from deepdsl.emit import emit

    made: list[Stage] = []
    trainings = job.task.training.stages
    for number, training in enumerate(trainings):
        graph = step_graph(replace(job.task, training=training), job.steps_per_epoch)
        title = f"{job.task.model.name}_step" + (f"_{number + 1}" if len(trainings) > 1 else "")
        made.append(Stage(number, training, graph, emit(graph, title)))
    return tuple(made)


def spec_hash(source: Source, used: Sequence[Source] = ()) -> str:
    """The hash of a file's text; of one that uses others, of all their texts, a zero between."""
    texts = "\0".join(each.text for each in (source, *used))
    return hashlib.sha256(texts.encode()).hexdigest()


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
        **{stage.file(len(artifacts.stages)): stage.step for stage in artifacts.stages},
        "eval.onnx": artifacts.evaluate,
        "forward.onnx": emit(infer, name),
        "infer.onnx": emit(infer, name, artifacts.state),
    }
    for file, model in files.items():
        model.check()
        write_atomically(folder / file, model.serialize())
    text = json.dumps(artifacts.manifest, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "manifest.json", text.encode())
