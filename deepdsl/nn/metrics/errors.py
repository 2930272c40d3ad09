"""Metrics of the distance between outputs and targets."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from deepdsl.core.record import record
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Abs, cast, square, sub
from deepdsl.graph.concatenation import Concatenate
from deepdsl.graph.reductions import SumOfSquares
from deepdsl.graph.reshaping import ReduceSum, Reshape, sum_all
from deepdsl.nn.losses import Target
from deepdsl.nn.metrics.base import Metric, row_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@record
class Mae(Metric):
    """`mae`: |output - target|, the mean over rows and outputs."""

    targets = ("value", "binary")
    best = "min"

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        return sum_all(b, row_mean(b, b.add(Abs(), sub(b, output, target))))


@record
class Mse(Metric):
    """`mse`: (output - target)^2, the mean over rows and outputs.

    Of a sigmoid's probabilities it is the Brier score.
    """

    targets = ("value", "binary")
    best = "min"

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        return sum_all(b, row_mean(b, square(b, sub(b, output, target))))


@record
class Rmse(Mse):
    """`rmse`: the square root of the mean of (output - target)^2 over rows and outputs.

    In the unit of the target.  The root is taken of the mean over all rows, not of each batch.
    """

    def value(self, totals: NDArray[np.float64], rows: int) -> float:
        return sqrt(float(totals) / rows)

    @property
    def finish(self) -> str:
        return "root of the mean"


# Below this share of the targets' squares, their spread is rounding: float64 leaves 1e-16 a term.
_ROUNDING = 2e-15


@record
class R2(Metric):
    """`r2`: 1 - sum((output - target)^2) / sum((target - mean target)^2), the mean over outputs.

    The share of the targets' variance that the model explains: 1 is perfect, 0 is as good as always
    answering the mean, and a worse model is below 0.  Where all targets of an output are equal it
    is 1 if they are met and 0 otherwise, as in scikit-learn's r2_score and Keras's R2Score.
    """

    source = "Wright 1921, Correlation and Causation"
    targets = ("value",)

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        # The spread is a difference of large sums where the mean is far from zero.  The square of
        # a float32 is exact in float64, so that only the adding up rounds.
        error, wanted = (cast(b, v, "f64") for v in (sub(b, output, target), target))
        columns = target.type.with_dtype("f64").with_shape(target.type.shape[1:])
        row = (1, columns.count or 1)
        sums = (
            b.add(SumOfSquares((0,)), error),
            b.add(ReduceSum((0,)), wanted),
            b.add(SumOfSquares((0,)), wanted),
        )
        return b.add(Concatenate(0), *(b.add(Reshape(row), s) for s in sums))

    def value(self, totals: NDArray[np.float64], rows: int) -> float:
        import numpy as np

        error, total, squares = totals
        spread = squares - total * total / rows
        flat = spread <= _ROUNDING * squares
        share = np.divide(error, spread, out=(error > 0).astype(np.float64), where=~flat)
        return float((1 - share).mean())

    @property
    def finish(self) -> str:
        return "r2"
