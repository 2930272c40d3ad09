"""What a training tells while it goes and when it is over, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from deepdsl.compiler.job import Job
from deepdsl.core.record import record
from deepdsl.language.analysis import Training
from deepdsl.training.metric_sums import Figures, MetricAccumulator
from deepdsl.training.stages import Proof
from deepdsl.transfer.weights.checkpoint import Checkpoint

Arrays = Mapping[str, NDArray[Any]]


class Callback(Protocol):
    """Who is told how a training goes."""

    def stage_begins(self, training: Training, notes: Sequence[str]) -> None:
        """A stage of a training with several, or with frozen layers: what holds in it, in words."""
        ...

    def epoch_begins(self, epoch: int, rows: int, done: int) -> None: ...

    def step_done(self, rows: int, tally: MetricAccumulator, seen: int, lr: float) -> None: ...

    def epoch_done(self, record: Epoch) -> None: ...

    def epoch_state(self, record: Epoch, state: Callable[[], Arrays]) -> None:
        """After `epoch_done`: `state` gives the state as it is, valid until the next step."""
        ...


class NullCallback:
    """A listener that says nothing."""

    def stage_begins(self, training: Training, notes: Sequence[str]) -> None: ...

    def epoch_begins(self, epoch: int, rows: int, done: int) -> None: ...

    def step_done(self, rows: int, tally: MetricAccumulator, seen: int, lr: float) -> None: ...

    def epoch_done(self, record: Epoch) -> None: ...

    def epoch_state(self, record: Epoch, state: Callable[[], Arrays]) -> None: ...


class Observer(Protocol):
    """Who looks at a step now and then, with the state before and after it."""

    def enter(self, training: Training) -> None:
        """A stage begins, in which this holds."""
        ...

    def due(self, step: int) -> bool: ...

    def observe(
        self, epoch: int, step: int, before: Arrays, after: Arrays, batch: Arrays
    ) -> None: ...


class CheckpointWriter(Protocol):
    """Who keeps checkpoints and logs: a run directory, or memory."""

    def save(self, name: str, checkpoint: Checkpoint) -> None: ...

    def load(self, name: str) -> Checkpoint | None: ...

    def log(self, record: Epoch) -> None: ...


@record
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
    phase: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "epoch": self.number,
            **({"phase": self.phase} if self.phase else {}),
            "step": self.step,
            "lr": self.lr,
            "train": dict(self.train),
            "valid": dict(self.valid),
            "wall_s": round(self.seconds, 4),
            "rows_per_s": round(self.rows_per_s, 1),
            "data_wait_s": round(self.data_wait, 4),
            "best": self.best,
        }


@record
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
    proofs: tuple[Proof, ...] = ()


class NonFiniteError(Exception):
    """A result was not finite.  Carries what is needed to find the first bad tensor: the job that
    was trained, which is a stage's own, the state before the step and its batch.
    """

    def __init__(self, job: Job, before: Arrays, batch: Arrays, epoch: int, step: int) -> None:
        super().__init__(f"not finite in step {step}")
        self.job = job
        self.before = {k: v.copy() for k, v in before.items()}
        self.batch = {k: v.copy() for k, v in batch.items()}
        self.epoch, self.step = epoch, step
