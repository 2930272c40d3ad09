"""The learning-rate range test: the rate grows with each batch, and the loss tells how far it may.

Leslie N. Smith 2015, Cyclical Learning Rates for Training Neural Networks, arXiv:1506.01186; with
a rate that is multiplied each batch, as in fastai and in Géron's Hands-On Machine Learning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.build import build
from deepdsl.compiler.job import Job
from deepdsl.core.record import record
from deepdsl.data.order import epoch_order
from deepdsl.data.table import View
from deepdsl.graph.backend import Backend, Stepper
from deepdsl.language.analysis import Training
from deepdsl.nn.schedules import Exponential
from deepdsl.training.stages import step_model

# One epoch's updates, but no fewer and no more than these.
FEWEST_STEPS, MOST_STEPS = 100, 1000
# The smoothed loss looks at about this share of the curve.
WINDOW = 1 / 20
# Divergence: the loss is this many times the best.
DIVERGED = 4.0
# A loss near 0 is many times another one by noise alone: this share of the whole way down counts
# as no less than the best.
LEAST_OF_THE_WAY = 0.1
# A curve that goes down less than this share of where it began says nothing.
LEAST_DESCENT = 0.05
# Nor does one that goes down by less than this many times its noise.
LEAST_OVER_NOISE = 2.0
FEWEST_POINTS = 10


@record
class Search:
    """The curve, and what it suggests; None where it suggests nothing, and `reason` says why.

    `steepest` is the rate where the smoothed loss falls fastest, `tenth` a tenth of the rate where
    it is lowest.  `diverged_at` is the rate at which the loss left all bounds, or was not finite.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    reason: str
    steepest: float | None = None
    tenth: float | None = None
    diverged_at: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "rates": list(self.rates),
            "losses": list(self.losses),
            "smoothed": list(self.smoothed),
            "suggestion": self.suggestion,
            "reason": self.reason,
            "steepest": self.steepest,
            "minimum_tenth": self.tenth,
            "diverged_at": self.diverged_at,
        }

    @property
    def ceiling(self) -> float:
        """A loss above this would flatten the rest of a picture."""
        bounds = [v for v in (*self.smoothed, *self.losses[:1]) if np.isfinite(v)]
        return 1.5 * max(bounds, default=float("inf"))


def steps_of(updates_per_epoch: int) -> int:
    """How many steps a search takes by default: an epoch's, within bounds."""
    return min(max(updates_per_epoch, FEWEST_STEPS), MOST_STEPS)


def find_rate(
    job: Job, backend: Backend, low: float = 1e-6, high: float = 10.0, steps: int | None = None
) -> Search:
    """Train from the initial weights while the rate grows from `low` to `high`, and read the curve.

    The optimizer is the training's own, with its own slots; its schedule is left aside.  Ends
    before `high` where the loss diverges.  Afterwards the stepper's state is bit for bit as it was.
    """
    updates = job.steps_per_epoch // job.task.training.accumulate
    steps = steps or steps_of(updates)
    training = _searching(job.task.training, low, high, steps)
    artifacts = build(replace(job, task=replace(job.task, training=training)))
    state = artifacts.step_state
    stepper = backend.stepper(step_model(artifacts.stages[0]), state)
    assert job.splits.train is not None
    try:
        rates, losses, diverged = _climb(stepper, job.splits.train, training, steps)
    finally:
        stepper.load(state)
    return read_curve(rates, losses, diverged)


def _searching(training: Training, low: float, high: float, steps: int) -> Training:
    """The training with a rate of low * factor^t, which reaches `high` in the last step."""
    factor = (high / low) ** (1 / max(1, steps - 1))
    return replace(
        training,
        phases=(),
        optimizer=replace(training.optimizer, lr=low),
        schedule=Exponential(factor=factor, every=1.0, per="step"),
    )


def _climb(
    stepper: Stepper, view: View, training: Training, steps: int
) -> tuple[list[float], list[float], bool]:
    """The rate and the loss of each update, up to one in which the loss has diverged, if it has.

    Where several batches make one update, their mean loss counts.
    """
    rates: list[float] = []
    losses: list[float] = []
    limit = _Limit(steps)
    batches = _batches(view, training)
    for _ in range(steps):
        group, healthy = [], True
        for epoch, positions in islice(batches, training.accumulate):
            view.read(positions, stepper.buffers(len(positions)), epoch)
            made = stepper.step(len(positions))
            group.append(float(made["loss"]))
            healthy = healthy and bool(made["all_finite"])
            rate = float(made["lr"])
        rates.append(rate)
        losses.append(sum(group) / len(group))
        if not healthy or limit.passed(losses[-1]):
            return rates, losses, True
    return rates, losses, False


