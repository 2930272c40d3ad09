"""The training loop.  It knows a backend's stepper and runner, and nothing of the runtime behind
them.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deepdsl.backend import Backend, StepModel
from deepdsl.checkpoint import Checkpoint
from deepdsl.compiler import Artifacts, Job
from deepdsl.data.ahead import Reader, reading
from deepdsl.data.order import epoch_order
from deepdsl.data.table import View
from deepdsl.emit import NUMPY
from deepdsl.judge import evaluate
from deepdsl.lower import TARGET
from deepdsl.metrics import Figure
from deepdsl.schedules import FACTOR_PATH
from deepdsl.tally import Figures, Tally
from deepdsl.watch import Watch, epoch_watch, need_valid, plateau_watch, watched

Arrays = Mapping[str, NDArray[Any]]

# A checkpoint is three files flushed to the disk: short epochs share one.
SECONDS_BETWEEN_CHECKPOINTS = 5.0


class Listener(Protocol):
    """Who is told how a training goes."""

    def epoch_begins(self, epoch: int, rows: int, done: int) -> None: ...

    def step_done(self, rows: int, tally: Tally, seen: int, lr: float) -> None: ...

    def epoch_done(self, record: Epoch) -> None: ...

    def epoch_state(self, record: Epoch, state: Callable[[], Arrays]) -> None:
        """After `epoch_done`: `state` gives the state as it is, valid until the next step."""
        ...


class Silent:
    """A listener that says nothing."""

    def epoch_begins(self, epoch: int, rows: int, done: int) -> None: ...

    def step_done(self, rows: int, tally: Tally, seen: int, lr: float) -> None: ...

    def epoch_done(self, record: Epoch) -> None: ...

    def epoch_state(self, record: Epoch, state: Callable[[], Arrays]) -> None: ...


class Observer(Protocol):
    """Who looks at a step now and then, with the state before and after it."""

    def due(self, step: int) -> bool: ...

    def observe(
        self, epoch: int, step: int, before: Arrays, after: Arrays, batch: Arrays
    ) -> None: ...


class Keeper(Protocol):
    """Who keeps checkpoints and logs: a run directory, or memory."""

    def save(self, name: str, checkpoint: Checkpoint) -> None: ...

    def load(self, name: str) -> Checkpoint | None: ...

    def log(self, record: Epoch) -> None: ...


@dataclass(frozen=True)
class Epoch:
    """What is known at the end of an epoch, counted from 1."""

    number: int
    step: int
    lr: float
    train: Figures
    valid: Figures
    seconds: float
    rows_per_s: float
    best: bool
    data_wait: float = 0.0  # seconds in which the step waited for its rows

    def as_json(self) -> dict[str, Any]:
        return {
            "epoch": self.number,
            "step": self.step,
            "lr": self.lr,
            "train": dict(self.train),
            "valid": dict(self.valid),
            "wall_s": round(self.seconds, 4),
            "rows_per_s": round(self.rows_per_s, 1),
            "data_wait_s": round(self.data_wait, 4),
            "best": self.best,
        }


@dataclass(frozen=True)
class Outcome:
    """How a training ended: the final state, and the figures.  `steps` counts batches, of which
    `accumulate` may put several into one update.
    """

    state: Arrays
    epochs: int
    steps: int
    train: Figures
    valid: Figures
    wall_s: float
    step_us: float
    first_step_at: float
    stopped: str = ""
    restored: int | None = None
    interrupted: bool = False


class NumbersWentWrong(Exception):
    """A result was not finite.  Carries what is needed to find the first bad tensor."""

    def __init__(self, before: Arrays, batch: Arrays, epoch: int, step: int) -> None:
        super().__init__(f"not finite in step {step}")
        self.before = {k: v.copy() for k, v in before.items()}
        self.batch = {k: v.copy() for k, v in batch.items()}
        self.epoch, self.step = epoch, step


def step_model(artifacts: Artifacts) -> StepModel:
    """What a backend needs to know of the step."""
    graph = artifacts.step_graph
    return StepModel(
        artifacts.step.serialize(),
        artifacts.step.updates,
        {
            v.name: (tuple(int(d) for d in v.type.shape[1:]), NUMPY[v.type.dtype])
            for v in graph.inputs
        },
        {k: (v.type.shape, NUMPY[v.type.dtype]) for k, v in graph.outputs.items()},
        len(artifacts.step.proto.graph.node),
    )


@dataclass
class Trainer:
    """Trains a job on a backend.  `start` is a checkpoint to go on from."""

    job: Job
    artifacts: Artifacts
    backend: Backend
    keeper: Keeper
    listener: Listener = field(default_factory=Silent)
    start: Checkpoint | None = None
    observer: Observer | None = None
    workers: int | None = None  # threads that read ahead where that is slow; 0 for none

    def __post_init__(self) -> None:
        training = self.job.task.training
        assert self.job.splits.train is not None
        self.training = training
        need_valid(training, self.job.splits.valid is not None)
        self.plateau = plateau_watch(training, self.start)
        self.view: View = self.job.splits.train
        state = self.start.state if self.start else self.artifacts.state
        names = {p.name for p in self.artifacts.step_graph.params}
        # What only evaluation reads never changes, and is kept aside.
        self.aside = {k: v for k, v in state.items() if k not in names}
        model = step_model(self.artifacts)
        self.stepper = self.backend.stepper(model, {k: v for k, v in state.items() if k in names})
        self.runner: Any = None
        self.tally = Tally(training.metrics)
        self.lr = training.optimizer.lr
        self.best: Checkpoint | None = None
        self.best_unwritten = False
        # Of the best epoch, which a run that goes on did not see itself.
        self.best_train: Figures = self.start.watched.get("best_train", {}) if self.start else {}
        self.best_valid: Figures | None = None
        self.written_at = time.monotonic()
        self.unwritten = False  # whether the last epoch is in no checkpoint yet
        self.epoch_seconds = self.epoch_wait = 0.0
        self.interrupted = False
        self.training_seconds = 0.0
        self.trained_steps = 0
        self.first_step_at = 0.0

    # The loop -------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        begin = time.perf_counter()
        training, start = self.training, self.start
        validated = self.job.splits.valid is not None
        watch = self.watch = epoch_watch(training, validated, start)
        epoch = start.epoch if start else 0
        record: Epoch | None = None
        stopped = ""
        with self._interruptible():
            while epoch < training.epochs and not self.interrupted:
                done = start.steps_done if start and epoch == start.epoch else 0
                if not self._epoch(epoch, done, start.sums if start and done else {}):
                    break
                self._check(epoch)
                record = self._judge(epoch, watch)
                epoch += 1
                self._lower(record)
                if watch.spent(epoch) and epoch < training.epochs:
                    stopped = f"{watch.on} has not improved for {epoch - watch.best_epoch} epochs"
                ends = bool(stopped) or epoch == training.epochs or self.interrupted
                self._keep(epoch, record, watch, ends)
                if stopped:
                    break
            if self.interrupted and self.unwritten:
                # Ctrl-C came after the epoch had decided that its checkpoint could wait.
                self._write(epoch, 0, watch)
        steps = int(self.stepper.state()["step"])
        restored = self._restore(watch)
        train, valid = self._told(record, restored is not None)
        return Outcome(
            {**self.aside, **{k: v.copy() for k, v in self.stepper.state().items()}},
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
        )

    def _told(self, last: Epoch | None, restored: bool) -> tuple[Figures, Figures]:
        """The figures of the epoch whose weights the run ends with; `train` are means over it."""
        if not restored:
            return (last.train, last.valid) if last else ({}, {})
        valid = self.best_valid
        if valid is None:
            held = self.job.splits.valid
            valid = self.evaluate(held) if held is not None else {}
        return self.best_train, valid

    def _epoch(self, epoch: int, done: int, sums: Mapping[str, Any]) -> bool:
        """Train on all rows once, from batch `done` on.  False when it was interrupted: a
        checkpoint says where.
        """
        rows, batch = len(self.view), self.training.batch
        order = epoch_order(self.training.seed, epoch, rows)
        self.tally = Tally(self.training.metrics, sums)
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
                    self._write(epoch, done, self.watch)
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
            raise NumbersWentWrong(
                {**self.aside, **self.stepper.before()}, buffers, epoch + 1, step
            )
        self.lr = float(results["lr"])
        self.tally.add(results, rows, buffers[TARGET] if self.tally.wants_targets else None)
        self.listener.step_done(rows, self.tally, seen, self.lr)
        number = epoch * self.job.steps_per_epoch + -(-seen // self.training.batch)
        if self.observer is not None and self.observer.due(number):
            before = {**self.aside, **self.stepper.before()}
            self.observer.observe(epoch + 1, number, before, self.stepper.state(), buffers)

    # Between epochs -------------------------------------------------------------------------------

    def _check(self, epoch: int) -> None:
        """The loss of a step is that of the weights before it: the last ones are looked at here."""
        state = {**self.aside, **self.stepper.state()}
        if not all(np.isfinite(v).all() for v in state.values() if v.dtype.kind == "f"):
            raise NumbersWentWrong(state, {}, epoch + 1, int(state["step"]) + 1)

    def _judge(self, epoch: int, watch: Watch) -> Epoch:
        train = self.tally.figures(len(self.view))
        valid = self.evaluate(self.job.splits.valid) if self.job.splits.valid is not None else {}
        best = watch.better(epoch + 1, watched(watch.on, train, valid))
        step = int(self.stepper.state()["step"])
        rate = len(self.view) / max(self.epoch_seconds, 1e-9)
        seconds, wait = self.epoch_seconds, self.epoch_wait
        return Epoch(epoch + 1, step, self.lr, train, valid, seconds, rate, best, wait)

    def _lower(self, record: Epoch) -> None:
        """The schedule `plateau` lowers the rate where nothing gets better."""
        if self.plateau is None:
            return
        value = watched(self.plateau.schedule.on, record.train, record.valid)
        state = self.stepper.state()
        factor = float(state[FACTOR_PATH])
        lowered = self.plateau.after(value, factor)
        if lowered != factor:
            self.stepper.load({**state, FACTOR_PATH: np.array(lowered)})

    def evaluate(self, view: View) -> dict[str, Figure]:
        """The loss and metrics of the present state."""
        if self.runner is None:
            self.runner = self.backend.runner(self.artifacts.evaluate.serialize())
        state = {**self.aside, **self.stepper.state()}
        graph = self.artifacts.evaluation_graph
        wanted = {p.name: state[p.name] for p in graph.params}
        return evaluate(
            lambda batch: self.runner.run({**wanted, **batch}), graph, view, self.training.metrics
        )

    def _keep(self, epoch: int, record: Epoch, watch: Watch, ends: bool) -> None:
        """Log the epoch, note the best state, and write checkpoints unless the last ones are only
        moments old.
        """
        self.keeper.log(record)
        if record.best:
            self.best_train, self.best_valid = record.train, record.valid
            self.best = replace(self._checkpoint(epoch, 0, watch), state=self._copy())
            self.best_unwritten = True
        self.unwritten = True
        if ends or time.monotonic() - self.written_at >= SECONDS_BETWEEN_CHECKPOINTS:
            self._write(epoch, 0, watch)
        self.listener.epoch_done(record)
        self.listener.epoch_state(record, lambda: {**self.aside, **self.stepper.state()})

    def _write(self, epoch: int, steps_done: int, watch: Watch) -> None:
        if self.best is not None and self.best_unwritten:
            self.keeper.save("best", self.best)
            self.best_unwritten = False
        self.keeper.save("last", self._checkpoint(epoch, steps_done, watch))
        self.written_at, self.unwritten = time.monotonic(), False

    def _copy(self) -> dict[str, NDArray[Any]]:
        return {**self.aside, **{k: v.copy() for k, v in self.stepper.state().items()}}

    def _checkpoint(self, epoch: int, steps_done: int, watch: Watch) -> Checkpoint:
        state = {**self.aside, **self.stepper.state()}
        best = (watch.best_epoch, watch.best) if watch.best is not None else None
        sums = self.tally.as_json() if steps_done else {}
        kept: dict[str, Any] = {"on": watch.on, "best_train": dict(self.best_train)}
        if self.plateau is not None:
            kept["plateau"] = self.plateau.as_json()
        return Checkpoint(state, epoch, steps_done, sums, best, kept)

    def _restore(self, watch: Watch) -> int | None:
        """With restore=best, go back to the best epoch's weights; its number."""
        if watch.stop is None or watch.stop.restore != "best" or self.interrupted:
            return None
        best = self.best or self.keeper.load("best")
        if best is None or watch.best is None:
            return None
        self.stepper.load({k: v for k, v in best.state.items() if k not in self.aside})
        return watch.best_epoch

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C ends the training after the step in flight, with a checkpoint; the
        second one ends at once.
        """

        def note(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
