"""Watches figures between epochs: which epoch was best, when to stop, when to lower the rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.language.training import NothingToWatch
from deepdsl.language.analysis.model import Training
from deepdsl.language.sections.train_options import Stop
from deepdsl.nn.schedules import Plateau
from deepdsl.training.metric_sums import Figures, scalars
from deepdsl.training.progress import TrainingProgress
from deepdsl.transfer.weights.checkpoint import Checkpoint


@dataclass
class BestTracker:
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


@dataclass
class PlateauTracker:
    """Watches one number for the schedule `plateau`; `lr` is the optimizer's rate.

    `waited` epochs went by without improvement; `resting` more are not counted.
    """

    schedule: Plateau
    lower: bool
    lr: float
    best: float | None = None
    waited: int = 0
    resting: int = 0

    def after(self, value: float, factor: float) -> float:
        """What the rate is multiplied with after an epoch with such a value; before, `factor`."""
        resting, self.resting = self.resting, max(0, self.resting - 1)
        if self._better(value):
            self.best, self.waited = value, 0
            return factor
        if resting:
            return factor
        self.waited += 1
        lowest = self.schedule.min_lr / self.lr
        if self.waited < self.schedule.patience or factor <= lowest:
            return factor
        self.waited, self.resting = 0, self.schedule.cooldown
        return max(factor * self.schedule.factor, lowest)

    def _better(self, value: float) -> bool:
        if self.best is None:
            return value == value
        gain = self.best - value if self.lower else value - self.best
        return gain > self.schedule.min_delta

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best": self.best, "waited": self.waited, "resting": self.resting}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on where a checkpoint was taken."""
        self.best = kept.get("best", self.best)
        self.waited, self.resting = int(kept.get("waited", 0)), int(kept.get("resting", 0))


def best_tracker(training: Training, validated: bool, start: Checkpoint | None) -> BestTracker:
    """The watch of a training, as a checkpoint left it.

    Where the checkpoint was watching another figure, what was best of that says nothing.
    """
    stop = training.stop
    on = stop.on if stop else "valid.loss" if validated else "train.loss"
    watch = BestTracker(on, training.best_of(on) == "min", stop)
    if start is not None and start.best is not None and TrainingProgress.of(start).on in ("", on):
        watch.best_epoch, watch.best = start.best
    return watch


def plateau_tracker(training: Training, start: Checkpoint | None) -> PlateauTracker | None:
    """The watch of the schedule `plateau`, as a checkpoint left it; None for other schedules."""
    schedule = training.schedule
    if not isinstance(schedule, Plateau):
        return None
    watch = PlateauTracker(schedule, training.best_of(schedule.on) == "min", training.optimizer.lr)
    if start is not None:
        watch.restore(TrainingProgress.of(start).plateau or {})
    return watch


def watched_value(on: str, train: Figures, valid: Figures) -> float:
    """The value of `valid.loss` and its like; NaN where it was not measured."""
    split, _, name = on.partition(".")
    return scalars(valid if split == "valid" else train).get(name, float("nan"))


def need_valid(training: Training, given: bool) -> None:
    """Raise DnnError where a row watches validation rows and none are given.

    Data that a file names was checked with the file; rows that a program hands over were not.
    """
    watching: dict[str, Stop | Plateau | None] = {"stop": training.stop}
    if isinstance(training.schedule, Plateau):
        watching["schedule"] = training.schedule
    for name, row in watching.items():
        if given or row is None or not row.on.startswith("valid."):
            continue
        advice = f"give validation rows, or watch `train.{row.on.partition('.')[2]}`"
        what = "plateau" if name == "schedule" else name
        told = (row.on, "there are no validation rows", advice, what)
        raise DnnError([NothingToWatch(training.spans.get(name), *told)])
