"""The runs of a sweep compared: means and deviations over seeds, and the best."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.sweep import NoSuchFigure
from deepdsl.language.analysis import CheckedProgram, Training
from deepdsl.language.overrides import Setting
from deepdsl.training.sweep.grid import Point, SweepAxis
from deepdsl.training.sweep.runs import SweepResult

SPLITS = ("valid", "test", "train")


def watched_figure(program: CheckedProgram, training: Training, on: str | None) -> str:
    """What the runs are compared by: `on`, or what the file's `stop` watches, or its first metric,
    on the validation rows where there are some.
    """
    data = program.datasets[training.data]
    has = {"valid": data.valid is not None, "test": data.test is not None, "train": True}
    names = training.scalar_names
    known = tuple(f"{split}.{name}" for split in SPLITS if has[split] for name in names)
    if on is None:
        stops = [stage.stop.on for stage in training.stages if stage.stop is not None]
        split = "valid" if has["valid"] else "train"
        return stops[-1] if stops else f"{split}.{(*names[1:], names[0])[0]}"
    if on not in known:
        split, _, name = on.partition(".")
        reason = ""
        if split in has and not has[split]:
            reason = f"the data section has no `{split}` row"
        elif name in training.metric_names:
            reason = "it is no single number"
        raise DnnError([NoSuchFigure(None, on, known, reason)])
    return on


@record
class SweepRow:
    """One combination of settings: its runs, one for each seed."""

    settings: tuple[Setting, ...]
    runs: tuple[SweepResult, ...]
    on: str

    @cached_property
    def values(self) -> list[float]:
        return [v for run in self.runs if (v := figure(run, self.on)) is not None]

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """The sample's standard deviation over the seeds; None for one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def failures(self) -> list[SweepResult]:
        return [run for run in self.runs if run.failed]

    @property
    def epochs(self) -> float | None:
        told = [run.figures["epochs"] for run in self.runs if run.figures]
        return statistics.fmean(told) if told else None

    @property
    def seconds(self) -> float:
        return sum(run.seconds for run in self.runs)


def figure(run: SweepResult, on: str) -> float | None:
    """A figure of a run, `valid.accuracy`; None where it has none that is a number."""
    split, _, name = on.partition(".")
    value = (run.figures or {}).get(split, {}).get(name)
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if is_number and value is not None else None


@record
class Comparison:
    """A sweep as far as it has come."""

    axes: Sequence[SweepAxis]
    on: str
    best_is: str  # `max` or `min`
    planned: Sequence[Point]
    made: Sequence[SweepResult]

    @property
    def complete(self) -> bool:
        return len(self.made) == len(self.planned)

    @cached_property
    def rows(self) -> list[SweepRow]:
        """The combinations in their order, of which something is known."""
        by_settings: dict[tuple[Setting, ...], list[SweepResult]] = {
            p.settings: [] for p in self.planned
        }
        order = {point: n for n, point in enumerate(self.planned)}
        for run in sorted(self.made, key=lambda run: order[run.point]):
            by_settings[run.point.settings].append(run)
        return [SweepRow(s, tuple(runs), self.on) for s, runs in by_settings.items() if runs]

    @cached_property
    def best(self) -> SweepRow | None:
        """The row with the best mean; those with a failure, or with runs to come, take no part."""
        seeds = len({point.seed for point in self.planned})
        full = [row for row in self.rows if len(row.values) == seeds]
        if not full:
            return None
        pick = max if self.best_is == "max" else min
        return pick(full, key=lambda row: row.mean if row.mean is not None else math.nan)

    # Shown ----------------------------------------------------------------------------------------

    def lines(self) -> list[list[str]]:
        """A table for a person, with its head; what is the same in all runs has no column."""
        shown = [n for n, axis in enumerate(self.axes) if len(axis.values) > 1]
        lines = [[*(self.axes[n].key for n in shown), self.on, "epochs", "seconds", ""]]
        for row in self.rows:
            settings = [row.settings[n].value for n in shown]
            epochs = "" if row.epochs is None else f"{row.epochs:.4g}"
            lines.append([*settings, _told(row), epochs, f"{row.seconds:.1f}", self._remark(row)])
        return lines

    def _remark(self, row: SweepRow) -> str:
        remarks = ["best"] if row is self.best else []
        seeds = len({point.seed for point in self.planned})
        if row.failures:
            first = row.failures[0]
            count = f"{len(row.failures)} of {seeds} failed: " if seeds > 1 else ""
            remarks.append(f"{count}{first.reason} ({first.code})")
        elif len(row.runs) < seeds:
            remarks.append(f"{len(row.runs)} of {seeds} seeds")
        return "; ".join(remarks)

    def as_json(self) -> dict[str, Any]:
        best = self.best
        return {
            "on": self.on,
            "best_is": self.best_is,
            "axes": [{"key": a.key, "values": list(a.values)} for a in self.axes],
            "complete": self.complete,
            "best": None if best is None else _row(best),
            "rows": [_row(row) for row in self.rows],
            "runs": [_run(run) for row in self.rows for run in row.runs],
        }

    def as_csv(self) -> str:
        """A line for each run: its settings, its seed, every figure that is a number."""
        runs = [run for row in self.rows for run in row.runs]
        figures = [_flat(run) for run in runs]
        names = list(dict.fromkeys(name for each in figures for name in each))
        out = io.StringIO()
        head = [*(a.key for a in self.axes), "seed", *names, "run", "failure"]
        # A failed run has none of the figures.
        writer = csv.DictWriter(out, head, "", lineterminator="\n")
        writer.writeheader()
        for run, flat in zip(runs, figures, strict=True):
            settings = {s.key: s.value for s in run.point.settings}
            told = {**settings, "seed": run.point.seed or "", **flat, "run": run.place.as_posix()}
            writer.writerow({**told, "failure": f"{run.code} {run.reason}".strip()})
        return out.getvalue()


def _told(row: SweepRow) -> str:
    if row.mean is None:
        return ""
    return f"{row.mean:.4f}" + (f" ± {row.std:.4f}" if row.std is not None else "")


def _row(row: SweepRow) -> dict[str, Any]:
    return {
        "settings": {s.key: s.value for s in row.settings},
        "mean": row.mean,
        "std": row.std,
        "runs": len(row.runs),
        "failed": len(row.failures),
        "epochs": row.epochs,
        "seconds": round(row.seconds, 3),
    }


def _run(run: SweepResult) -> dict[str, Any]:
    return {
        "settings": {s.key: s.value for s in run.point.settings},
        "seed": None if run.point.seed is None else int(run.point.seed),
        "run": run.place.as_posix(),
        "figures": run.figures,
        "failure": {"code": run.code, "message": run.reason} if run.failed else None,
    }


def _flat(run: SweepResult) -> dict[str, float]:
    """The figures of a run that are numbers, by `split.name`."""
    figures: Mapping[str, Any] = run.figures or {}
    flat = {k: figures[k] for k in ("epochs", "steps") if k in figures}
    for split in SPLITS:
        for name in figures.get(split) or {}:
            value = figure(run, f"{split}.{name}")
            if value is not None:
                flat[f"{split}.{name}"] = value
    return flat
