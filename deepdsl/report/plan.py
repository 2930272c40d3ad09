"""What a run was made to do: every setting, the defaults among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from deepdsl.analysis import Training
from deepdsl.data.request import DataSpec
from deepdsl.record import fields_of
from deepdsl.registry import Registered

# Fields of these records that are no settings.
_ASIDE = {"model", "data", "span", "spans", "name"}


def plan_rows(training: Training, data: DataSpec) -> list[list[str]]:
    """Rows of setting, value, and its options with their values."""
    return [*_rows(data, "data: "), *_rows(training, "")]


def _rows(record: Any, prefix: str) -> Iterator[list[str]]:
    for field in fields_of(record):
        if field.name in _ASIDE:
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
