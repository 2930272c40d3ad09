"""What a run was made to do: every setting, the defaults among them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from typing import Any

from deepdsl.core.registry import Registered
from deepdsl.data.spec import DataSpec
from deepdsl.language.analysis import Training

# Fields of these records that are no settings.
_ASIDE = {"model", "data", "span", "spans", "name", "ready"}
# What a training in phases is made of; the phases are told one by one.
_OF_A_PHASE = ("optimizer", "schedule", "clip", "stop")
_PHASES = {"freezing", "phases", "phase", "begins", "ends", "clock", "births"}


def plan_rows(training: Training, data: DataSpec) -> list[list[str]]:
    """Rows of setting, value, and its options with their values."""
    # What each phase has of its own is told with the phase.
    own = {*_OF_A_PHASE, "epochs"} if any(stage.phase for stage in training.stages) else set()
    rows = [*_rows(data, "data: "), *_rows(training, "", own)]
    for stage in training.stages:
        rows += _stage(stage)
    return rows


def _stage(stage: Training) -> Iterator[list[str]]:
    """What holds in a phase alone."""
    name = f"{stage.phase}: " if stage.phase else ""
    if stage.phase and not stage.begins:
        for field in ("epochs", *_OF_A_PHASE):
            yield [f"{name}{field}", *_told(getattr(stage, field))]
    since = f"from epoch {stage.begins + 1} of it" if stage.begins else ""
    for pattern, tensors in stage.freezing.told.items():
        yield [f"{name}frozen", pattern, f"{len(tensors)} tensors {since}".strip()]
    for rate in sorted(set(stage.freezing.rates.values())):
        slow = [t for t, r in stage.freezing.rates.items() if r == rate]
        yield [f"{name}lr mult", f"{rate:g}", ", ".join(slow[:3]) + ", …" * (len(slow) > 3)]


def _rows(record: Any, prefix: str, aside: Collection[str] = ()) -> Iterator[list[str]]:
    for field in fields(record):
        if field.name in _ASIDE | _PHASES or field.name in aside:
            continue
        value = getattr(record, field.name)
        several = value if isinstance(value, tuple) else (value,)
        for each in several:
            yield [f"{prefix}{field.name.replace('_', ' ')}", *_told(getattr(each, "row", each))]


def _told(value: Any) -> Sequence[str]:
    if value is None:
        return "none", ""
    if not isinstance(value, Registered):
        return str(value), ""
    told = [
        s.shown(v) if s.positional else f"{s.name}={s.shown(v)}"
        for s in value.signature()
        if (v := getattr(value, s.name)) is not None
    ]
    return value.name, " ".join(told)
