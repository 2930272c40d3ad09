"""Metrics of the order that scores put rows in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepdsl.ir import Builder, Value
from deepdsl.losses import Target
from deepdsl.metrics.base import Metric, row_mean
from deepdsl.record import record

if TYPE_CHECKING:
    from numpy.typing import NDArray


@record
class Auc(Metric):
    """`auc`: the probability that a random positive row scores above a random negative one (ties
    count half).

    The area under the ROC curve, exact: the Mann-Whitney statistic over the whole data set, not a
    grid of thresholds.
    """

    source = "Hanley & McNeil 1982, The Meaning and Use of the Area under a ROC Curve"
    targets = ("binary", "margin")
    collects = True

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        return row_mean(b, output)

    def value_of_scores(self, scores: NDArray[Any], targets: NDArray[Any]) -> float:
        import numpy as np

        positive = targets.reshape(len(scores), -1).mean(axis=1) > 0.5
        ones = int(positive.sum())
        zeros = len(scores) - ones
        if not ones or not zeros:
            return float("nan")
        _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
        # The mean rank of a group of equal scores, counted from 1.
        ranks = np.cumsum(counts) - (counts - 1) / 2
        return float((ranks[place][positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))

    @property
    def finish(self) -> str:
        return "auc"