def _batches(view: View, training: Training) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The batches of one epoch after the other, in the order of a training, with its number."""
    rows, batch = len(view), training.batch
    for epoch in count():
        order = epoch_order(training.seed, epoch, rows)
        for start in range(0, rows, batch):
            yield epoch, order[start : start + batch]


class _Limit:
    """The running mean of the loss, and whether it is far above the best one so far."""

    def __init__(self, steps: int) -> None:
        self.keep = _keep(steps)
        self.total, self.weight = 0.0, 0.0
        self.first, self.best = float("nan"), float("inf")

    def passed(self, loss: float) -> bool:
        if not np.isfinite(loss):
            return True
        self.total = self.keep * self.total + (1 - self.keep) * loss
        self.weight = self.keep * self.weight + (1 - self.keep)
        mean = self.total / self.weight
        if self.first != self.first:
            self.first = mean
        self.best = min(self.best, mean)
        return mean > _bound(self.first, self.best)


def _bound(first: float, best: float) -> float:
    """Where divergence begins: at four times the best, if that is not next to 0."""
    return best + (DIVERGED - 1) * max(abs(best), LEAST_OF_THE_WAY * (first - best))


def _keep(steps: int) -> float:
    return 1 - 1 / max(2.0, WINDOW * steps)


# Reading the curve --------------------------------------------------------------------------------


def read_curve(rates: Sequence[float], losses: Sequence[float], diverged: bool = False) -> Search:
    """What a curve suggests, which may have ended in divergence."""
    smoothed = _smooth(losses)
    ended = rates[-1] if diverged else None

    def nothing(reason: str) -> Search:
        told = (tuple(rates), tuple(losses), tuple(map(float, smoothed)))
        return Search(*told, None, reason, diverged_at=ended)

    finite = np.isfinite(losses)
    if not finite.any():
        return nothing("the loss was not finite in the first step, whatever the rate")
    if finite.sum() < FEWEST_POINTS and not diverged:
        return nothing(f"{len(rates)} steps cannot show a curve: take at least {FEWEST_POINTS}")
    if finite.sum() < FEWEST_POINTS:
        return nothing(
            f"the loss diverged after {finite.sum()} steps: begin with a smaller rate (--from)"
        )
    lowest = int(np.nanargmin(smoothed))
    fallen = smoothed[0] - smoothed[lowest]
    noise = _noise(np.asarray(losses)[finite])
    if fallen < max(LEAST_DESCENT * abs(smoothed[0]), LEAST_OVER_NOISE * noise):
        return nothing(
            "no usable curve: the loss goes down nowhere by more than it wavers; try more steps, "
            "a larger batch, or other bounds (--from, --to)"
        )
    slope = np.gradient(smoothed[: lowest + 1], np.log(rates[: lowest + 1]))
    steepest = _rounded(rates[int(np.argmin(slope))])
    tenth = _rounded(rates[lowest] / 10)
    rises = diverged or np.nanmax(smoothed[lowest:]) > smoothed[lowest] + fallen / 4
    if rises:
        suggestion = tenth
        reason = f"a tenth of the rate at which the smoothed loss is lowest ({rates[lowest]:.2g})"
    else:
        suggestion = steepest
        reason = "where the smoothed loss falls fastest; it still falls at the end: raise --to"
    told = (tuple(rates), tuple(losses), tuple(map(float, smoothed)))
    return Search(*told, suggestion, reason, steepest, tenth, ended)


def _smooth(losses: Sequence[float]) -> NDArray[np.float64]:
    """A mean with exponential weights over both sides of each point, so that it does not lag.

    What is not finite stays NaN; what is as far above the start as the minimum is below it counts
    as so far and no farther, or it would reach back over the minimum.
    """
    values = np.asarray(losses, np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(len(values), np.nan)
    kept = values[finite]
    start = float(np.median(kept[: max(1, round(WINDOW * len(kept)))]))
    kept = np.minimum(kept, start + max(start - float(kept.min()), abs(start) / 2))
    keep = _keep(len(kept))
    # Each pass has the weights' sum beside it: near the ends, fewer values count.
    ahead, behind = _pass(kept, keep), _pass(kept[::-1], keep)[:, ::-1]
    own = np.stack([kept, np.ones_like(kept)]) * (1 - keep)
    total, weight = ahead + behind - own
    out = np.full(len(values), np.nan)
    out[finite] = total / weight
    return out


def _pass(values: NDArray[np.float64], keep: float) -> NDArray[np.float64]:
    """Running sums with weights that fade: of the values, and of ones."""
    out = np.empty((2, len(values)))
    total = weight = 0.0
    for i, value in enumerate(values):
        total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        out[:, i] = total, weight
    return out


def _noise(values: NDArray[np.float64]) -> float:
    """The standard deviation of what wavers from step to step, by the median of the differences: a
    curve's own slope and a few wild steps at its end leave that alone.
    """
    # The difference of two normal numbers has the deviation √2 σ; half are within 0.6745 of that.
    return float(np.median(np.abs(np.diff(values)))) / (0.6745 * 2**0.5)


def _rounded(rate: float) -> float:
    """Two digits, as one would write it."""
    return float(f"{rate:.1e}")
