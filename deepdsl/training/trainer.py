"""The training loop.  It knows a backend's stepper and runner, and nothing of the runtime after
them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.build import Artifacts
from deepdsl.compiler.forward import TARGET
from deepdsl.compiler.job import Job
from deepdsl.compiler.stage import Stage
from deepdsl.data.order import epoch_order
from deepdsl.data.prefetch import Reader, reading
from deepdsl.data.table import View
from deepdsl.graph.backend import Backend
from deepdsl.language.analysis import Training
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
from deepdsl.training.early_stopping import best_tracker, need_valid, plateau_tracker, watched_value
from deepdsl.training.interrupts import interruptible
from deepdsl.training.metric_sums import Figures, MetricAccumulator
from deepdsl.training.progress import TrainingProgress
from deepdsl.training.stages import (
    Evaluator,
    Frozen,
    StatePlace,
    begins_with,
    entered,
    step_model,
)
from deepdsl.transfer.weights.checkpoint import Checkpoint

# A checkpoint is three files flushed to the disk: short epochs share one.
SECONDS_BETWEEN_CHECKPOINTS = 5.0


@dataclass
class Trainer:
    """Trains a job on a backend.  `start` is a checkpoint to continue from.

    A training goes through its stages in their order: each has a step of its own, and the state
    carries over.  Where a stage begins with frozen layers, their outputs are kept (`cache` is a
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
        for training in self.stages:
            need_valid(training, self.job.splits.valid is not None)
        self.judges = Evaluator(self.job, self.artifacts, self.backend)
        progress = TrainingProgress.of(self.start) if self.start else TrainingProgress()
        self.proofs = list(progress.proofs)
        self.tally = MetricAccumulator(self.stages[0].metrics)
        self.best: Checkpoint | None = None
        self.best_unwritten = False
        # Of the best epoch, which a run that continues did not see itself.
        self.best_train: Figures = progress.best_train
        self.best_valid: Figures | None = None
        self.last_train: Figures = progress.train
        self.written_at = time.monotonic()
        self.unwritten = False  # whether the last epoch is in no checkpoint yet
        self.epoch_seconds = self.epoch_wait = 0.0
        self.interrupted = False
        self.training_seconds = 0.0
        self.trained_steps = 0
        self.first_step_at = 0.0
        self.aside: dict[str, NDArray[Any]] = {}
        self.place = StatePlace(progress.stage, progress.phase_epochs)
        epochs = self.start.epoch if self.start else 0
        self._watch(self.artifacts.stages[self.place.stage].training, epochs, self.start)
        self._enter(self.start.state if self.start else self.artifacts.state, epochs, self.start)

    def _watch(self, training: Training, epoch: int, resumed: Checkpoint | None) -> None:
        """Watch the figures of a phase, from its beginning or as a checkpoint left them."""
        self.plateau = plateau_tracker(training, resumed)
        self.watch = best_tracker(training, self.job.splits.valid is not None, resumed)
        self.watch.best_epoch = self.watch.best_epoch or epoch
        self.best = None

    # Stages ---------------------------------------------------------------------------------------

    def _enter(
        self,
        state: Arrays,
        epoch: int,
        resumed: Checkpoint | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Make everything ready for the stage that the training is in."""
        stage = self.artifacts.stages[self.place.stage]
        begins = self.place.begins(self.stages) and not (resumed and resumed.steps_done)
        if begins:
            state = entered(stage, state, self.artifacts.state)
        training = self.training = stage.training
        self.lr = training.optimizer.lr
        if begins and not training.begins:
            self._watch(training, epoch, None)
        self.frozen = Frozen(training, state)
        notes = [*notes, *begins_with(stage, self.stages, begins)]
        self.running, self.stage, told = self._kept_outputs(stage, state)
        assert self.running.splits.train is not None
        self.view: View = self.running.splits.train
        names = {p.name for p in self.stage.graph.params}
        # What only evaluation reads, or another stage, does not change here and is kept aside.
        self.aside = {k: v for k, v in state.items() if k not in names}
        self.stepper = self.backend.stepper(
            step_model(self.stage), {k: v for k, v in state.items() if k in names}
        )
        self.judges.enter(self.running)
        if self.observer is not None:
            self.observer.enter(training)
        if training.phase or notes or told:
            self.listener.stage_begins(training, [*notes, *told])

    def _kept_outputs(self, stage: Stage, state: Arrays) -> tuple[Job, Stage, list[str]]:
        """The job and the step that are run in a stage, and what is to be said of that: those of
        the whole net, or of what is left after frozen layers whose outputs are kept.
        """
        job = replace(self.job, task=replace(self.job.task, training=stage.training))
        if not stage.training.freezing.tensors:
            return job, stage, []
        from deepdsl.training.feature_cache import Cached, cached_job

        if self.observer is not None:
            return job, stage, ["not cached: the whole net is observed"]
        made = cached_job(job, stage.training, state, self.backend, self.cache)
        if not isinstance(made, Cached):
            return job, stage, [made.told]
        return made.job, replace(made.stage, number=stage.number), [made.told]

    def _prove(self) -> None:
        """At the end of a stage, prove that what was frozen was unchanged."""
        proof = self.frozen.proved(self.state())
        if proof is not None:
            self.proofs.append(proof)

    # The loop -------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        begin = time.perf_counter()
        start = self.start
        epoch = start.epoch if start else 0
        record: Epoch | None = None
        # A run that had stopped, or would have if nobody had interrupted it, does not continue.
        over = self.place.is_over(self.stages)
        stopped = self._stopped(epoch) if start and not start.steps_done and not over else ""
        over = over or bool(stopped)
        with interruptible(self._interrupt):
            while not over and not self.interrupted:
                done = start.steps_done if start and epoch == start.epoch else 0
                if not self._epoch(epoch, done, start.sums if start and done else {}):
                    break
                self._check(epoch)
                record = self._judge(epoch)
                epoch += 1
                self._lower(record)
                last = self.place.ends_phase(self.stages)
                stopped = "" if last else self._stopped(epoch)
                over = self._pass_on(epoch, record, stopped)
            if self.interrupted and self.unwritten:
                # Ctrl-C came after the epoch had decided that its checkpoint could wait.
                self._write(epoch, 0)
        steps = int(self.stepper.state()["step"])
        restored = self._restore()
        train, valid = self._told(record, restored is not None)
        if not self.interrupted:
            self._prove()
        return Outcome(
            self._copy(),
            epoch,
            steps,
            train,
            valid,
            time.perf_counter() - begin,
            1e6 * self.training_seconds / max(1, self.trained_steps),
            self.first_step_at,
            stopped,
            restored,
            self.interrupted,
            tuple(self.proofs),
        )

    def _stopped(self, epoch: int) -> str:
        """Why the phase ends before its last epoch, where it does."""
        told = f"{self.watch.on} has not improved for {epoch - self.watch.best_epoch} epochs"
        return told if self.watch.spent(epoch) else ""

    def _pass_on(self, epoch: int, record: Epoch, stopped: str) -> bool:
        """Go to the place that follows an epoch; whether the training is over."""
        before = self.place
        self.place = before.after_epoch(self.stages, bool(stopped))
        moves = self.place.stage != before.stage
        over = self.place.is_over(self.stages) or (bool(stopped) and not moves)
        self._note_best(epoch, record)
        if moves and not self.place.epochs:
            self._restore_weights()
        if moves:
            self._prove()
        self._keep(epoch, record, moves or over or self.interrupted)
        if moves and not self.interrupted:
            phase = f"{self.training.phase} ended" if self.training.phase else "ended"
            notes = [f"{phase} after epoch {epoch}: {stopped}"] if stopped else []
            self._enter(self._copy(), epoch, None, notes)
        return over

    def _told(self, last: Epoch | None, restored: bool) -> tuple[Figures, Figures]:
        """The figures of the epoch whose weights the run ends with; `train` are means over it."""
        if self.interrupted or (last and not restored):
            return (last.train, last.valid) if last else ({}, {})
        # A run that continues at its end has no epoch of its own.
        train, valid = (self.best_train, self.best_valid) if restored else (self.last_train, None)
        if valid is None:
            held = self.job.splits.valid
            valid = self.evaluate(held) if held is not None else {}
        return train, valid

    def _epoch(self, epoch: int, done: int, sums: Mapping[str, Any]) -> bool:
        """Train on all rows once, from batch `done` on.  False when it was interrupted: a
        checkpoint says where.
        """
        rows, batch = len(self.view), self.training.batch
        order = epoch_order(self.training.seed, epoch, rows)
        self.tally = MetricAccumulator(self.training.metrics, sums)
        self.listener.epoch_begins(epoch + 1, rows, done * batch)
        begin = time.perf_counter()
        first = done
        starts = range(done * batch, rows, batch)
        pieces = [order[start : start + batch] for start in starts]
        like = self.stepper.buffers(min(batch, rows))
        with reading(self.view, pieces, like, epoch, self.workers) as reader:
            for start, piece in zip(starts, pieces, strict=True):
                self._step(epoch, reader, len(piece), min(start + batch, rows))
                done += 1
                if self.interrupted and start + batch < rows:
                    self._write(epoch, done)
                    return False
        self.epoch_wait = reader.waited
        self.training_seconds += time.perf_counter() - begin
        self.trained_steps += done - first
        self.epoch_seconds = time.perf_counter() - begin
        return True

    def _step(self, epoch: int, reader: Reader, rows: int, seen: int) -> None:
        buffers = self.stepper.buffers(rows)
        reader.fill(buffers)
        results = self.stepper.step(rows)
        if not self.first_step_at:
            self.first_step_at = time.perf_counter()
        if not results["all_finite"]:
            step = int(self.stepper.state()["step"])
            before = {**self.aside, **self.stepper.before()}
            raise NonFiniteError(self.running, before, buffers, epoch + 1, step)
        self.lr = float(results["lr"])
        self.tally.add(results, rows, buffers[TARGET] if self.tally.wants_targets else None)
        self.listener.step_done(rows, self.tally, seen, self.lr)
        number = epoch * self.job.steps_per_epoch + -(-seen // self.training.batch)
        if self.observer is not None and self.observer.due(number):
            before = {**self.aside, **self.stepper.before()}
            self.observer.observe(epoch + 1, number, before, self.stepper.state(), buffers)

    # Between epochs -------------------------------------------------------------------------------

    def state(self) -> Arrays:
        """The whole state as it is, valid until the next step."""
        return {**self.aside, **self.stepper.state()}

    def _check(self, epoch: int) -> None:
        """The loss of a step is that of the weights before it: the last ones are looked at here."""
        state = self.state()
        if not all(np.isfinite(v).all() for v in state.values() if v.dtype.kind == "f"):
            raise NonFiniteError(self.running, state, {}, epoch + 1, int(state["step"]) + 1)

    def _judge(self, epoch: int) -> Epoch:
        train = self.tally.figures(len(self.view))
        held = self.running.splits.valid
        valid = self.evaluate(held) if held is not None else {}
        best = self.watch.better(epoch + 1, watched_value(self.watch.on, train, valid))
        step = int(self.stepper.state()["step"])
        rate = len(self.view) / max(self.epoch_seconds, 1e-9)
        seconds, wait = self.epoch_seconds, self.epoch_wait
        phase = self.training.phase
        return Epoch(epoch + 1, step, self.lr, train, valid, seconds, rate, best, wait, phase)

    def _lower(self, record: Epoch) -> None:
        """The schedule `plateau` lowers the rate where nothing gets better."""
        if self.plateau is None:
            return
        value = watched_value(self.plateau.schedule.on, record.train, record.valid)
        state = self.stepper.state()
        factor = float(state[FACTOR_PATH])
        lowered = self.plateau.after(value, factor)
        if lowered != factor:
            self.stepper.load({**state, FACTOR_PATH: np.array(lowered)})

    def evaluate(self, view: View) -> dict[str, Figure]:
        """The loss and metrics of the present state, on rows of the data or of the stage."""
        here = view is self.running.splits.valid
        return self.judges.evaluated(view, self.state(), here)

    def _note_best(self, epoch: int, record: Epoch) -> None:
        if record.best:
            self.best_train, self.best_valid = record.train, record.valid
            self.best = replace(self._checkpoint(epoch, 0), state=self._copy())
            self.best_unwritten = True

    def _keep(self, epoch: int, record: Epoch, ends: bool) -> None:
        """Log the epoch, and write checkpoints unless the last ones are only moments old."""
        self.keeper.log(record)
        self.last_train = record.train
        self.unwritten = True
        if ends or time.monotonic() - self.written_at >= SECONDS_BETWEEN_CHECKPOINTS:
            self._write(epoch, 0)
        self.listener.epoch_done(record)
        self.listener.epoch_state(record, self.state)

    def _write(self, epoch: int, steps_done: int) -> None:
        if self.best is not None and self.best_unwritten:
            self.keeper.save("best", self.best)
            self.best_unwritten = False
        self.keeper.save("last", self._checkpoint(epoch, steps_done))
        self.written_at, self.unwritten = time.monotonic(), False

    def _copy(self) -> dict[str, NDArray[Any]]:
        return {**self.aside, **{k: v.copy() for k, v in self.stepper.state().items()}}

    def _checkpoint(self, epoch: int, steps_done: int) -> Checkpoint:
        watch = self.watch
        best = (watch.best_epoch, watch.best) if watch.best is not None else None
        sums = self.tally.as_json() if steps_done else {}
        progress = TrainingProgress(
            watch.on,
            self.last_train,
            self.best_train,
            self.place.stage,
            self.place.epochs,
            tuple(self.proofs),
            self.plateau.as_json() if self.plateau is not None else None,
        )
        kept = progress.as_json(several_stages=len(self.stages) > 1)
        return Checkpoint(self.state(), epoch, steps_done, sums, best, kept)

    def _found_best(self) -> Checkpoint | None:
        """The best state of the phase, with restore=best."""
        stop = self.watch.stop
        if stop is None or stop.restore != "best" or self.watch.best is None:
            return None
        return self.best or self.keeper.load("best")

    def _restore(self) -> int | None:
        """With restore=best, go back to the best epoch's weights; its number."""
        best = None if self.interrupted else self._found_best()
        if best is None:
            return None
        self.stepper.load({k: v for k, v in best.state.items() if k not in self.aside})
        return self.watch.best_epoch

    def _restore_weights(self) -> None:
        """The same at the end of a phase after which another one comes: time continues."""
        best = self._found_best()
        if best is not None:
            own = {p.name for p in self.job.task.model.params}
            now = self.stepper.state()
            self.stepper.load({k: best.state[k] if k in own else v for k, v in now.items()})

    def _interrupt(self) -> None:
        self.interrupted = True
