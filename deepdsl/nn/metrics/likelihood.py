"""Metrics of the probability that is given to what happened."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from deepdsl.core.record import record
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import Neg, mul
from deepdsl.graph.reshaping import ReduceSum, sum_all
from deepdsl.nn.layers.activations.base import LogSoftmax
from deepdsl.nn.losses import Target
from deepdsl.nn.losses.classes import as_rows
from deepdsl.nn.metrics.base import Metric, row_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@record
class Perplexity(Metric):
    """`perplexity`: exp of the mean of -log p, p being the probability given to the right class.

    Of how many equally probable classes a model that does as well would have to choose: 1 is
    certainty, the number of classes is knowing nothing.  The mean is over all rows and, for
    sequences, all positions.  It is exp of the loss, where that is cross_entropy without smoothing;
    of characters its logarithm to base 2 is called bits per character.
    """

    source = "Jelinek et al. 1977, Perplexity: a measure of the difficulty of speech recognition"
    targets = ("index", "one_hot")
    best = "min"

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        # `output` are the values before the softmax; of logarithms the softmax is the same.
        log = b.add(LogSoftmax(), output)
        each = mul(b, log, as_rows(b, output, target))
        rows = b.add(ReduceSum((output.type.rank - 1,)), each)
        return b.add(Neg(), sum_all(b, row_mean(b, rows)))

    def value(self, totals: NDArray[np.float64], rows: int) -> float:
        try:
            return math.exp(float(totals) / rows)
        except OverflowError:
            return math.inf

    @property
    def finish(self) -> str:
        return "exp"
