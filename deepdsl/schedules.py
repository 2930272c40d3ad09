"""Learning-rate schedules: functions of the step counter, inside the graph, so that any host trains
with them.
"""

from __future__ import annotations

from deepdsl.ir import Builder, Value
from deepdsl.ops.arithmetic import Floor, Less, Pow, Where, div, scaled
from deepdsl.record import record
from deepdsl.registry import Boolean, Choice, Number, Pairs, Registered, argument, option

PER = Choice(("epoch", "step"))


@record
class Schedule(Registered, kind="schedule"):
    """Base of schedules.  Lengths are in epochs, or with `per=step` in steps."""

    @property
    def needs_epochs(self) -> bool:
        """Whether the schedule must know how many steps an epoch has."""
        return getattr(self, "per", "step") == "epoch"

    def rate(self, b: Builder, lr: float, time: Value) -> Value:
        """The rate as a float64 scalar; `time` is what has passed in epochs or steps, a float64
        scalar from 0.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rate")


@record
class Constant(Schedule):
    """`constant`: the optimizer's rate throughout; the default."""

    def rate(self, b: Builder, lr: float, time: Value) -> Value:
        return b.constant(lr, "f64")


@record
class Exponential(Schedule):
    """`exponential factor=0.1 every=20`: lr * factor^(t / every), smoothly, every step a little.

    t counts epochs, in fractions, or steps with per=step.  `staircase=true` rounds t / every down.
    """

    factor: float = option(Number(above=0), "what the rate is multiplied with", 0.1)
    every: float = option(Number(above=0), "after how long", 10.0)
    per: str = option(PER, "what the time counts", "epoch")
    staircase: bool = option(Boolean(), "in jumps", False)

    def rate(self, b: Builder, lr: float, time: Value) -> Value:
        exponent = div(b, time, b.like(self.every, time))
        if self.staircase:
            exponent = b.add(Floor(), exponent)
        return scaled(b, lr, b.add(Pow(), b.like(self.factor, time), exponent))


@record
class Piecewise(Schedule):
    """`piecewise 0:0.1 80:0.01 120:0.001`: from each time on, the rate beside it.

    Times are epochs, or steps with per=step.  Before the first time the rate is the optimizer's
    own.
    """

    steps: tuple[tuple[float, float], ...] = argument(
        Pairs(Number(minimum=0), Number(minimum=0)), "time:rate", many=True
    )
    per: str = option(PER, "what the time counts", "epoch")

    def rate(self, b: Builder, lr: float, time: Value) -> Value:
        out = b.constant(lr, "f64")
        for start, rate in sorted(self.steps):
            before = b.add(Less(), time, b.constant(start, "f64"))
            out = b.add(Where(), before, out, b.constant(rate, "f64"))
        return out
