"""Losses over zeros and ones: of probabilities, and of margins."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Number, lookup, option
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value
from deepdsl.graph.arithmetic import Maximum, div, mul, plus, scaled, sub
from deepdsl.graph.reductions import ReduceMean, extent
from deepdsl.nn.layers.activations.base import Activation, Sigmoid
from deepdsl.nn.layers.activations.relu_variants import Softplus
from deepdsl.nn.losses.base import FusedLoss, Loss, Target
from deepdsl.nn.losses.values import MeanSquare


@record
class BinaryCrossEntropy(FusedLoss):
    """`binary_cross_entropy`: -(t log p + (1 - t) log(1 - p)), the mean over all outputs.

    For models that end in sigmoid.  Compiled on the values before it, as softplus(x) - t x, so that
    it never overflows.  With smoothing=s the targets are s / 2 and 1 - s / 2 in place of 0 and 1,
    as label_smoothing does in Keras.
    """

    smoothing: float = option(
        Number(minimum=0, below=1), "share of the target divided between yes and no", 0.0
    )

    source = "Cox 1958, The Regression Analysis of Binary Sequences"
    endings = ("sigmoid",)

    def target(self, output: Type, one_hot: bool) -> Target:
        return Target("binary", output)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        if self.smoothing:
            target = plus(b, scaled(b, 1 - self.smoothing, target), self.smoothing / 2)
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
class Hinge(Loss):
    """`hinge`: max(0, 1 - s x) with s = -1 or 1 for the target 0 or 1, the mean over all outputs.

    The loss of a support vector machine: an output on the right side of zero by 1 or more costs
    nothing.  For models whose last layer is linear, or tanh; the answer is the output's sign, not a
    probability.  squared=true is max(0, 1 - s x)^2, which has no corner.  The same as Keras's hinge
    and squared_hinge, which take 0 and 1 as -1 and 1 too.
    """

    squared: bool = option(Boolean(), "the square of it", False)

    source = "Cortes & Vapnik 1995, Support-Vector Networks"
    endings = ("tanh", "identity", "dense")

    def goes_with(self, ending: str) -> bool:
        # Whatever only arranges or joins is as linear as what is before it.
        return ending in self.endings or not issubclass(lookup("layer")[ending], Activation)

    def target(self, output: Type, one_hot: bool) -> Target:
        return Target("margin", output)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        sign = plus(b, scaled(b, 2.0, target), -1.0)
        short = sub(b, b.like(1.0, x), mul(b, sign, x))
        missing = b.add(Maximum(), short, b.like(0.0, x))
        if self.squared:
            return b.add(MeanSquare(), missing)
        return b.add(ReduceMean(tuple(range(x.type.rank))), missing)
