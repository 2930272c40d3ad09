"""The training loop.  It knows a backend's stepper and runner, and nothing of the runtime after
them.

How far a training is is a TrainingState.  The loop makes the next one from it, epoch by epoch, and
checkpoints are what it says, with the tensors.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from deepdsl.compiler.build import Artifacts
from deepdsl.compiler.forward import TARGET
from deepdsl.compiler.job import Job
from deepdsl.core.record import record
from deepdsl.data.order import epoch_order
from deepdsl.data.prefetch import Reader, reading
from deepdsl.data.table import View
from deepdsl.graph.backend import Backend
from deepdsl.nn.metrics import Figure
from deepdsl.nn.schedules import FACTOR_PATH
from deepdsl.training.callbacks import (
    Arrays,
    Callback,
    CheckpointWriter,
    Epoch,
    NonFiniteError,
    NullCallback,
    Observer,
    Outcome,
)
from deepdsl.training.early_stopping import early_stopping, need_valid, plateau_rule, watched_value
from deepdsl.training.interrupts import interruptible
from deepdsl.training.metric_sums import Figures, MetricAccumulator
from deepdsl.training.running_stage import RunningStage, running_stage, without_frozen_layers
from deepdsl.training.stages import Evaluator, begins_with, entered
from deepdsl.training.timed_checkpoints import TimedCheckpoints
from deepdsl.training.training_state import TrainingState
from deepdsl.transfer.weights.checkpoint import Checkpoint


@record
class EpochPass:
    """A pass over the training rows: to their end, or to an interruption after `steps` steps."""

    complete: bool
    steps: int
    sums: MetricAccumulator
    lr: float
    seconds: float
    wait: float


@dataclass
class StepTimes:
    """How long the steps of this process took."""

    first_at: float = 0.0
    seconds: float = 0.0
    steps: int = 0

    @property
    def step_us(self) -> float:
        return 1e6 * self.seconds / max(1, self.steps)


@dataclass
class Trainer:
    """Trains a job on a backend.  `start` is a checkpoint to continue from.

    A training goes through its stages in their order: each has a step of its own, and the tensors
    carry over.  Where a stage begins with frozen layers, their outputs are cached (`cache` is a
    folder for those that do not fit into memory) and the rest is trained on these.
    """

    job: Job
    artifacts: Artifacts
    backend: Backend
    keeper: CheckpointWriter
    listener: Callback = field(default_factory=NullCallback)
    start: Checkpoint | None = None
    observer: Observer | None = None
    workers: int | None = None  # threads that read ahead where that is slow; 0 for none
    cache: Path | None = None

    def __post_init__(self) -> None:
        self.stages = self.job.task.training.stages
        assert self.job.splits.train is not None
        self.validated = self.job.splits.valid is not None
        for training in self.stages:
            need_valid(training, self.validated)
        self.evaluator = Evaluator(self.job, self.artifacts, self.backend)
        self.checkpoints = TimedCheckpoints(self.keeper)
        self.times = StepTimes()
        self.interrupted = False
        # Of the best epoch, where this process saw it.
        self.best_valid: Figures | None = None
        saved = self.start
        state = TrainingState.from_checkpoint(saved) if saved else TrainingState()
        tensors = saved.state if saved else self.artifacts.state
        self.beginning, self.running = self._enter(state, tensors)

    # Stages ---------------------------------------------------------------------------------------

    def _enter(
        self,
        state: TrainingState,
        tensors: Arrays,
        before: RunningStage | None = None,
        notes: Sequence[str] = (),
    ) -> tuple[TrainingState, RunningStage]:
        """Make everything ready for the stage that the training is in; `before` is the last one."""
        stage = self.artifacts.stages[state.place.stage]
        training = stage.training
        begins = state.place.begins(self.stages) and not state.steps_done
        new_phase = begins and not training.begins
        if begins:
            tensors = entered(stage, tensors, self.artifacts.state)
        if new_phase:
            self.checkpoints.forget_best()
        since = before.stopping.since if before and not new_phase else state.epoch
        stopping = early_stopping(training, self.validated, since)
        plateau = plateau_rule(training)
        state = state.watching(stopping.on, plateau is not None, new_phase)
        notes = [*notes, *begins_with(stage, self.stages, begins)]
        job, part, told = without_frozen_layers(
            self.job, stage, tensors, self.backend, self.cache, self.observer is not None
        )
        running = running_stage(training, job, part, tensors, self.backend, stopping, plateau)
        self.evaluator.enter(job)
        if self.observer is not None:
            self.observer.enter(training)
        if training.phase or notes or told:
            self.listener.stage_begins(training, [*notes, *told])
        return state, running

    def _prove(self, state: TrainingState) -> TrainingState:
        """At the end of a stage, prove that what was frozen was unchanged."""
        return state.proved(self.running.frozen.proved(self.running.tensors()))

    # The loop -------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        begin = time.perf_counter()
        state, last, stopped = self._loop(self.beginning)
        steps = self.running.steps()
        restored = self._restore(state)
        train, valid = self._final_figures(state, last, restored is not None)
        if not self.interrupted:
            state = self._prove(state)
        return Outcome(
            self.running.copy(),
            state.epoch,
            steps,
            train,
            valid,
            time.perf_counter() - begin,
            self.times.step_us,
            self.times.first_at,
            stopped,
            restored,
            self.interrupted,
            state.proofs,
        )

    def _loop(self, state: TrainingState) -> tuple[TrainingState, Epoch | None, str]:
        """Train to the end or an interruption.  The last state, the last epoch, and why the last
        phase ended early, where it did.
        """
        last: Epoch | None = None
        stopped = ""
        over = state.place.is_over(self.stages)
        if self.start and not state.steps_done and not over:
            # A run that had stopped, or would have if nobody had interrupted it, does not continue.
            stopped = self._stop_reason(state)
            over = bool(stopped)
        with interruptible(self._interrupt):
            while not over and not self.interrupted:
                passed = self._train_epoch(state)
                if not passed.complete:
                    state = state.paused(passed.steps, passed.sums.as_json())
                    self._write(state)
                    break
                self._check(state.epoch)
                last = self._evaluate_epoch(state, passed)
                state = self._after_epoch(state, last)
                stopped = "" if state.place.ends_phase(self.stages) else self._stop_reason(state)
                state, over = self._pass_on(state, last, stopped)
            if self.interrupted and self.checkpoints.pending:
                # Ctrl-C came after the epoch had decided that its checkpoint could wait.
                self._write(state)
        return state, last, stopped

    def _stop_reason(self, state: TrainingState) -> str:
        """Why the phase ends before its last epoch, where it does."""
        return self.running.stopping.reason(state.epoch, state.best)

    def _pass_on(
        self, state: TrainingState, last: Epoch, stopped: str
    ) -> tuple[TrainingState, bool]:
        """Go to the place that follows an epoch; whether the training is over."""
        before = state.place
        state = state.moved(before.after_epoch(self.stages, bool(stopped)))
        moves = state.place.stage != before.stage
        over = state.place.is_over(self.stages) or (bool(stopped) and not moves)
        state = self._note_best(state, last)
        if moves and not state.place.epochs:
            self._restore_weights(state)
        if moves:
            state = self._prove(state)
        state = self._keep(state, last, moves or over or self.interrupted)
        if moves and not self.interrupted:
            done = self.running
            phase = f"{done.training.phase} ended" if done.training.phase else "ended"
            notes = [f"{phase} after epoch {state.epoch}: {stopped}"] if stopped else []
            state, self.running = self._enter(state, done.copy(), done, notes)
        return state, over

    def _final_figures(
        self, state: TrainingState, last: Epoch | None, restored: bool
    ) -> tuple[Figures, Figures]:
        """The figures of the epoch whose weights the run ends with; `train` are means over it."""
        if self.interrupted or (last and not restored):
            return (last.train, last.valid) if last else ({}, {})
        # A run that continues at its end has no epoch of its own.
        train, valid = (state.best_train, self.best_valid) if restored else (state.train, None)
        if valid is None:
            held = self.job.splits.valid
            valid = self.evaluate(held) if held is not None else {}
        return train, valid

    def _train_epoch(self, state: TrainingState) -> EpochPass:
        """Train on all rows once, from where the state is in the epoch."""
        view, training = self.running.rows, self.running.training
        rows, batch, done = len(view), training.batch, state.steps_done
        order = epoch_order(training.seed, state.epoch, rows)
        sums = MetricAccumulator(training.metrics, state.sums)
        self.listener.epoch_begins(state.epoch + 1, rows, done * batch)
        lr, complete = training.optimizer.lr, True
        begin = time.perf_counter()
        starts = range(done * batch, rows, batch)
        pieces = [order[start : start + batch] for start in starts]
        like = self.running.stepper.buffers(min(batch, rows))
        with reading(view, pieces, like, state.epoch, self.workers) as reader:
            for start, piece in zip(starts, pieces, strict=True):
                lr = self._step(state.epoch, sums, reader, len(piece), min(start + batch, rows))
                done += 1
                if self.interrupted and start + batch < rows:
                    complete = False
                    break
        seconds = time.perf_counter() - begin
        if complete:
            self.times.seconds += seconds
            self.times.steps += done - state.steps_done
        return EpochPass(complete, done, sums, lr, seconds, reader.waited)

    def _step(
        self, epoch: int, sums: MetricAccumulator, reader: Reader, rows: int, seen: int
    ) -> float:
        """One step on the rows that come next; its learning rate."""
        running = self.running
        buffers = running.stepper.buffers(rows)
        reader.fill(buffers)
        results = running.stepper.step(rows)
        if not self.times.first_at:
            self.times.first_at = time.perf_counter()
        if not results["all_finite"]:
            step = running.steps()
            raise NonFiniteError(running.job, running.before(), buffers, epoch + 1, step)
        lr = float(results["lr"])
        sums.add(results, rows, buffers[TARGET] if sums.wants_targets else None)
        self.listener.step_done(rows, sums, seen, lr)
        number = epoch * self.job.steps_per_epoch + -(-seen // running.training.batch)
        if self.observer is not None and self.observer.due(number):
            before, after = running.before(), running.stepper.state()
            self.observer.observe(epoch + 1, number, before, after, buffers)
        return lr

    # Between epochs -------------------------------------------------------------------------------

    def _check(self, epoch: int) -> None:
        """The loss of a step is that of the weights before it: the last ones are looked at here."""
        tensors = self.running.tensors()
        if not all(np.isfinite(v).all() for v in tensors.values() if v.dtype.kind == "f"):
            step = int(tensors["step"]) + 1
            raise NonFiniteError(self.running.job, tensors, {}, epoch + 1, step)

    def _evaluate_epoch(self, state: TrainingState, passed: EpochPass) -> Epoch:
        """The figures of an epoch that was just trained."""
        running, rows = self.running, len(self.running.rows)
        train = passed.sums.figures(rows)
        held = running.job.splits.valid
        valid = self.evaluate(held) if held is not None else {}
        value = watched_value(running.stopping.on, train, valid)
        return Epoch(
            state.epoch + 1,
            running.steps(),
            passed.lr,
            train,
            valid,
            passed.seconds,
            rows / max(passed.seconds, 1e-9),
            running.stopping.improves(state.best, value),
            passed.wait,
            running.training.phase,
        )

    def _after_epoch(self, state: TrainingState, last: Epoch) -> TrainingState:
        """Count the epoch, and lower the rate where the schedule `plateau` says so."""
        value = watched_value(self.running.stopping.on, last.train, last.valid)
        state = state.after_epoch((last.number, value) if last.best else None)
        rule = self.running.plateau
        if rule is None or state.plateau is None:
            return state
        tensors = self.running.stepper.state()
        factor = float(tensors[FACTOR_PATH])
        value = watched_value(rule.schedule.on, last.train, last.valid)
        counters, lowered = rule.after(state.plateau, value, factor)
        if lowered != factor:
            self.running.stepper.load({**tensors, FACTOR_PATH: np.array(lowered)})
        return replace(state, plateau=counters)

    def evaluate(self, view: View) -> dict[str, Figure]:
        """The loss and metrics of the present state, on rows of the data or of the stage."""
        here = view is self.running.job.splits.valid
        return self.evaluator.evaluated(view, self.running.tensors(), here)

    def _note_best(self, state: TrainingState, last: Epoch) -> TrainingState:
        if not last.best:
            return state
        self.best_valid = last.valid
        state = replace(state, best_train=last.train)
        self.checkpoints.note_best(self._checkpoint(state, self.running.copy()))
        return state

    def _keep(self, state: TrainingState, last: Epoch, ends: bool) -> TrainingState:
        """Log the epoch, and write checkpoints unless the last ones are only moments old."""
        self.keeper.log(last)
        state = replace(state, train=last.train)
        self.checkpoints.pending = True
        if ends or self.checkpoints.due():
            self._write(state)
        self.listener.epoch_done(last)
        self.listener.epoch_state(last, self.running.tensors)
        return state

    def _write(self, state: TrainingState) -> None:
        self.checkpoints.write(self._checkpoint(state, self.running.tensors()))

    def _checkpoint(self, state: TrainingState, tensors: Arrays) -> Checkpoint:
        return state.checkpoint(tensors, several_stages=len(self.stages) > 1)

    def _found_best(self, state: TrainingState) -> Checkpoint | None:
        """The best state of the phase, with restore=best."""
        if not self.running.stopping.restores or state.best is None:
            return None
        return self.checkpoints.best()

    def _restore(self, state: TrainingState) -> int | None:
        """With restore=best, go back to the best epoch's weights; its number."""
        best = None if self.interrupted else self._found_best(state)
        if best is None or state.best is None:
            return None
        aside = self.running.aside
        self.running.stepper.load({k: v for k, v in best.state.items() if k not in aside})
        return state.best[0]

    def _restore_weights(self, state: TrainingState) -> None:
        """The same at the end of a phase after which another one comes: time continues."""
        best = self._found_best(state)
        if best is not None:
            own = {p.name for p in self.job.task.model.params}
            now = self.running.stepper.state()
            self.running.stepper.load({k: best.state[k] if k in own else v for k, v in now.items()})

    def _interrupt(self) -> None:
        self.interrupted = True
