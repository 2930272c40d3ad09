"""The focal loss: cross-entropy that looks away from what is already right."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value
from deepdsl.graph.arithmetic import Exp, Maximum, Neg, Pow, add, div, mul, plus, scaled, sub
from deepdsl.graph.reductions import extent
from deepdsl.graph.reshaping import ReduceSum
from deepdsl.nn.layers.activations.base import Sigmoid
from deepdsl.nn.layers.activations.relu_variants import Softplus
from deepdsl.nn.losses.base import FusedLoss, Target, class_target
from deepdsl.nn.losses.classes import as_rows

ALPHA = 0.25


@record
class Focal(FusedLoss):
    """`focal gamma=2`: -(1 - p_t)^gamma log p_t, where p_t is the probability of what is right.

    Rows that the model has right already count little, so that many easy ones do not drown the few
    hard ones; gamma=0 is cross-entropy.  After sigmoid it is the paper's form: each output is
    weighted with alpha (0.25) where the target is 1 and with 1 - alpha where it is 0, and the mean
    is over all outputs.  After softmax the targets are class indices, or rows with `one_hot`, the
    mean is over the rows, and alpha is a factor for all of them (1), as in Keras's
    CategoricalFocalCrossentropy (0.25 there).  torchvision's sigmoid_focal_loss is the same with
    reduction="mean"; Keras's BinaryFocalCrossentropy weights nothing by default.  Compiled on the
    values before the sigmoid or softmax.
    """

    gamma: float = option(Number(minimum=0), "how little an easy row counts", 2.0)
    alpha: float | None = option(
        Number(minimum=0, maximum=1), "weight of ones after sigmoid, of all after softmax", None
    )

    source = "Lin et al. 2017, Focal Loss for Dense Object Detection, arXiv:1708.02002"
    endings = ("sigmoid", "softmax", "log_softmax")

    def target(self, output: Type, one_hot: bool) -> Target:
        if self.fuses == "sigmoid":
            return Target("binary", output)
        return class_target(output, one_hot)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        if self.fuses == "sigmoid":
            alpha = ALPHA if self.alpha is None else self.alpha
            return b.add(SigmoidFocal(self.gamma, alpha), x, target)
        loss, _ = b.apply(SoftmaxFocal(self.gamma), x, as_rows(b, x, target))
        return loss if self.alpha is None else scaled(b, self.alpha, loss)


@record
class SigmoidFocal(Op):
    """The mean of weight * q^gamma * softplus(-z), where z is x or -x for the target 1 or 0,
    q = sigmoid(-z) is the probability of what is wrong, and weight is alpha or 1 - alpha.

    Its derivative by z is -weight * q^gamma * (gamma * sigmoid(z) * softplus(-z) + q).
    """

    gamma: float
    alpha: float

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_shape(())

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        x, target = inputs
        dtype = node.inputs[0].type.dtype

        def line(slope: float, start: float) -> str:
            scaled = onnx.node("Mul", target, onnx.constant(slope, dtype))
            return onnx.node("Add", scaled, onnx.constant(start, dtype))

        wrong = onnx.node("Mul", line(-2.0, 1.0), x)
        easy = onnx.node("Pow", onnx.node("Sigmoid", wrong), onnx.constant(self.gamma, dtype))
        each = onnx.node("Mul", easy, Softplus().lower(onnx, node, wrong))
        weighted = onnx.node("Mul", each, line(2 * self.alpha - 1, 1 - self.alpha))
        return onnx.node("ReduceMean", weighted, keepdims=0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value | None, ...]:
        x, target = inputs
        sign = plus(b, scaled(b, 2.0, target), -1.0)
        z = mul(b, sign, x)
        wrong = b.add(Neg(), z)
        q = b.add(Sigmoid(), wrong)
        easy = b.add(Pow(), q, b.like(self.gamma, x))
        bent = mul(b, b.add(Sigmoid(), z), b.add(Softplus(), wrong))
        slope = mul(b, easy, add(b, scaled(b, self.gamma, bent), q))
        weight = plus(b, scaled(b, 2 * self.alpha - 1, target), 1 - self.alpha)
        each = mul(b, mul(b, b.add(Neg(), sign), slope), weight)
        return mul(b, each, div(b, grad, extent(b, x.type.shape, x.type.dtype))), None


@record
class SoftmaxFocal(Op):
    """The mean over rows of -sum(target * (1 - p)^gamma * log p) with p = softmax(x); the second
    output is log p.

    With d = target * (1 - p)^gamma * (gamma * p * log p / (1 - p) - 1), the derivative by log p,
    its gradient is (d - p * sum(d)) / rows.
    """

    gamma: float

    def infer(self, *inputs: Type) -> tuple[Type, ...]:
        x, _ = inputs
        return x.with_shape(()), x

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        x, target = inputs
        dtype, rank = node.inputs[0].type.dtype, node.inputs[0].type.rank
        log = onnx.node("LogSoftmax", x, axis=-1)
        rest = onnx.node("Sub", onnx.constant(1.0, dtype), onnx.node("Exp", log))
        # Rounding may leave 1 - p below zero, where a power is NaN.
        easy = onnx.node("Pow", onnx.node("Relu", rest), onnx.constant(self.gamma, dtype))
        each = onnx.node("Mul", onnx.node("Mul", target, easy), log)
        rows = onnx.node("ReduceSum", each, onnx.constant((rank - 1,), "i64"), keepdims=0)
        return [onnx.node("Neg", onnx.node("ReduceMean", rows, keepdims=0)), log]

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
        p = b.add(Exp(), log)
        rest = b.add(Maximum(), sub(b, b.like(1.0, x), p), b.like(0.0, x))
        easy = b.add(Pow(), rest, b.like(self.gamma, x))
        # log p / (1 - p) tends to -1 where p is 1; the power is 0 there and makes it count nothing.
        ratio = div(b, log, b.add(Maximum(), rest, b.like(2.0**-126, x)))
        bend = plus(b, scaled(b, self.gamma, mul(b, p, ratio)), -1.0)
        d = mul(b, mul(b, target, easy), bend)
        total = b.add(ReduceSum((x.type.rank - 1,), keepdims=True), d)
        error = sub(b, d, mul(b, p, total))
        rows = extent(b, x.type.shape[:-1], x.type.dtype)
        return mul(b, error, div(b, grad, rows)), None
