"""The stages of a training: what is set when one begins, and the proof that what was frozen was
still.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.build import Artifacts
from deepdsl.compiler.job import Job
from deepdsl.compiler.stage import Stage
from deepdsl.compiler.training_step import evaluation_graph
from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.data.table import View
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import FrozenMoved
from deepdsl.graph import Graph
from deepdsl.graph.backend import Backend, Runner, StepModel
from deepdsl.graph.emit import NUMPY, emit
from deepdsl.language.analysis import Training
from deepdsl.nn.metrics import Figure
from deepdsl.training.evaluation import evaluate

Arrays = Mapping[str, NDArray[Any]]


def step_model(stage: Stage) -> StepModel:
    """What a backend needs to know of a step."""
    graph = stage.graph
    return StepModel(
        stage.step.serialize(),
        stage.step.updates,
        {
            v.name: (tuple(int(d) for d in v.type.shape[1:]), NUMPY[v.type.dtype])
            for v in graph.inputs
        },
        {k: (v.type.shape, NUMPY[v.type.dtype]) for k, v in graph.outputs.items()},
        len(stage.step.proto.graph.node),
    )


def entered(stage: Stage, state: Arrays, initial: Arrays) -> dict[str, NDArray[Any]]:
    """The state with which a stage begins: what it has fresh is as it was at first."""
    made = {**state, **{name: initial[name] for name in stage.fresh}}
    if stage.begun is not None:
        made[stage.begun] = np.array(state["step"])
    return made


@record
class StatePlace:
    """Where in its stages a training is: this many epochs of the stage's phase are done."""

    stage: int = 0
    epochs: int = 0

    def after_epoch(self, stages: Sequence[Training], phase_ends: bool) -> StatePlace:
        """The place after one more epoch, which may be the beginning of another stage."""
        here, done = stages[self.stage], self.epochs + 1
        if phase_ends or done >= here.epochs:
            following = next(
                (n for n in range(self.stage + 1, len(stages)) if stages[n].clock == n),
                self.stage,
            )
            return (
                StatePlace(following, 0)
                if following != self.stage
                else StatePlace(self.stage, done)
            )
        return StatePlace(self.stage + 1 if here.ends == done else self.stage, done)

    def ends_phase(self, stages: Sequence[Training]) -> bool:
        """Whether the epoch that comes is the last one of its phase."""
        return self.epochs + 1 >= stages[self.stage].epochs

    def begins(self, stages: Sequence[Training]) -> bool:
        """Whether the stage is just beginning."""
        return self.epochs == stages[self.stage].begins

    def is_over(self, stages: Sequence[Training]) -> bool:
        return self.epochs >= stages[self.stage].epochs


# Evaluation ---------------------------------------------------------------------------------------


class Evaluator:
    """Evaluates the whole net, and what a stage runs where that is less."""

    def __init__(self, job: Job, artifacts: Artifacts, backend: Backend) -> None:
        self._job, self._artifacts, self._backend = job, artifacts, backend
        self._whole: Runner | None = None
        self._here: tuple[Runner, Graph] | None = None

    def enter(self, running: Job) -> None:
        """A stage begins that runs this job."""
        self._here = None
        if running.task.model is not self._job.task.model:
            graph = evaluation_graph(running.task)
            self._here = self._backend.runner(emit(graph, "eval").serialize()), graph

    @property
    def whole(self) -> Runner:
        if self._whole is None:
            self._whole = self._backend.runner(self._artifacts.evaluate.serialize())
        return self._whole

    def evaluated(self, view: View, state: Arrays, here: bool = False) -> dict[str, Figure]:
        """The loss and metrics of a state on rows of the data; on rows of the stage with `here`."""
        if here and self._here is not None:
            runner, graph = self._here
        else:
            runner, graph = self.whole, self._artifacts.evaluation_graph
        wanted = {p.name: state[p.name] for p in graph.params}
        metrics = self._job.task.training.metrics
        return evaluate(lambda batch: runner.run({**wanted, **batch}), graph, view, metrics)


# What was frozen ----------------------------------------------------------------------------------


@record
class Proof:
    """What was frozen in a stage and was found unchanged, bit for bit: how many tensors each
    pattern means.
    """

    phase: str
    unchanged: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        return {"phase": self.phase or None, "unchanged": dict(self.unchanged)}

    def lines(self) -> Iterator[str]:
        where = f" in {self.phase}" if self.phase else ""
        for pattern, count in self.unchanged.items():
            yield f"{pattern}: {count} {plural(count, 'tensor')} unchanged{where}"


def proofs_in(kept: Mapping[str, Any]) -> list[Proof]:
    """The proofs of stages that went by before a checkpoint."""
    return [Proof(each["phase"] or "", each["unchanged"]) for each in kept.get("proofs", ())]


class Frozen:
    """The frozen tensors of a stage as they were when it began."""

    def __init__(self, training: Training, state: Arrays) -> None:
        self.training = training
        self.kept = {n: state[n].copy() for n in training.freezing.tensors if n in state}

    def proved(self, state: Arrays) -> Proof | None:
        """The proof that they have not changed; None where nothing was frozen.

        Raises DnnError with FrozenMoved where one differs in any bit.
        """
        for name, before in self.kept.items():
            if before.tobytes() != np.ascontiguousarray(state[name]).tobytes():
                span = self.training.spans.get("freeze")
                raise DnnError([FrozenMoved(span, name)])
        told = self.training.freezing.told
        counts = {p: sum(t in self.kept for t in tensors) for p, tensors in told.items()}
        return Proof(self.training.phase, counts) if counts else None


def begins_with(stage: Stage, stages: Sequence[Training], begins: bool = True) -> list[str]:
    """What is to be said when a stage begins, a line each; nothing of a training without stages.
    One that is taken up in its middle is unfrozen nothing.
    """
    training = stage.training
    notes = [
        f"{pattern}: frozen ({len(tensors)} {plural(len(tensors), 'tensor')})"
        for pattern, tensors in training.freezing.told.items()
    ]
    if not stage.number or not begins:
        return notes
    before = stages[stage.number - 1]
    slots = [n for n in stage.fresh if n.startswith("optimizer.")]
    if slots and not before.optimizer.goes_on_as(training.optimizer):
        notes.append(f"the state of {training.optimizer.name} starts from scratch for all tensors")
    elif slots:
        tensors = {t for t, born in training.births.items() if born == stage.number}
        told = f"{len(tensors)} {plural(len(tensors), 'tensor')}"
        notes.append(f"{told} unfrozen; their optimizer state starts from scratch")
    else:
        thawed = {t for t in before.freezing.tensors if t not in training.freezing.tensors}
        if thawed:
            notes.append(f"{len(thawed)} {plural(len(thawed), 'tensor')} unfrozen")
    return notes
