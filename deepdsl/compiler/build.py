"""Compiles a job to the graphs and the state that a host trains with.

onnx and NumPy are imported when a graph is written or data is read, and not before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepdsl.compiler.manifest import manifest_of
from deepdsl.compiler.training_step import evaluation_graph, inference_graph, step_graph
from deepdsl.core.record import record
from deepdsl.core.source import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepdsl.graph import Graph, Param
    from deepdsl.graph.emit import OnnxModel

    State = Mapping[str, NDArray[Any]]

from deepdsl.compiler.job import Job, with_reused
from deepdsl.compiler.stage import Stage

# Graphs and state ---------------------------------------------------------------------------------


@record
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


def initial_state(graphs: Collection[Graph], job: Job) -> dict[str, NDArray[Any]]:
    """The first value of every parameter: that of a trained network where it is reused, what was
    learned from the data, or drawn from its own stream.
    """
    from deepdsl.data import fit_transforms
    from deepdsl.nn.initializers import Deferred

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

    from deepdsl.graph.emit import NUMPY
    from deepdsl.nn.initializers import stream

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
    from deepdsl.graph.emit import emit

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
    from deepdsl.graph.emit import emit

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

    from deepdsl.core.atomic_files import write_atomically
    from deepdsl.graph.emit import emit, emit_state

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
