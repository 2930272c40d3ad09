"""Metrics of the order that scores put rows in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepdsl.core.record import record
from deepdsl.graph import Builder, Value
from deepdsl.graph.reshaping import Reshape
from deepdsl.nn.losses import Target
from deepdsl.nn.metrics.base import Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray


@record
class Auc(Metric):
    """`auc`: the probability that a random positive row scores above a random negative one (ties
    count half).

    The area under the ROC curve, exact: the Mann-Whitney statistic over the whole data set, not a
    grid of thresholds.  Several outputs make one figure: the mean of each output's own area.  An
    output whose rows are all positive or all negative has none and does not count; where no output
    has one, the figure is nan.  The same as scikit-learn's roc_auc_score (average=macro), and as
    Keras's AUC(multi_label=True) up to its thresholds; Keras's default pools all outputs.
    """

    source = "Hanley & McNeil 1982, The Meaning and Use of the Area under a ROC Curve"
    targets = ("binary", "margin")
    collects = True

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        rows, *features = output.type.shape
        outputs = output.type.with_shape(features).count or 1
        return b.add(Reshape((rows,) if outputs == 1 else (rows, outputs)), output)

    def value_of_scores(self, scores: NDArray[Any], targets: NDArray[Any]) -> float:
        import numpy as np

        columns = zip(
            scores.reshape(len(scores), -1).T,
            targets.reshape(len(targets), -1).T > 0.5,
            strict=True,
        )
        areas = [_area(own, positive) for own, positive in columns]
        known = [area for area in areas if area == area]
        return float(np.mean(known)) if known else float("nan")

    @property
    def finish(self) -> str:
        return "auc"


def _area(scores: NDArray[Any], positive: NDArray[Any]) -> float:
    """The area of one output; NaN where all rows are of one class."""
    import numpy as np

    ones = int(positive.sum())
    zeros = len(scores) - ones
    if not ones or not zeros:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # The mean rank of a group of equal scores, counted from 1.
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[place][positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))
