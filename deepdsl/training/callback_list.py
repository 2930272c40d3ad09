"""Several listeners of one training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deepdsl.language.analysis import Training
from deepdsl.training.callbacks import Arrays, Callback, Epoch
from deepdsl.training.metric_sums import MetricAccumulator


class CallbackList:
    """Tells each listener, in order."""

    def __init__(self, *listeners: Callback) -> None:
        self.listeners = listeners

    def stage_begins(self, training: Training, notes: Sequence[str]) -> None:
        for listener in self.listeners:
            listener.stage_begins(training, notes)

    def epoch_begins(self, epoch: int, rows: int, done: int) -> None:
        for listener in self.listeners:
            listener.epoch_begins(epoch, rows, done)

    def step_done(self, rows: int, tally: MetricAccumulator, seen: int, lr: float) -> None:
        for listener in self.listeners:
            listener.step_done(rows, tally, seen, lr)

    def epoch_done(self, record: Epoch) -> None:
        for listener in self.listeners:
            listener.epoch_done(record)

    def epoch_state(self, record: Epoch, state: Callable[[], Arrays]) -> None:
        for listener in self.listeners:
            listener.epoch_state(record, state)
