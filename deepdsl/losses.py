"""Losses: what training makes small."""

from __future__ import annotations

from typing import ClassVar, Literal

from deepdsl.ir import Builder, DType, Emitter, Node, Op, Type, Value
from deepdsl.ops.activations import Sigmoid, Softplus
from deepdsl.ops.arithmetic import Exp, add, div, extent, mul, scaled, sub
from deepdsl.record import record
from deepdsl.registry import Number, Registered, option

TargetKind = Literal["index", "one_hot", "binary", "value"]


@record
class Target:
    """What the data must give to be learned: class indices, one-hot rows, zeros and ones, or
    values.

    `type` is the tensor's type with its batch; `classes` is how many classes there are, for index
    and one_hot.
    """

    kind: TargetKind
    type: Type
    classes: int | None = None


@record
class Loss(Registered, kind="loss"):
    """Base of losses.

    `fuses` names the last layer that is compiled together with the loss: `expand` is then given
    that layer's input.
    """

    fuses: ClassVar[str | None] = None

    def target(self, output: Type, one_hot: bool) -> Target:
        """What it learns from, for a model with this output."""
        return Target("value", output)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        """The mean over the batch, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no expand")


@record
class CrossEntropy(Loss):
    """`cross_entropy`: -log of the probability given to the right class, the mean over the batch.

    For models that end in softmax.  Compiled on the values before it (log-sum-exp), so no
    probability is ever rounded to zero.  Targets are class indices, or rows of probabilities when
    the data says `one_hot`.
    """

    smoothing: float = option(
        Number(minimum=0, below=1), "share of the target spread over all classes", 0.0
    )

    fuses = "softmax"

    def target(self, output: Type, one_hot: bool) -> Target:
        classes = output.shape[-1]
        assert isinstance(classes, int)
        if one_hot:
            return Target("one_hot", output, classes)
        return Target("index", Type(output.shape[:-1], "i64"), classes)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        if target.type.dtype == "i64":
            target = b.add(OneHot(_classes(x), x.type.dtype), target)
        if self.smoothing:
            spread = b.like(self.smoothing / _classes(x), x)
            target = add(b, scaled(b, 1 - self.smoothing, target), spread)
        loss, _ = b.apply(SoftmaxCrossEntropy(), x, target)
        return loss


def _classes(x: Value) -> int:
    classes = x.type.shape[-1]
    assert isinstance(classes, int)
    return classes


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
        x, target = inputs
        grad, log = grads[0], outs[1]
        assert grad is not None
        rows = extent(b, x.type.shape[:-1], x.type.dtype)
        error = sub(b, b.add(Exp(), log), target)
        return mul(b, error, div(b, grad, rows)), None


@record
class BinaryCrossEntropy(Loss):
    """`binary_cross_entropy`: -(t log p + (1 - t) log(1 - p)), the mean over all outputs.

    For models that end in sigmoid.  Compiled on the values before it, as softplus(x) - t x, so that
    it never overflows.
    """

    fuses = "sigmoid"

    def target(self, output: Type, one_hot: bool) -> Target:
        return Target("binary", output)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        return b.add(SigmoidCrossEntropy(), x, target)


@record
class SigmoidCrossEntropy(Op):
    """The mean of softplus(x) - target * x; its gradient is (sigmoid(x) - target) / count."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_shape(())

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        x, target = inputs
        softplus = Softplus().lower(onnx, node, x)
        each = onnx.node("Sub", softplus, onnx.node("Mul", target, x))
        return onnx.node("ReduceMean", each, keepdims=0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value | None, ...]:
        x, target = inputs
        count = extent(b, x.type.shape, x.type.dtype)
        error = sub(b, b.add(Sigmoid(), x), target)
        return mul(b, error, div(b, grad, count)), None


@record
class MeanSquaredError(Loss):
    """`mean_squared_error`: (output - target)^2, the mean over all outputs."""

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        return b.add(MeanSquare(), sub(b, x, target))


@record
class MeanSquare(Op):
    """The mean of the squares of all elements; its gradient is 2 x / count."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_shape(())

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("ReduceMean", onnx.node("Mul", inputs[0], inputs[0]), keepdims=0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        (x,) = inputs
        return (mul(b, x, div(b, scaled(b, 2.0, grad), extent(b, x.type.shape, x.type.dtype))),)
