"""How fast the tensors of a step go: the schedule's rate, and what the optimizer makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deepdsl.graph import Builder, Param, Type, Value
from deepdsl.graph.arithmetic import Floor, Where, cast, div, scaled, sub
from deepdsl.graph.formula import Term, terms
from deepdsl.language.analysis.model import Training
from deepdsl.nn.initializers import ConstantInitializer, Initializer, Zeros
from deepdsl.nn.optimizers import Rates, Slot
from deepdsl.nn.schedules import Clock


def begun_path(stage: int) -> str:
    """The state that holds the number of steps that were done when a stage began.  The host sets it
    then; no step changes it.
    """
    return f"step.begun_{stage}"


def begin_of(slot: Slot) -> Initializer:
    """What a slot begins with."""
    return ConstantInitializer(slot.start) if slot.start else Zeros()


def slot_path(name: str, tensor: str) -> str:
    """The state that an optimizer keeps beside a tensor."""
    return f"optimizer.{name}.{tensor}"


def scalar_path(name: str, birth: int) -> str:
    """The state that an optimizer keeps once for all tensors whose state began with a stage."""
    return f"optimizer.{name}.since_{birth}" if birth else f"optimizer.{name}"


class Pace:
    """The rates of one step: `done` updates were made before, and this is number `after`, both in
    float64.  `due` is whether an update is made at all; None where each step makes one.
    """

    def __init__(
        self,
        b: Builder,
        training: Training,
        steps_per_epoch: int,
        done: Value,
        after: Value,
        due: Value | None,
    ) -> None:
        self.b, self.training, self.due = b, training, due
        self._done, self._after = done, after
        self._known: dict[tuple[int, float], Rates] = {}
        clock = self._clock(steps_per_epoch)
        self._rate = training.schedule.at(b, training.optimizer.lr, clock)
        moves = getattr(training.optimizer, "momentum", 0.0)
        moved = training.schedule.momentum(b, clock) if moves else None
        self._momentum = None if moved is None else cast(b, moved, "f32")

    @property
    def lr(self) -> Value:
        """The rate as it is told."""
        known = self._known.get((0, 1.0))
        return known.lr.value if known is not None else cast(self.b, self._rate, "f32")

    def of(self, birth: int, factor: float) -> Rates:
        """The rates of tensors whose optimizer state began with a stage, `factor` times as fast."""
        if (birth, factor) not in self._known:
            self._known[birth, factor] = self._made(birth, factor)
        return self._known[birth, factor]

    def _made(self, birth: int, factor: float) -> Rates:
        b, optimizer = self.b, self.training.optimizer
        rate = self._rate if factor == 1 else scaled(b, factor, self._rate)
        kept = {
            s.name: b.param(scalar_path(s.name, birth), Type((), "f64"), begin_of(s), "counter")
            for s in optimizer.scalars()
        }
        lr, updates = terms(b, rate, self._since(self._after, birth))
        rates = optimizer.rates(lr, updates, {name: Term(b, p) for name, p in kept.items()})
        for name, param in kept.items():
            new = rates.kept[name].value
            b.update(param, new if self.due is None else b.add(Where(), self.due, new, param))
        if self._momentum is None:
            return rates
        return replace(rates, momentum=Term(b, self._momentum))

    def _since(self, updates: Value, stage: int) -> Value:
        """How many of the updates came after the beginning of a stage."""
        if not stage:
            return updates
        b = self.b
        begun = cast(b, b.param(begun_path(stage), Type((), "i64"), Zeros(), "counter"), "f64")
        several = float(self.training.accumulate)
        if several > 1:
            # Divided, since n * (1 / n) may fall short of 1.
            begun = b.add(Floor(), div(b, begun, b.like(several, begun)))
        return sub(b, updates, begun)

    def _clock(self, steps_per_epoch: int) -> Clock:
        b, training = self.b, self.training
        batches = training.accumulate
        done = self._since(self._done, training.clock)
        if training.schedule.needs_epochs:
            # Divided, since n * (1 / n) may fall short of 1, and a jump would come a step late.
            passed = done if batches == 1 else scaled(b, float(batches), done)
            time = div(b, passed, b.like(float(steps_per_epoch), done))
            return Clock(time, batches / steps_per_epoch, float(training.epochs))
        whole = training.epochs * steps_per_epoch // batches
        return Clock(done, 1.0, float(max(1, whole)))


def alike(params: Sequence[Param], training: Training) -> dict[tuple[int, float], list[Param]]:
    """The parameters by the stage with which their optimizer state began, and by the factor of
    their rate.
    """
    groups: dict[tuple[int, float], list[Param]] = {}
    for param in params:
        key = (training.births.get(param.name, 0), training.freezing.rates.get(param.name, 1.0))
        groups.setdefault(key, []).append(param)
    return groups
