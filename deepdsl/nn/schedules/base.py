"""What a schedule is: a rate as a function of time, with a linear warm-up before it."""

from __future__ import annotations

from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Number, OneOf, Registered, option
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Maximum, Minimum, div, mul, plus

# How far a time may be off by rounding: 3.3 epochs over 1.1 epochs come out as 2.9999999999999996,
# and a jump would fall a step late.
ROUNDING = 1e-9


def per() -> Any:
    return option(OneOf(("epoch", "step")), "what the time counts", "epoch")


def warmup() -> Any:
    return option(Number(minimum=0), "how long the rate rises first", 0.0)


def over() -> Any:
    return option(Number(above=0), "how long it falls; without it, the whole training", None)


def end() -> Any:
    return option(Number(minimum=0), "the rate at the end", 0.0)


@record
class Clock:
    """What has passed, a float64 scalar from 0, how long one step is, and the whole training.

    All are in epochs, or all in steps.  Steps are updates of the weights: with `accumulate` several
    batches make one.
    """

    time: Value
    step: float
    length: float


@record
class Schedule(Registered, kind="schedule"):
    """Base of schedules.  Lengths are in epochs, or with `per=step` in steps."""

    @property
    def needs_epochs(self) -> bool:
        """Whether the schedule must know how many steps an epoch has."""
        return getattr(self, "per", "step") == "epoch"

    def at(self, b: Builder, lr: float, clock: Clock) -> Value:
        """The rate as a float64 scalar: `rate`, whose time begins when the warm-up is over."""
        rising: float = getattr(self, "warmup", 0.0)
        if not rising:
            return self.rate(b, lr, clock)
        time = b.add(Maximum(), plus(b, clock.time, -rising), b.constant(0.0, "f64"))
        own = Clock(time, clock.step, max(clock.length - rising, clock.step))
        rate = self.rate(b, lr, own)
        share = div(b, plus(b, clock.time, clock.step), b.constant(rising, "f64"))
        return mul(b, rate, b.add(Minimum(), share, b.constant(1.0, "f64")))

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        """The rate after the warm-up, a float64 scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no rate")

    def momentum(self, b: Builder, clock: Clock) -> Value | None:
        """The momentum, a float64 scalar, where the schedule moves it."""
        return None


def share_done(b: Builder, clock: Clock, length: float | None) -> Value:
    """How much of a length has passed, from 0 to 1; None is the whole training."""
    whole = b.constant(clock.length if length is None else length, "f64")
    return b.add(Minimum(), div(b, clock.time, whole), b.constant(1.0, "f64"))
