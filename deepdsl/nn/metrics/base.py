"""What a metric is: totals that add up over rows, and the figure they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from deepdsl.core.record import record
from deepdsl.core.registry import Registered
from deepdsl.graph import Builder, Value
from deepdsl.graph.reductions import ReduceMean
from deepdsl.nn.losses import Target, TargetKind

# What a metric comes to; a matrix as its rows.
Figure: TypeAlias = float | list[list[int]]

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@record
class Metric(Registered, kind="metric"):
    """Base of metrics.

    A metric gives totals, sums over rows of any fixed shape, so that batches of any size add up
    right; `value` makes the figure of the totals of all rows.  A `collects` metric gives scores for
    each row instead, and `value_of_scores` works on all of them.  `targets` are the kinds of
    target it is defined for.  `best` says which way is better; a metric that is not `scalar` has no
    better.
    """

    targets: ClassVar[tuple[TargetKind, ...]] = ()
    best: ClassVar[str] = "max"
    collects: ClassVar[bool] = False
    scalar: ClassVar[bool] = True

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        """The totals of a batch's rows, or for a collecting metric each row's scores."""
        raise NotImplementedError(f"{type(self).__name__} has no expand")

    def value(self, totals: NDArray[np.float64], rows: int) -> Figure:
        """The figure of the totals of this many rows."""
        return float(totals) / rows

    def value_of_scores(self, scores: NDArray[Any], targets: NDArray[Any]) -> float:
        """The metric of a whole data set, for a collecting metric."""
        raise NotImplementedError(f"{type(self).__name__} is a sum")

    @property
    def finish(self) -> str:
        """What another program has to do with the totals, in a word that the guide explains."""
        return "mean"


def row_mean(b: Builder, x: Value) -> Value:
    """The mean over all features of each row, as a vector over the batch."""
    axes: Sequence[int] = range(1, x.type.rank)
    return b.add(ReduceMean(tuple(axes)), x) if axes else x
