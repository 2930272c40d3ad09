"""Activations that pass what is positive and hold back what is negative: relu and its variants."""

from __future__ import annotations

import math
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Number, argument, option
from deepdsl.graph import Builder, Emitter, Node, Op, Param, ShapeError, Type, Value
from deepdsl.graph.arithmetic import Greater, Minimum, Where, along_features, mul, plus, scaled
from deepdsl.graph.formula import elu, expm1, maximum, minimum, relu, softplus, where_above
from deepdsl.graph.reshaping import unbroadcast
from deepdsl.nn.initializers import ConstantInitializer, Initializer, Start
from deepdsl.nn.layers.activations.base import Activation, ActivationOp, Sigmoid
from deepdsl.nn.layers.layer import Scope
from deepdsl.nn.layers.propagation import Moments, Transfer, mixed, through, width
from deepdsl.nn.layers.random_draws import uniform

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _positive(b: Builder, x: Value) -> Value:
    return b.add(Greater(), x, b.like(0.0, x))


@record
class Relu(ActivationOp):
    """`relu`: x where x > 0, 0 elsewhere.

    Glorot, Bordes & Bengio 2011.  Its gradient is 1 or 0, so it does not vanish where a unit is on;
    a unit that is off for every row learns nothing any more ("dying relu"), which the leaky forms
    avoid.  Initialize with he_normal.
    """

    onnx = "Relu"
    activation = "he_normal"
    source = "Glorot, Bordes & Bengio 2011, Deep sparse rectifier neural networks"

    def function(self, x: Any) -> Any:
        return maximum(x, 0.0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (mul(b, grad, b.add(Gate(), out)),)


# Times the smallest normal number of float32 it is above 1, and float32 holds it.
STEEPEST = 3e38


@record
class Gate(Op):
    """1 where x is positive, 0 elsewhere.

    As a very steep hard sigmoid: a comparison, or a conversion to a boolean and back, takes a pass
    more over the tensor, and `Where` twice the time of both together.
    """

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("HardSigmoid", *inputs, alpha=STEEPEST, beta=0.0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[None]:
        return (None,)


@record
class LeakyRelu(ActivationOp):
    """`leaky_relu 0.2`: x where x > 0, slope * x elsewhere.

    Maas, Hannun & Ng 2013.  A unit that is off still passes a little gradient, so it cannot die.
    Keras's layer has slope 0.3 by default, its function 0.2, PyTorch 0.01.  Initialize with
    he_normal.
    """

    slope: float = argument(Number(minimum=0, maximum=1), "slope where x is negative", 0.01)

    activation = "he_normal"
    source = (
        "Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models"
    )

    def function(self, x: Any) -> Any:
        return where_above(x, 0.0, x, self.slope * x)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("LeakyRelu", *inputs, alpha=self.slope)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        down = scaled(b, self.slope, grad)
        return (b.add(Where(), _positive(b, inputs[0]), grad, down),)


@record
class Prelu(Activation):
    """`prelu`: x where x > 0, slope * x elsewhere; each feature (each channel of images) learns its
    slope.

    He et al. 2015.  The slopes start at 0.25, as in the paper and in PyTorch; Keras's start at 0
    and are one for each unit, where PyTorch has a single one unless `num_parameters` is given.
    Weight decay leaves them alone: it would make a relu of it.  `init=0.1` starts them all at 0.1.
    Initialize the layer before it with he_normal; exactly right for a slope of 0.25 is
    he_normal(slope=0.25).
    """

    init: Initializer = option(
        Start("initializer"), "how the slopes begin", ConstantInitializer(0.25)
    )

    activation = "he_normal"
    source = "He et al. 2015, arXiv:1502.01852"

    def function(self, x: Any) -> Any:
        """With the slope that it starts with, on the average."""
        return where_above(x, 0.0, x, self.init.center * x)

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if x.type.rank < 2:
            raise ShapeError("`prelu` takes a vector or more", "it was given a single number")
        features = x.type.shape[1]
        assert isinstance(features, int)
        dtype: Any = x.type.dtype
        slope = scope.param("slope", (features,), self.init, "slope", dtype=dtype)
        b = scope.builder
        return b.add(SlopedRelu(), x, along_features(b, slope, x))

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        """Each unit has the slope that it drew, for all rows."""
        spread = self.init.variance((1, 1))
        if spread is None:
            return None
        parts = _sloped(self.init.center, math.sqrt(spread), inputs[0], width(types[0]))
        shared = [p.out.shared for p in parts if p.out.shared is not None]
        return mixed(parts, sum(shared) / len(parts) if shared else None)


def _sloped(center: float, spread: float, x: Moments, units: float) -> list[Transfer]:
    """A rectifier with the mean slope plus and minus a standard deviation: the two points have the
    mean and the mean square of all slopes.
    """

    def with_slope(slope: float) -> Transfer:
        def function(z: float) -> float:
            return z if z > 0 else slope * z

        return through(function, ("slope", slope), x, units)

    return [with_slope(s) for s in {center - spread, center + spread}]


@record
class SlopedRelu(Op):
    """x where x > 0, slope * x elsewhere: the operands are x and its slopes."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("PRelu", *inputs)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, Value]:
        x, slope = inputs
        factor = b.add(Where(), _positive(b, x), b.like(1.0, x), slope)
        to_slope = mul(b, grad, b.add(Minimum(), x, b.like(0.0, x)))
        return mul(b, grad, factor), unbroadcast(b, to_slope, slope)


@record
class Rrelu(Activation):
    """`rrelu 0.125 0.333`: x where x > 0, slope * x elsewhere, the slope drawn uniformly between
    the bounds for each element in training, and their mean at inference.

    Xu et al. 2015, with 1/8 and 1/3 as in PyTorch: the mean is 0.2292.  The gradient is the slope
    that was drawn.  Drawn slopes keep a small data set from being learned by heart.  Like a dropout
    mask, a slope is a pure function of the seed, the layer's path, the step and the element, and is
    drawn in the passes of `dnnc predict --samples` too.
    """

    lower: float = argument(Number(minimum=0, maximum=1), "the smallest slope", 1 / 8)
    upper: float = argument(Number(minimum=0, maximum=1), "the largest slope", 1 / 3)

    activation = "he_normal"
    source = "Xu et al. 2015, arXiv:1505.00853"

    def function(self, x: Any) -> Any:
        """With the mean slope, as at inference."""
        return where_above(x, 0.0, x, (self.lower + self.upper) / 2 * x)

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if self.lower > self.upper:
            raise ShapeError(
                "`rrelu` takes the smaller slope first",
                f"{self.lower:g} is above {self.upper:g}",
                f"write `rrelu {self.upper:g} {self.lower:g}`",
            )
        if not scope.noisy or self.lower == self.upper:
            return super().expand(scope, x)
        b = scope.builder
        slope = plus(b, scaled(b, self.upper - self.lower, uniform(scope, x)), self.lower)
        # One factor a unit serves the forward and the backward product alike.
        return mul(b, x, b.add(Where(), _positive(b, x), b.like(1.0, x), slope))

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        """In training; rows draw slopes of their own, so that they share what the mean slope
        gives.
        """
        spread = (self.upper - self.lower) / math.sqrt(12)
        parts = _sloped((self.lower + self.upper) / 2, spread, inputs[0], width(types[0]))
        mean = through(self.function, self, inputs[0], width(types[0]))
        return mixed(parts, mean.out.shared)


@record
class Elu(ActivationOp):
    """`elu`: x where x > 0, alpha * (exp(x) - 1) elsewhere.

    Clevert, Unterthiner & Hochreiter 2016.  Negative outputs bring the mean activation nearer to
    zero; with alpha = 1 the derivative is continuous.  Initialize with he_normal.
    """

    alpha: float = option(Number(above=0), "the value that -elu tends to", 1.0)

    activation = "he_normal"
    source = "Clevert, Unterthiner & Hochreiter 2016, arXiv:1511.07289"

    def function(self, x: Any) -> Any:
        return where_above(x, 0.0, x, self.alpha * expm1(minimum(x, 0.0)))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Elu", *inputs, alpha=self.alpha)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        # Where x <= 0 the derivative alpha * exp(x) is the output plus alpha: no second exp.
        down = mul(b, grad, plus(b, out, self.alpha))
        return (b.add(Where(), _positive(b, out), grad, down),)


@record
class Celu(Activation):
    """`celu`: x where x > 0, alpha * (exp(x / alpha) - 1) elsewhere.

    Barron 2017: elu with a continuous derivative for every alpha.  With alpha = 1, the default here
    and elsewhere, it is elu.
    """

    alpha: float = option(Number(above=0), "the value that -celu tends to", 1.0)

    activation = "he_normal"
    source = "Barron 2017, arXiv:1704.07483"

    def function(self, x: Any) -> Any:
        return self.alpha * elu(x / self.alpha) if self.alpha != 1 else elu(x)


@record
class Selu(ActivationOp):
    """`selu`: scale * x where x > 0, scale * alpha * (exp(x) - 1) elsewhere.

    Klambauer et al. 2017, with alpha = 1.6732632423543772 and scale = 1.0507009873554805, for which
    mean 0 and variance 1 are a fixed point.  It keeps them only with lecun_normal, standardized
    inputs and a plain chain of dense layers, with alpha_dropout in the place of dropout.
    """

    activation = "lecun_normal"
    source = "Klambauer et al. 2017, arXiv:1706.02515"

    def function(self, x: Any) -> Any:
        return SELU_SCALE * where_above(x, 0.0, x, SELU_ALPHA * expm1(minimum(x, 0.0)))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Selu", *inputs, alpha=SELU_ALPHA, gamma=SELU_SCALE)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        up = b.like(SELU_SCALE, grad)
        down = plus(b, out, SELU_SCALE * SELU_ALPHA)
        return (mul(b, grad, b.add(Where(), _positive(b, out), up, down)),)


@record
class Relu6(Activation):
    """`relu6`: min(max(x, 0), 6).

    Krizhevsky 2010, in use in networks for small devices, since numbers of up to 6 lose little in
    low precision.  Above 6 its gradient is 0.
    """

    activation = "he_normal"
    source = "Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10"

    def function(self, x: Any) -> Any:
        return minimum(relu(x), 6.0)


@record
class Threshold(Activation):
    """`threshold 0.1`: x where x > theta, value elsewhere.

    Konda, Memisevic & Krueger 2015.  PyTorch's Threshold, with its two numbers in its order.
    Keras 2's ThresholdedReLU and ONNX's ThresholdedRelu are the same with value 0, and have theta 1
    by default, as here.
    """

    theta: float = argument(Number(), "what is not above this is replaced", 1.0)
    value: float = argument(Number(), "what it is replaced by", 0.0)

    activation = "he_normal"
    source = "Konda, Memisevic & Krueger 2015, arXiv:1402.3337"

    def function(self, x: Any) -> Any:
        return where_above(x, self.theta, x, self.value)


@record
class Softplus(ActivationOp):
    """`softplus`: log(1 + exp(x)), a smooth relu; its derivative is the sigmoid.

    Dugas et al. 2001.  Computed as max(x, 0) + log(1 + exp(-|x|)), so that nothing overflows.  It
    is always positive: as a last layer it gives a variance or a rate.  Its mean is far from 0, so
    that relu and elu are the better choice between layers.
    """

    activation = "he_normal"
    source = (
        "Dugas et al. 2001, Incorporating second-order functional knowledge for better option "
        "pricing"
    )

    def function(self, x: Any) -> Any:
        return softplus(x)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        dtype = node.inputs[0].type.dtype
        small = onnx.node("Exp", onnx.node("Neg", onnx.node("Abs", inputs[0])))
        log = onnx.node("Log", onnx.node("Add", small, onnx.constant(1.0, dtype)))
        return onnx.node("Add", onnx.node("Relu", inputs[0]), log)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (mul(b, grad, b.add(Sigmoid(), inputs[0])),)
