"""Schedules that are one formula of the time."""

from __future__ import annotations

from math import log, pi

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Number, option
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Cos, Floor, Log, Pow, div, plus, scaled, sub
from deepdsl.nn.schedules.base import ROUNDING, Clock, Schedule, end, over, per, share_done, warmup


@record
class ConstantSchedule(Schedule, name="constant"):
    """`constant`: lr; the optimizer's rate throughout, the default.

    With warmup=5 it rises to it over the first 5 epochs, or steps with per=step.
    """

    warmup: float = warmup()
    per: str = per()

    @property
    def needs_epochs(self) -> bool:
        return self.warmup > 0 and super().needs_epochs

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        return b.constant(lr, "f64")


@record
class Exponential(Schedule):
    """`exponential factor=0.1 every=20`: lr * factor^(t / every), smoothly, every step a little.

    t counts epochs, in fractions, or steps with per=step.  `staircase=true` rounds t / every down.
    """

    factor: float = option(Number(above=0), "what the rate is multiplied with", 0.1)
    every: float = option(Number(above=0), "after how long", 10.0)
    per: str = per()
    staircase: bool = option(Boolean(), "in jumps", False)
    warmup: float = warmup()

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        exponent = div(b, clock.time, b.like(self.every, clock.time))
        if self.staircase:
            exponent = b.add(Floor(), plus(b, exponent, ROUNDING))
        return scaled(b, lr, b.add(Pow(), b.like(self.factor, clock.time), exponent))


@record
class Power(Schedule):
    """`power every=20`: lr / (1 + t / every)^exponent: fast at first, then ever more slowly.

    After `every` the rate is a half, after twice that a third, at exponent 1.  t counts epochs, in
    fractions, or steps with per=step.  Keras calls it InverseTimeDecay.
    """

    every: float = option(Number(above=0), "after how long the rate is halved", 10.0)
    exponent: float = option(Number(above=0), "the power of the divisor", 1.0)
    per: str = per()
    warmup: float = warmup()

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        divisor = plus(b, div(b, clock.time, b.like(self.every, clock.time)), 1.0)
        if self.exponent != 1:
            divisor = b.add(Pow(), divisor, b.like(self.exponent, divisor))
        return div(b, b.like(lr, divisor), divisor)


@record
class Polynomial(Schedule):
    """`polynomial power=2`: end + (lr - end) * (1 - t / over)^power.

    Without `over=` it falls over the whole training, after the warm-up; then it stays at the end.
    t counts epochs, in fractions, or steps with per=step.  Keras's end is 1e-4.
    """

    power: float = option(Number(above=0), "the power", 1.0)
    end: float = end()
    over: float | None = over()
    per: str = per()
    warmup: float = warmup()

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        left = sub(b, b.constant(1.0, "f64"), share_done(b, clock, self.over))
        if self.power != 1:
            left = b.add(Pow(), left, b.like(self.power, left))
        return plus(b, scaled(b, lr - self.end, left), self.end)


@record
class Linear(Schedule):
    """`linear`: lr + (end - lr) * t / over: a straight line down.

    Without `over=` it falls over the whole training, after the warm-up; then it stays at the end.
    t counts epochs, in fractions, or steps with per=step.  With `warmup=` it is what transformers
    are usually fine-tuned with.
    """

    end: float = end()
    over: float | None = over()
    per: str = per()
    warmup: float = warmup()

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        return plus(b, scaled(b, self.end - lr, share_done(b, clock, self.over)), lr)


@record
class Cosine(Schedule):
    """`cosine`: end + (lr - end) * (1 + cos(pi t / over)) / 2: slow, fast, slow.

    Without `over=` it falls over the whole training, after the warm-up; then it stays at the end.
    With restarts=true it begins again at lr whenever it is at the end (SGDR), and each cycle is
    `multiplier` times as long as the one before: `cosine over=10 restarts=true multiplier=2`.
    t counts epochs, in fractions, or steps with per=step.
    """

    source = "Loshchilov & Hutter 2017, arXiv:1608.03983"

    end: float = end()
    over: float | None = over()
    restarts: bool = option(Boolean(), "whether it begins again", False)
    multiplier: float = option(Number(minimum=1), "how the cycles grow", 1.0)
    per: str = per()
    warmup: float = warmup()

    def rate(self, b: Builder, lr: float, clock: Clock) -> Value:
        share = self._cycle(b, clock) if self.restarts else share_done(b, clock, self.over)
        wave = plus(b, b.add(Cos(), scaled(b, pi, share)), 1.0)
        return plus(b, scaled(b, (lr - self.end) / 2, wave), self.end)

    def _cycle(self, b: Builder, clock: Clock) -> Value:
        """How much of the present cycle has passed."""
        first = clock.length if self.over is None else self.over
        cycles = div(b, clock.time, b.constant(first, "f64"))
        more = self.multiplier
        if more == 1:
            return sub(b, cycles, b.add(Floor(), plus(b, cycles, ROUNDING)))
        # After n cycles (more^n - 1) / (more - 1) of the first one's length have passed.
        grown = b.add(Log(), plus(b, scaled(b, more - 1, cycles), 1.0))
        number = b.add(Floor(), plus(b, scaled(b, 1 / log(more), grown), ROUNDING))
        long = b.add(Pow(), b.constant(more, "f64"), number)
        begun = scaled(b, 1 / (more - 1), plus(b, long, -1.0))
        return div(b, sub(b, cycles, begun), long)
