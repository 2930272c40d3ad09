"""Adds the loss and the metrics up over batches, and makes figures of the sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.metrics import Metric

Arrays = Mapping[str, NDArray[Any]]


class Tally:
    """What a pass over some rows has come to so far.

    `sums` are the running sums of the loss and of every metric that is one, which a checkpoint
    keeps; scores that are collected are not part of a checkpoint, so a pass that is taken up in its
    middle (`begun`) goes without these metrics.
    """

    def __init__(self, metrics: Sequence[Metric], sums: Mapping[str, float] | None = None) -> None:
        self.metrics = metrics
        begun = bool(sums)
        names = ["loss", *(m.name for m in metrics if not m.collects)]
        self.sums = {name: float((sums or {}).get(name, 0.0)) for name in names}
        self.scores: dict[str, list[NDArray[Any]]] = {
            m.name: [] for m in metrics if m.collects and not begun
        }
        self.targets: list[NDArray[Any]] = []

    @property
    def wants_targets(self) -> bool:
        return bool(self.scores)

    def add(self, made: Arrays, rows: int, target: NDArray[Any] | None = None) -> None:
        """Add what a step or an evaluation gave for a batch of so many rows.

        The loss is a mean over the batch, a metric a sum over its rows.
        """
        for name in self.sums:
            self.sums[name] += float(made[name]) * (rows if name == "loss" else 1)
        for name, kept in self.scores.items():
            kept.append(np.array(made[name]))
        if self.scores and target is not None:
            self.targets.append(target.copy())

    def running(self, rows: int) -> dict[str, float]:
        """The figures so far of what is a sum, over so many rows."""
        return {name: total / rows for name, total in self.sums.items()}

    def figures(self, rows: int) -> dict[str, float]:
        """The loss and each metric over all rows."""
        out = self.running(rows)
        for metric in self.metrics:
            if self.scores.get(metric.name):
                out[metric.name] = metric.value(
                    np.concatenate(self.scores[metric.name]), np.concatenate(self.targets)
                )
        names = ("loss", *(m.name for m in self.metrics))
        return {name: out[name] for name in names if name in out}
