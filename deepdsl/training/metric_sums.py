"""Adds the loss and the metrics up over batches, and makes figures of the sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.nn.metrics import Figure, Metric

Arrays = Mapping[str, NDArray[Any]]
Figures = Mapping[str, Figure]


class MetricAccumulator:
    """What a pass over some rows has come to so far.

    `sums` are the running sums of the loss and the running totals of every metric that has some,
    which a checkpoint keeps (`as_json`).  A pass that is taken up in its middle, `begun` with such
    sums, goes without the metrics that are not among them: the scores that are collected, and what
    the file did not ask for then.
    """

    def __init__(self, metrics: Sequence[Metric], begun: Mapping[str, Any] | None = None) -> None:
        self.metrics = metrics
        adding = ["loss", *(m.name for m in metrics if not m.collects)]
        self.sums: dict[str, Any] = (
            {name: _totals(np.asarray(begun[name])) for name in adding if name in begun}
            if begun
            else dict.fromkeys(adding, 0.0)
        )
        self.scores: dict[str, list[NDArray[Any]]] = {
            m.name: [] for m in metrics if m.collects and not begun
        }
        self.targets: list[NDArray[Any]] = []

    @property
    def wants_targets(self) -> bool:
        return bool(self.scores)

    def add(self, made: Arrays, rows: int, target: NDArray[Any] | None = None) -> None:
        """Add what a step or an evaluation gave for a batch of this many rows.

        The loss is a mean over the batch, the totals of a metric are sums over its rows.
        """
        for name in self.sums:
            self.sums[name] += _totals(made[name]) * (rows if name == "loss" else 1)
        for name, kept in self.scores.items():
            kept.append(np.array(made[name]))
        if self.scores and target is not None:
            self.targets.append(target.copy())

    def as_json(self) -> dict[str, Any]:
        """The sums as numbers and lists of numbers."""
        return {name: np.asarray(total).tolist() for name, total in self.sums.items()}

    def running(self, rows: int) -> dict[str, Figure]:
        """The figures so far of what adds up to a number, over this many rows."""
        scalar = {"loss", *(m.name for m in self.metrics if m.scalar)}
        return {name: figure for name, figure in self._added(rows).items() if name in scalar}

    def figures(self, rows: int) -> dict[str, Figure]:
        """The loss and each metric over all rows."""
        out = self._added(rows)
        for metric in self.metrics:
            if self.scores.get(metric.name):
                out[metric.name] = metric.value_of_scores(
                    np.concatenate(self.scores[metric.name]), np.concatenate(self.targets)
                )
        names = ("loss", *(m.name for m in self.metrics))
        return {name: out[name] for name in names if name in out}

    def _added(self, rows: int) -> dict[str, Figure]:
        out: dict[str, Figure] = {"loss": self.sums["loss"] / rows}
        for metric in self.metrics:
            if metric.name in self.sums:
                out[metric.name] = metric.value(self.sums[metric.name], rows)
        return out


def _totals(made: NDArray[Any]) -> Any:
    """In float64, a single number as Python's own: adding those up is quick."""
    return made.astype(np.float64) if made.ndim else float(made)


def scalars(figures: Figures) -> dict[str, float]:
    """The figures that are one number."""
    return {name: value for name, value in figures.items() if not isinstance(value, list)}
