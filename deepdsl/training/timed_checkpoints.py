"""Writes checkpoints now and then: each is three files flushed to the disk, so short epochs share
one.
"""

from __future__ import annotations

import time

from deepdsl.training.callbacks import CheckpointWriter
from deepdsl.transfer.weights.checkpoint import Checkpoint

SECONDS_BETWEEN_CHECKPOINTS = 5.0


class TimedCheckpoints:
    """The last and the best checkpoint of a training; `pending` is whether the last epoch is in
    none yet.
    """

    def __init__(self, writer: CheckpointWriter) -> None:
        self.writer = writer
        self.pending = False
        self._written_at = time.monotonic()
        self._best: Checkpoint | None = None
        self._best_unwritten = False

    def due(self) -> bool:
        return time.monotonic() - self._written_at >= SECONDS_BETWEEN_CHECKPOINTS

    def note_best(self, checkpoint: Checkpoint) -> None:
        """Keep the best state, which owns its tensors, until a checkpoint is written."""
        self._best, self._best_unwritten = checkpoint, True

    def forget_best(self) -> None:
        """A phase begins, in which nothing is best yet."""
        self._best = None

    def best(self) -> Checkpoint | None:
        """The best state; that of a resumed run is on the disk."""
        return self._best or self.writer.load("best")

    def write(self, last: Checkpoint) -> None:
        """Write the last checkpoint, and before it the best one if it is new."""
        if self._best is not None and self._best_unwritten:
            self.writer.save("best", self._best)
            self._best_unwritten = False
        self.writer.save("last", last)
        self._written_at, self.pending = time.monotonic(), False
