"""One cycle up and down over the whole training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Less, Minimum, Where, plus, scaled
from deepdsl.nn.schedules.base import Clock, Schedule

# The momentum where the rate is low, and where it is at its maximum.
HIGH, LOW = 0.95, 0.85

Corners = Sequence[tuple[int, float]]


@record
class OneCycle(Schedule):
    """`one_cycle max=0.1`: linearly max / 10 -> max -> max / 10, then down to max / 10,000.

    It runs over the whole training, N steps: the last part has N / 10 + 1 steps, what is before it
    is halved.  Without `max=` the maximum is the optimizer's rate; `dnnc lr-find` finds one.
    High rates in the middle regularize, so that far fewer epochs are needed.

    The momentum of sgd or rmsprop, where it has one, goes 0.95 -> 0.85 -> 0.95 meanwhile, whatever
    is written there; of other optimizers the rate alone is moved.  PyTorch's OneCycleLR begins at
    max / 25, is at the maximum after 30 % of the steps, falls as a cosine, and moves beta_1 of Adam
    too.
    """

    source = "Smith & Topin 2018, arXiv:1708.07120; Smith 2018, arXiv:1803.09820"

    max: float | None = option(Number(above=0), "the highest rate; the optimizer's", None)

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        top = lr if self.max is None else self.max
        low = top / 10
        half, whole = _corners(clock)
        corners = ((0, low), (half, top), (2 * half, low), (whole, low / 1000))
        return through(b, clock.time, corners)

    def momentum(self, b: Builder, clock: Clock) -> Value:
        half, whole = _corners(clock)
        corners = ((0, HIGH), (half, LOW), (2 * half, HIGH), (whole, HIGH))
        return through(b, clock.time, corners)


def _corners(clock: Clock) -> tuple[int, int]:
    """The step of the maximum, and that of the end."""
    whole = max(1, int(clock.length))
    return (whole - (whole // 10 + 1)) // 2, whole


def through(b: Builder, time: Value, corners: Corners) -> Value:
    """The value at a time on straight lines through the corners; after the last, its value."""
    end = corners[-1][0]
    time = b.add(Minimum(), time, b.constant(float(end), "f64"))
    out: Value | None = None
    pairs = [(p, q) for p, q in pairwise(corners) if p[0] < q[0]]
    for (start, low), (stop, high) in reversed(pairs):
        slope = (high - low) / (stop - start)
        flat = low == high
        line = b.constant(low, "f64") if flat else _line(b, time, start, low, slope)
        if out is not None:
            line = b.add(Where(), b.add(Less(), time, b.constant(float(stop), "f64")), line, out)
        out = line
    assert out is not None
    return out


def _line(b: Builder, time: Value, start: int, low: float, slope: float) -> Value:
    return plus(b, scaled(b, slope, plus(b, time, -float(start))), low)
