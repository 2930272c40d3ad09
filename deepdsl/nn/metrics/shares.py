"""Metrics that are the share of rows that are right."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value
from deepdsl.graph.arithmetic import Equal, Greater, cast
from deepdsl.graph.reductions import ArgMax
from deepdsl.graph.reshaping import ReduceSum, Reshape, sum_all
from deepdsl.nn.layers.activations.base import hits
from deepdsl.nn.losses import Target
from deepdsl.nn.metrics.base import Metric, row_mean


def says_yes(b: Builder, output: Value, kind: Target) -> Value:
    """Whether each output means yes."""
    return b.add(Greater(), output, b.like(kind.threshold, output))


def is_yes(b: Builder, target: Value) -> Value:
    return b.add(Greater(), target, b.like(0.5, target))


def right_class(b: Builder, target: Value, kind: Target) -> Value:
    """The class of each row; of a row of probabilities the most probable one."""
    return target if kind.kind == "index" else b.add(ArgMax(target.type.rank - 1), target)


@record
class Accuracy(Metric):
    """`accuracy`: the share of rows whose most probable class is the right one.

    For a sigmoid, the share of outputs on the right side of 1/2; for hinge, on the right side of 0.
    """

    targets = ("index", "one_hot", "binary", "margin")

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        if kind.kind in ("binary", "margin"):
            right = b.add(
                Equal(),
                cast(b, says_yes(b, output, kind), "f32"),
                cast(b, is_yes(b, target), "f32"),
            )
            return sum_all(b, row_mean(b, hits(b, right)))
        truth = right_class(b, target, kind)
        right = b.add(Equal(), b.add(ArgMax(output.type.rank - 1), output), truth)
        return sum_all(b, row_mean(b, hits(b, right)))


TOP = 5


@record
class Top5(Metric):
    """`top5`: the share of rows whose right class is among the five most probable ones.

    With fewer than five classes it is always 1.  Among equals the classes with the smaller number
    come first, as in accuracy; Keras's TopKCategoricalAccuracy counts them all as found.
    """

    source = "Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge"
    targets = ("index", "one_hot")

    def expand(self, b: Builder, output: Value, target: Value, kind: Target) -> Value:
        truth = right_class(b, target, kind)
        classes = output.type.shape[-1]
        assert isinstance(classes, int)
        first = b.add(Largest(min(TOP, classes)), output)
        column = b.add(Reshape((*truth.type.shape, 1)), truth)
        found = hits(b, b.add(Equal(), first, column))
        each = b.add(ReduceSum((found.type.rank - 1,)), found)
        return sum_all(b, row_mean(b, each))


@record
class Largest(Op):
    """The indices of the `count` largest numbers of each row, the largest first; of equals the
    smaller index.
    """

    count: int

    def infer(self, *inputs: Type) -> Type:
        return Type((*inputs[0].shape[:-1], self.count), "i64")

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        count = onnx.constant((self.count,), "i64")
        return onnx.nodes("TopK", inputs[0], count, outputs=2, axis=-1, largest=1, sorted=1)[1]

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[None]:
        return (None,)
