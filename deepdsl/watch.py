"""Watches figures between epochs: which epoch was best, when to stop."""

from __future__ import annotations

from dataclasses import dataclass

from deepdsl.rows import Stop


@dataclass
class Watch:
    """Watches one number: which epoch was best, and whether it has not become better for too long.

    Without a `stop` row the number is the validation loss, or the training loss where nothing is
    validated.
    """

    on: str
    lower: bool
    stop: Stop | None = None
    best: float | None = None
    best_epoch: int = 0

    def better(self, epoch: int, value: float) -> bool:
        """Note an epoch's value; whether it is the best so far.  NaN is never better."""
        gain = float("inf") if self.best is None else self.best - value
        gain = gain if self.lower or self.best is None else -gain
        least = self.stop.min_delta if self.stop else 0.0
        if value == value and gain > least:
            self.best, self.best_epoch = value, epoch
            return True
        return False

    def spent(self, epoch: int) -> bool:
        return self.stop is not None and epoch - self.best_epoch >= self.stop.patience
