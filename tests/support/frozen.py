"""Jobs in which a part of the model is frozen, on rows that are drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from workbench import Array, Arrays, Memory, program

from deepdsl.compiler.build import build, initial_state
from deepdsl.compiler.forward import TARGET
from deepdsl.compiler.job import Job, wanted_target
from deepdsl.compiler.training_step import Task, evaluation_graph, step_graph
from deepdsl.core.source import Source
from deepdsl.data import from_arrays
from deepdsl.data.splits import split_table
from deepdsl.graph.backend import Backend, open_backend
from deepdsl.language.analysis import Model
from deepdsl.language.analysis.freezing import Freezing
from deepdsl.training.trainer import Outcome, Trainer


def freezing(model: Model, *frozen: str, cache: str = "auto", moving: str = "") -> Freezing:
    """What `freeze` of these parts or layers comes to."""
    calls = {
        c.path
        for c in model.calls
        if any(c.path == f or c.path.startswith(f"{f}.") for f in frozen)
    }
    tensors = {p.name for c in model.calls if c.path in calls for p in c.params}
    return Freezing(
        frozenset(calls), frozenset(tensors), frozenset({moving} if moving else ()), cache=cache
    )


def drawn(job_model: Model, rows: int, seed: int = 0) -> dict[str, Array]:
    """Rows for the inputs of a model."""
    rng = np.random.default_rng(seed)
    return {
        i.name: rng.integers(0, i.rows or 2, (rows, *i.row_shape))
        if i.type.dtype == "i64"
        else rng.standard_normal((rows, *i.row_shape)).astype(np.float32)
        for i in job_model.inputs
    }


def frozen_job(
    text: str,
    *frozen: str,
    rows: int = 77,
    cache: str = "auto",
    moving: str = "",
    x: Mapping[str, Array] | None = None,
) -> tuple[Job, dict[str, Array]]:
    """A file's one training on rows drawn at random, with parts frozen, and the first state; the
    weights of batch norms are not those that they begin with.
    """
    whole = program(text)
    (training,) = whole.trainings
    model, spec = whole.models[training.model], whole.datasets[training.data]
    training = replace(training, freezing=freezing(model, *frozen, cache=cache, moving=moving))
    task = Task(model, training, replace(spec, train=None), spec.rows_of_classes)
    given = dict(x or drawn(model, rows))
    wanted = wanted_target(task)
    rng = np.random.default_rng(1)
    shape = (len(next(iter(given.values()))), *(wanted.shape or ()))
    numbers = wanted.classes if wanted.kind == "index" else 2
    labels: Array = rng.integers(0, numbers or 2, shape)
    if wanted.kind == "value":
        labels = rng.standard_normal(shape).astype(np.float32)
    targets = None if spec.target is not None else {TARGET: labels}
    inputs: dict[str, Any] = {i.name: i.row_shape for i in model.inputs}
    table = from_arrays(given, targets, inputs=inputs, targets={TARGET: wanted} if targets else {})
    splits = split_table(task.data, table, training.seed)
    job = Job(task, splits, Source("test.dnn", text))
    graphs = (step_graph(task, job.steps_per_epoch), evaluation_graph(task))
    state = initial_state(graphs, job)
    for name, value in state.items():
        if "running" in name:
            value += rng.uniform(0.1, 0.5, value.shape).astype(np.float32)
    return job, state


def uncached(job: Job) -> Job:
    """The job as it is trained with `cache=off`."""
    training = job.task.training
    off = replace(training, freezing=replace(training.freezing, cache="off"))
    return replace(job, task=replace(job.task, training=off))


class Figures:
    """What an epoch came to, apart from its times."""

    def __init__(self, outcome: Outcome, keeper: Memory) -> None:
        self.state: Arrays = outcome.state
        self.told = [
            {
                k: v
                for k, v in r.as_json().items()
                if k not in ("wall_s", "rows_per_s", "data_wait_s")
            }
            for r in keeper.records
        ]
        self.seconds = [r.seconds for r in keeper.records]


def trained(job: Job, state: Arrays, backend: Backend | None = None) -> Figures:
    """Train a job from a state to its end."""
    made = build(job)
    names = {p.name for g in (made.step_graph, made.evaluation_graph) for p in g.params}
    made = replace(made, state={k: state.get(k, v) for k, v in made.state.items() if k in names})
    keeper = Memory()
    outcome = Trainer(job, made, backend or open_backend("cpu", 1), keeper).run()
    return Figures(outcome, keeper)
