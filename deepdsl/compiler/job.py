"""Data meets program: a task with its rows opened and its weights read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from deepdsl.compiler.forward import TARGET
from deepdsl.compiler.training_step import Task
from deepdsl.core.record import record
from deepdsl.core.source import Source
from deepdsl.data.request import Split, TargetSpec
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics import DnnError
from deepdsl.language.analysis import CheckedProgram, Training
from deepdsl.nn.losses import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepdsl.data.splits import Splits
    from deepdsl.transfer.weights import Loaded

    State = Mapping[str, NDArray[Any]]

T = TypeVar("T")

# For each input the columns of a table that feed it, by name.
Columns = Mapping[str, Sequence[str]]


@record
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
    program: CheckedProgram,
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

    Targets that are in the data as one row of probabilities for each example are taken as such,
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
    from deepdsl.transfer.weights import load_reused

    return replace(job, loaded=load_reused(job.task.model, runs))
