"""The manifest: what another host must know to run the files of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepdsl.compiler.forward import TARGET
from deepdsl.compiler.job import Job
from deepdsl.compiler.stage import Stage
from deepdsl.core.version import VERSION
from deepdsl.graph import Graph
from deepdsl.language.analysis import Training
from deepdsl.nn.schedules import FACTOR_PATH, Plateau

FORMAT = 1


def manifest_of(
    job: Job, stages: Sequence[Stage], evaluate: Graph, infer: Graph, spec: str
) -> dict[str, Any]:
    """Names, shapes and types of everything that crosses the border of a file, and which output
    feeds which input.  `spec` is the hash of the texts.
    """
    training, model = job.task.training, job.task.model
    graphs = (*(stage.graph for stage in stages), evaluate)
    params = {p.name: p for graph in graphs for p in graph.params}
    following = {k: v for stage in stages for k, v in stage.step.updates.items()}
    step = stages[0].graph
    return {
        "format": FORMAT,
        "deepdsl": VERSION,
        "model": model.name,
        "spec_sha256": spec,
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
                "next": following.get(p.name),
            }
            for p in params.values()
        ],
        "target": _target(job, step),
        "init": {"file": "init.onnx"},
        "step": _interface(stages[0].file(len(stages)), step, stages[0].training),
        "phases": [_phase(stage, len(stages)) for stage in stages],
        "eval": _interface("eval.onnx", evaluate, training),
        "forward": _interface("forward.onnx", infer, training),
        "infer": {**_interface("infer.onnx", infer, training), "state": []},
        "parameters": {
            "trainable": sum(p.type.count or 0 for p in params.values() if p.trainable),
            "total": sum(p.type.count or 0 for p in model.params),
        },
    }


def _phase(stage: Stage, stages: int) -> dict[str, Any]:
    """What a host must know to run a stage: for how many epochs, with which file, what of the state
    it sets when the stage begins, and what is frozen in it.
    """
    training = stage.training
    return {
        "name": training.phase,
        "epochs": training.length,
        "lr": training.optimizer.lr,
        "plateau": _plateau(training),
        "begun": stage.begun,
        "fresh": list(stage.fresh),
        "frozen": sorted(training.freezing.tensors),
        "next": dict(stage.step.updates),
        "step": _interface(stage.file(stages), stage.graph, training),
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
    """What is in the input for what is to be learned; None where the target is the model's own
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
