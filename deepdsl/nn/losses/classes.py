"""Losses over classes, for models that end in softmax."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph import Builder, DType, Emitter, Node, Op, Type, Value
from deepdsl.graph.arithmetic import Exp, div, mul, sub
from deepdsl.graph.formula import Term, exp, terms
from deepdsl.graph.reductions import extent
from deepdsl.graph.reshaping import ReduceSum
from deepdsl.nn.losses.base import FusedLoss, Target, class_target, classes_of


@record
class CrossEntropy(FusedLoss):
    """`cross_entropy`: -log of the probability given to the right class, the mean over the batch.

    For models that end in softmax (or log_softmax).  Compiled on the values before it
    (log-sum-exp), so no probability is ever rounded to zero.  Targets are class indices, or rows of
    probabilities when the data says `one_hot`.  With smoothing=s a share s of each target is spread
    evenly over all classes, as label_smoothing does in Keras and PyTorch, so that the model is not
    driven to be certain.
    """

    smoothing: float = option(
        Number(minimum=0, below=1), "share of the target spread over all classes", 0.0
    )

    source = (
        "Bridle 1990, Probabilistic Interpretation of Feedforward Classification Network Outputs; "
        "smoothing: Szegedy et al. 2016, arXiv:1512.00567"
    )
    endings = ("softmax", "log_softmax")

    def target(self, output: Type, one_hot: bool) -> Target:
        return class_target(output, one_hot)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        target = as_rows(b, x, target)
        if self.smoothing:
            share = Term(b, x).constant(self.smoothing / classes_of(x))
            target = ((1 - self.smoothing) * Term(b, target) + share).value
        loss, _ = b.apply(SoftmaxCrossEntropy(), x, target)
        return loss


@record
class KlDivergence(FusedLoss):
    """`kl_divergence`: sum(t log(t / p)) over the classes, the mean over the batch.

    How far the model's probabilities p are from those of the target: 0 where they are equal. A
    class of probability 0 adds nothing (0 log 0 = 0).  Targets are rows of probabilities, as a
    larger model gives them (distillation); for class indices it would be cross_entropy.  The
    gradient is cross_entropy's too: the two differ by the entropy of the targets, which no weight
    changes.  For models that end in softmax; compiled on the values before it.  PyTorch's KLDivLoss
    is this with reduction="batchmean"; its default divides by the number of classes as well.
    """

    source = "Kullback & Leibler 1951, On Information and Sufficiency"
    endings = ("softmax", "log_softmax")

    def target(self, output: Type, one_hot: bool) -> Target:
        return class_target(output, one_hot=True)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        loss, _ = b.apply(SoftmaxDivergence(), x, target)
        return loss


def as_rows(b: Builder, x: Value, target: Value) -> Value:
    """Class indices as one-hot rows like x; rows as they are."""
    if target.type.dtype == "i64":
        return b.add(OneHot(classes_of(x), x.type.dtype), target)
    return target


@record
class OneHot(Op):
    """Class indices as rows with a single 1."""

    classes: int
    dtype: DType = "f32"

    def infer(self, *inputs: Type) -> Type:
        return Type((*inputs[0].shape, self.classes), self.dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        depth = onnx.constant(self.classes, "i64")
        return onnx.node("OneHot", inputs[0], depth, onnx.constant((0.0, 1.0), self.dtype), axis=-1)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[None]:
        return (None,)


@record
class SoftmaxCrossEntropy(Op):
    """The mean over rows of -sum(target * log softmax(x)); the second output is log softmax(x).

    Its gradient is (softmax(x) * sum(target) - target) / rows; the targets of a row sum to 1.
    """

    def infer(self, *inputs: Type) -> tuple[Type, ...]:
        x, _ = inputs
        return x.with_shape(()), x

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        x, target = inputs
        rank = node.inputs[0].type.rank
        log = onnx.node("LogSoftmax", x, axis=-1)
        rows = onnx.node(
            "ReduceSum",
            onnx.node("Mul", log, target),
            onnx.constant((rank - 1,), "i64"),
            keepdims=0,
        )
        mean = onnx.node("ReduceMean", rows, keepdims=0)
        return [onnx.node("Neg", mean), log]

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value | None, ...]:
        assert grads[0] is not None
        x = inputs[0].type
        grad, log, target = terms(b, grads[0], outs[1], inputs[1])
        rows = Term(b, extent(b, x.shape[:-1], x.dtype))
        dx = (exp(log) - target) * (grad / rows)
        return dx.value, None


@record
class SoftmaxDivergence(Op):
    """The mean over rows of sum(target * (log target - log softmax(x))); the second output is log
    softmax(x).

    Its gradient is (softmax(x) * sum(target) - target) / rows.
    """

    def infer(self, *inputs: Type) -> tuple[Type, ...]:
        x, _ = inputs
        return x.with_shape(()), x

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        x, target = inputs
        dtype, rank = node.inputs[0].type.dtype, node.inputs[0].type.rank
        log = onnx.node("LogSoftmax", x, axis=-1)
        # The smallest normal float32, whose logarithm is finite: 0 times it is 0.
        wanted = onnx.node("Log", onnx.node("Max", target, onnx.constant(2.0**-126, dtype)))
        each = onnx.node("Mul", target, onnx.node("Sub", wanted, log))
        rows = onnx.node("ReduceSum", each, onnx.constant((rank - 1,), "i64"), keepdims=0)
        return [onnx.node("ReduceMean", rows, keepdims=0), log]

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value | None, ...]:
        x, target = inputs
        grad, log = grads[0], outs[1]
        assert grad is not None
        rows = extent(b, x.type.shape[:-1], x.type.dtype)
        total = b.add(ReduceSum((x.type.rank - 1,), keepdims=True), target)
        error = sub(b, mul(b, b.add(Exp(), log), total), target)
        return mul(b, error, div(b, grad, rows)), None
