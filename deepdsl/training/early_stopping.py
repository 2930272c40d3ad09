"""Rules that watch figures between epochs: which epoch is the best, when to stop, when to lower the
learning rate.  What they count is in the TrainingState.
"""

from __future__ import annotations

from dataclasses import replace

from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.language.training import NothingToWatch
from deepdsl.language.analysis.model import Training
from deepdsl.language.sections.train_options import Stop
from deepdsl.nn.schedules import Plateau
from deepdsl.training.metric_sums import Figures, scalars
from deepdsl.training.training_state import Best, PlateauCounters


@record
class EarlyStopping:
    """Watches one number: which epoch is the best, and whether there was no improvement for too
    long since then, or since the watch began after `since` epochs.

    Without a `stop` row the number is the validation loss, or the training loss where nothing is
    validated.
    """

    on: str
    lower: bool
    stop: Stop | None = None
    since: int = 0

    def improves(self, best: Best | None, value: float) -> bool:
        """Whether a value is better than the best so far.  NaN is never better."""
        gain = float("inf") if best is None else best[1] - value
        gain = gain if self.lower or best is None else -gain
        least = self.stop.min_delta if self.stop else 0.0
        return value == value and gain > least

    def reason(self, epoch: int, best: Best | None) -> str:
        """Why the training stops after this many epochs; nothing where it does not."""
        waited = epoch - (best[0] if best else self.since)
        if self.stop is None or waited < self.stop.patience:
            return ""
        return f"{self.on} has not improved for {waited} epochs"

    @property
    def restores(self) -> bool:
        return self.stop is not None and self.stop.restore == "best"


@record
class PlateauRule:
    """Watches one number for the schedule `plateau`; `lr` is the optimizer's rate."""

    schedule: Plateau
    lower: bool
    lr: float

    def after(
        self, counters: PlateauCounters, value: float, factor: float
    ) -> tuple[PlateauCounters, float]:
        """The counters after an epoch with such a value, and what the rate is multiplied with;
        before, that was `factor`.
        """
        rested = replace(counters, resting=max(0, counters.resting - 1))
        if self._better(counters.best, value):
            return replace(rested, best=value, waited=0), factor
        if counters.resting:
            return rested, factor
        waited = replace(rested, waited=counters.waited + 1)
        lowest = self.schedule.min_lr / self.lr
        if waited.waited < self.schedule.patience or factor <= lowest:
            return waited, factor
        lowered = max(factor * self.schedule.factor, lowest)
        return replace(waited, waited=0, resting=self.schedule.cooldown), lowered

    def _better(self, best: float | None, value: float) -> bool:
        if best is None:
            return value == value
        gain = best - value if self.lower else value - best
        return gain > self.schedule.min_delta


def early_stopping(training: Training, validated: bool, since: int) -> EarlyStopping:
    """What a training watches, from an epoch on."""
    stop = training.stop
    on = stop.on if stop else "valid.loss" if validated else "train.loss"
    return EarlyStopping(on, training.best_of(on) == "min", stop, since)


def plateau_rule(training: Training) -> PlateauRule | None:
    """What the schedule `plateau` watches; None for other schedules."""
    schedule = training.schedule
    if not isinstance(schedule, Plateau):
        return None
    return PlateauRule(schedule, training.best_of(schedule.on) == "min", training.optimizer.lr)


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
