"""The stage that is being trained: what runs, on which tensors, under which rules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from deepdsl.compiler.job import Job
from deepdsl.compiler.stage import Stage
from deepdsl.core.record import record
from deepdsl.data.table import View
from deepdsl.graph.backend import Backend, Stepper
from deepdsl.language.analysis import Training
from deepdsl.training.early_stopping import EarlyStopping, PlateauRule
from deepdsl.training.stages import Arrays, Frozen, step_model


@record(eq=False)
class RunningStage:
    """A stage with its stepper.

    `job` is the whole net, or what is left after frozen layers whose outputs are cached.  `aside`
    are the tensors that the step does not have: what only evaluation reads, or another stage.
    """

    training: Training
    job: Job
    stepper: Stepper
    aside: dict[str, NDArray[Any]]
    frozen: Frozen
    stopping: EarlyStopping
    plateau: PlateauRule | None

    @property
    def rows(self) -> View:
        """The rows to train on."""
        assert self.job.splits.train is not None
        return self.job.splits.train

    def tensors(self) -> Arrays:
        """All tensors as they are, valid until the next step."""
        return {**self.aside, **self.stepper.state()}

    def before(self) -> Arrays:
        """All tensors before the last step, valid until the next one."""
        return {**self.aside, **self.stepper.before()}

    def copy(self) -> dict[str, NDArray[Any]]:
        return {**self.aside, **{k: v.copy() for k, v in self.stepper.state().items()}}

    def steps(self) -> int:
        """How many steps the training has done in all."""
        return int(self.stepper.state()["step"])


def running_stage(
    training: Training,
    job: Job,
    stage: Stage,
    tensors: Arrays,
    backend: Backend,
    stopping: EarlyStopping,
    plateau: PlateauRule | None,
) -> RunningStage:
    """A stage that begins, or is resumed, with these tensors.  `training` is that of the whole net;
    what runs, `job` and `stage`, may be without its frozen layers.
    """
    names = {p.name for p in stage.graph.params}
    return RunningStage(
        training,
        job,
        backend.stepper(step_model(stage), {k: v for k, v in tensors.items() if k in names}),
        {k: v for k, v in tensors.items() if k not in names},
        Frozen(training, tensors),
        stopping,
        plateau,
    )


def without_frozen_layers(
    job: Job, stage: Stage, tensors: Arrays, backend: Backend, cache: Path | None, observed: bool
) -> tuple[Job, Stage, list[str]]:
    """The job and the step that are run in a stage, and what is to be said of that: those of the
    whole net, or of what is left after frozen layers whose outputs are cached.
    """
    job = replace(job, task=replace(job.task, training=stage.training))
    if not stage.training.freezing.tensors:
        return job, stage, []
    # Most trainings freeze nothing, and start without this package.
    from deepdsl.training.feature_cache import Cached, cached_job

    if observed:
        return job, stage, ["not cached: the whole net is observed"]
    made = cached_job(job, stage.training, tensors, backend, cache)
    if not isinstance(made, Cached):
        return job, stage, [made.told]
    return made.job, replace(made.stage, number=stage.number), [made.told]
