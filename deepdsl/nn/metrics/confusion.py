"""Metrics of counts: which classes are taken for which.

All of them read one table of counts, which a graph makes once however many are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepdsl.core.record import record
from deepdsl.core.registry import OneOf, option
from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import add, cast, scaled
from deepdsl.graph.gemm import Gemm
from deepdsl.graph.reductions import ArgMax
from deepdsl.graph.reshaping import ReduceSum, Reshape
from deepdsl.nn.losses import OneHot, Target
from deepdsl.nn.metrics.base import Figure, Metric
from deepdsl.nn.metrics.shares import is_yes, right_class, says_yes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.float64]


@record
class Counted(Metric, abstract=True):
    """Base of metrics that are made of counts [truth, prediction]: one table for classes, one table
    of no and yes for each output otherwise.
    """

    targets = ("index", "one_hot", "binary", "margin")

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        if kind.kind in ("binary", "margin"):
            return _count_answers(b, says_yes(b, output, kind), is_yes(b, target))
        classes = kind.classes
        assert classes is not None
        told = b.add(ArgMax(output.type.rank - 1), output)
        truth, prediction = (
            _in_rows(b, b.add(OneHot(classes), value))
            for value in (right_class(b, target, kind), told)
        )
        return b.add(Gemm(transpose_a=True), truth, prediction)


def _in_rows(b: Builder, x: Value) -> Value:
    """All but the last axis as one."""
    *rows, last = x.type.shape
    return x if len(rows) == 1 else b.add(Reshape(("*".join(map(str, rows)), last)), x)


def _count_answers(b: Builder, yes: Value, truth: Value) -> Value:
    """For each output a table [[no as no, no as yes], [yes as no, yes as yes]]."""
    # Which of the four places of the table a row counts in.
    place = add(b, scaled(b, 2.0, cast(b, truth, "f32")), cast(b, yes, "f32"))
    counts = b.add(ReduceSum((0,)), b.add(OneHot(4), cast(b, place, "i64")))
    return b.add(Reshape((max(1, (counts.type.count or 4) // 4), 2, 2)), counts)


@record
class ConfusionMatrix(Counted):
    """`confusion_matrix`: how many rows of each class (down) were taken for each class (across).

    The diagonal is what was right.  For a sigmoid, and for hinge, the classes are no and yes, and
    several outputs are counted together.  `dnnc eval` prints it with the names of the classes, and
    the logs have it as a list of lists; it is no single number, so nothing can be watched.
    """

    best = ""
    scalar = False

    def value(self, totals: Counts, rows: int) -> Figure:
        table = totals if totals.ndim == 2 else totals.sum(axis=0)
        return [[int(count) for count in row] for row in table]

    @property
    def finish(self) -> str:
        return "counts"


@record
class Averaged(Counted, abstract=True):
    """Base of quotients of counts for each class, which are brought together."""

    average: str = option(
        OneOf(("macro", "weighted", "micro")), "how several classes make one figure", "macro"
    )

    def parts(self, right: Counts, predicted: Counts, actual: Counts) -> tuple[Counts, Counts]:
        """What is divided by what, for each class, of the rows that are right, predicted to be of
        it, and of it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no parts")

    def value(self, totals: Counts, rows: int) -> float:
        if totals.ndim == 2:
            right, predicted, actual = totals.diagonal(), totals.sum(axis=0), totals.sum(axis=1)
            there = predicted + actual > 0
            right, predicted, actual = right[there], predicted[there], actual[there]
        else:
            right, predicted, actual = totals[:, 1, 1], totals[:, :, 1].sum(1), totals[:, 1].sum(1)
        above, below = self.parts(right, predicted, actual)
        if self.average == "micro":
            above, below = above.sum(keepdims=True), below.sum(keepdims=True)
        weights = actual if self.average == "weighted" else above * 0 + 1
        return float(_share((_share(above, below) * weights).sum(), weights.sum()))

    @property
    def finish(self) -> str:
        return f"{self.name} {self.average}"


def _share(above: Any, below: Any) -> Any:
    """The quotient, and 0 where nothing is counted."""
    import numpy as np

    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


@record
class Precision(Averaged):
    """`precision`: of the rows predicted to be of a class, the share that is; 0 where there are
    none.

    For one sigmoid, the class is yes (an output above 1/2; for hinge above 0).  Several classes, or
    several outputs, make one figure by `average`: macro is the mean over the classes, weighted
    counts each class by its rows, micro counts all classes together (for classes that exclude each
    other, that is accuracy).  A class that neither occurs nor is predicted does not count.  The
    same as scikit-learn's precision_score, whose average is binary by default.
    """

    source = "Kent et al. 1955, Machine Literature Searching VIII"

    def parts(self, right: Counts, predicted: Counts, actual: Counts) -> tuple[Counts, Counts]:
        return right, predicted


@record
class Recall(Averaged):
    """`recall`: of the rows of a class, the share that is predicted to be; 0 where there are none.

    Several classes make one figure by `average`, as precision says.  Also called sensitivity, or
    true positive rate; the same as scikit-learn's recall_score.
    """

    source = "Kent et al. 1955, Machine Literature Searching VIII"

    def parts(self, right: Counts, predicted: Counts, actual: Counts) -> tuple[Counts, Counts]:
        return right, actual


@record
class F1(Averaged):
    """`f1`: 2 precision recall / (precision + recall) of a class; 0 where nothing is right.

    The harmonic mean, near the smaller of the two.  Several classes make one figure by `average`,
    as precision says: `metric f1(average=weighted)`.  The same as scikit-learn's f1_score.
    """

    source = "van Rijsbergen 1979, Information Retrieval"

    def parts(self, right: Counts, predicted: Counts, actual: Counts) -> tuple[Counts, Counts]:
        # 2 (r / p) (r / a) / (r / p + r / a), multiplied out.
        return 2 * right, predicted + actual
