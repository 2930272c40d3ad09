"""Metrics: what is reported beside the loss.

A metric is a sum over rows, so that batches of any size add up right; the few that are not (auc)
collect their scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from deepdsl.ir import Builder, Value
from deepdsl.losses import Target, TargetKind
from deepdsl.ops.activations import hits
from deepdsl.ops.arithmetic import Abs, Equal, Greater, cast, sub
from deepdsl.ops.reductions import ArgMax, ReduceMean, sum_all
from deepdsl.record import record
from deepdsl.registry import Registered

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@record
class Metric(Registered, kind="metric"):
    """Base of metrics.

    `targets` are the kinds of target it is defined for.  `best` says which way is better. A
    `collects` metric gives a score for each row instead of a sum, and `value` works on all of them.
    """

    targets: ClassVar[tuple[TargetKind, ...]] = ()
    best: ClassVar[str] = "max"
    collects: ClassVar[bool] = False

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        """The sum over the rows of a batch (a scalar), or for a collecting metric the scores, one a
        row.
        """
        raise NotImplementedError(f"{type(self).__name__} has no expand")

    def value(self, scores: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
        """The metric of a whole data set, for a collecting metric."""
        raise NotImplementedError(f"{type(self).__name__} is a sum")


@record
class Accuracy(Metric):
    """`accuracy`: the share of rows whose most probable class is the right one.

    For a sigmoid, the share of outputs on the right side of 1/2.
    """

    targets = ("index", "one_hot", "binary")

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        if kind.kind == "binary":
            half = b.like(0.5, output)
            right = b.add(
                Equal(),
                cast(b, b.add(Greater(), output, half), "f32"),
                cast(b, b.add(Greater(), target, half), "f32"),
            )
            return sum_all(b, _row_mean(b, hits(b, right)))
        axis = output.type.rank - 1
        truth = target if kind.kind == "index" else b.add(ArgMax(axis), target)
        right = b.add(Equal(), b.add(ArgMax(axis), output), truth)
        return sum_all(b, hits(b, right))


@record
class Mae(Metric):
    """`mae`: the mean absolute error, over rows and outputs."""

    targets = ("value", "binary")
    best = "min"

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        return sum_all(b, _row_mean(b, b.add(Abs(), sub(b, output, target))))


@record
class Auc(Metric):
    """`auc`: the probability that a random positive row scores above a random negative one (ties
    count half).

    The area under the ROC curve, exact: the Mann-Whitney statistic over the whole data set, not a
    grid of thresholds.
    """

    targets = ("binary",)
    collects = True

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        return _row_mean(b, output)

    def value(self, scores: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
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


def _row_mean(b: Builder, x: Value) -> Value:
    """The mean over all features of each row, as a vector over the batch."""
    axes: Sequence[int] = range(1, x.type.rank)
    return b.add(ReduceMean(tuple(axes)), x) if axes else x
