"""What a run has left after, read so that a damaged line or a missing figure does no harm."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepdsl.core.record import record as frozen

NAN = float("nan")
SPLITS = ("train", "valid")


@frozen
class History:
    """The records of log.jsonl by epoch; `damaged` are the numbers of lines that are no records,
    `repeated` is how many epochs were trained a second time after a resume.
    """

    records: tuple[Mapping[str, Any], ...]
    damaged: tuple[int, ...] = ()
    repeated: int = 0

    @property
    def epochs(self) -> list[int]:
        return [r["epoch"] for r in self.records]

    @property
    def names(self) -> list[str]:
        """The loss and each metric that is a number, in the order of the log."""
        found: dict[str, None] = {}
        for record in self.records:
            for split in SPLITS:
                figures = _mapping(record.get(split))
                found |= {k: None for k, v in figures.items() if not isinstance(v, list)}
        return list(found)

    def figures(self, at: int, split: str) -> Mapping[str, Any]:
        """What the record at a place says of a split."""
        return _mapping(self.records[at].get(split))

    def column(self, name: str, split: str | None = None) -> list[float]:
        """A figure over the epochs, NaN where it is not there."""
        rows = [_mapping(r.get(split)) if split else r for r in self.records]
        return [number(row.get(name)) for row in rows]

    @property
    def best(self) -> int | None:
        """The last epoch that was the best so far."""
        found = [r["epoch"] for r in self.records if r.get("best") is True]
        return found[-1] if found else None


def read_history(path: Path) -> History:
    """The log of a run directory; empty where there is none."""
    try:
        lines = (path / "log.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        return History(())
    records: dict[int, Mapping[str, Any]] = {}
    damaged, repeated = [], 0
    for at, line in enumerate(lines, 1):
        record = _record(line)
        if record is None:
            damaged.append(at)
            continue
        repeated += record["epoch"] in records
        # A run that was killed continues from its checkpoint: what counts is the later training.
        records[record["epoch"]] = record
    return History(tuple(records[e] for e in sorted(records)), tuple(damaged), repeated)


def read_probe(path: Path) -> list[Mapping[str, Any]]:
    """The records of probe.jsonl that have layers, in the order of their steps."""
    try:
        lines = (path / "probe.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = [r for line in lines if isinstance(r := _json(line), dict)]
    kept = [r for r in found if isinstance(r.get("layers"), list) and r["layers"]]
    return sorted(kept, key=lambda r: _order(number(r.get("step"))))


def _order(step: float) -> float:
    return step if math.isfinite(step) else -1.0


def _record(line: bytes) -> dict[str, Any] | None:
    found = _json(line)
    if not isinstance(found, dict) or type(found.get("epoch")) is not int:
        return None
    return found


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def number(value: Any) -> float:
    """A number of a log, NaN for anything else."""
    return float(value) if isinstance(value, int | float) else NAN


def figures_of(result: Any, split: str) -> Mapping[str, Any]:
    """What a manifest's result says of a split."""
    return _mapping(_mapping(result).get(split))


def matrix_of(history: Sequence[Mapping[str, Any]], split: str) -> list[list[float]] | None:
    """The last confusion matrix that a metric has put into the log."""
    for record in reversed(history):
        found = _mapping(record.get(split)).get("confusion_matrix")
        if isinstance(found, list) and all(isinstance(row, list) for row in found):
            return [[number(v) for v in row] for row in found]
    return None
