"""Rates by a table of times."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, Pairs, argument
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Less, Where
from deepdsl.nn.schedules.base import ROUNDING, Clock, Schedule, per, warmup


@record
class Piecewise(Schedule):
    """`piecewise 0:0.1 80:0.01 120:0.001`: from each time on, the rate beside it.

    Times are epochs, or steps with per=step.  Before the first time the rate is the optimizer's
    own.  After a warm-up, times are counted from its end.
    """

    steps: tuple[tuple[float, float], ...] = argument(
        Pairs(Number(minimum=0), Number(minimum=0)), "time:rate", many=True
    )
    per: str = per()
    warmup: float = warmup()

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        out = b.constant(lr, "f64")
        for start, rate in sorted(self.steps):
            before = b.add(Less(), clock.time, b.constant(start - ROUNDING, "f64"))
            out = b.add(Where(), before, out, b.constant(rate, "f64"))
        return out
