"""Activation functions: each is a layer of the language and one operation."""

from __future__ import annotations

from typing import Any, ClassVar

from deepdsl.ir import Builder, Emitter, Node, Op, ShapeError, Type, Value
from deepdsl.ops.arithmetic import Greater, Where, cast, mul, plus, scaled, square, sub
from deepdsl.ops.formula import (
    Term,
    exp,
    maximum,
    minimum,
    sigmoid,
    tanh,
    where_above,
)
from deepdsl.ops.layer import Layer, Scope
from deepdsl.ops.reductions import ReduceSum
from deepdsl.record import record
from deepdsl.registry import Number, argument, option

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@record
class Activation(Layer, Op, abstract=True):
    """Base: one operand, the same shape out, and each number by itself.

    `function` is the activation as a formula (see formula.py).  It is all that an activation needs:
    the graph is made of the formula's operations, unless the class says how it is lowered and what
    its gradient is, which is cheaper.  `bounds` are the two values that a saturating activation
    tends to.
    """

    onnx: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float] | None] = None

    def function(self, x: Any) -> Any:
        """The activation of a number, or of a term of a graph."""
        raise NotImplementedError(f"{type(self).__name__} has no function")

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        if type(self).lower is not Activation.lower or self.onnx:
            return scope.builder.add(self, *inputs)
        made: Value = self.function(Term(scope.builder, inputs[0])).value
        return made

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node(self.onnx, *inputs)


def _positive(b: Builder, x: Value) -> Value:
    return b.add(Greater(), x, b.like(0.0, x))


@record
class Relu(Activation):
    """`relu`: x where x > 0, 0 elsewhere.

    Glorot, Bordes & Bengio 2011.  Its gradient is 1 or 0, so it does not vanish where a unit is on;
    a unit that is off for every row learns nothing any more ("dying relu"), which the leaky forms
    avoid.  Initialize with he_normal.
    """

    onnx = "Relu"
    activation = "he_normal"

    def function(self, x: Any) -> Any:
        return maximum(x, 0.0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        # The output as a boolean is "is not 0": the cheapest mask there is, measured.
        return (b.add(Where(), cast(b, out, "bool"), grad, b.like(0.0, grad)),)


@record
class LeakyRelu(Activation):
    """`leaky_relu 0.2`: x where x > 0, slope * x elsewhere.

    Maas, Hannun & Ng 2013.  A unit that is off still passes a little gradient, so it cannot die.
    Keras's layer has slope 0.3 by default, its function 0.2, PyTorch 0.01.  Initialize with
    he_normal.
    """

    slope: float = argument(Number(minimum=0, maximum=1), "slope where x is negative", 0.01)

    activation = "he_normal"

    def function(self, x: Any) -> Any:
        return where_above(x, 0.0, x, self.slope * x)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("LeakyRelu", *inputs, alpha=self.slope)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        down = scaled(b, self.slope, grad)
        return (b.add(Where(), _positive(b, inputs[0]), grad, down),)


@record
class Elu(Activation):
    """`elu`: x where x > 0, alpha * (exp(x) - 1) elsewhere.

    Clevert, Unterthiner & Hochreiter 2016.  Negative outputs bring the mean activation nearer to
    zero; with alpha = 1 the derivative is continuous.  Initialize with he_normal.
    """

    alpha: float = option(Number(above=0), "the value that -elu tends to", 1.0)

    activation = "he_normal"

    def function(self, x: Any) -> Any:
        return where_above(x, 0.0, x, self.alpha * (exp(minimum(x, 0.0)) - 1.0))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Elu", *inputs, alpha=self.alpha)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        # Where x <= 0 the derivative alpha * exp(x) is the output plus alpha: no second exp.
        down = mul(b, grad, plus(b, out, self.alpha))
        return (b.add(Where(), _positive(b, out), grad, down),)


@record
class Selu(Activation):
    """`selu`: scale * x where x > 0, scale * alpha * (exp(x) - 1) elsewhere.

    Klambauer et al. 2017, with alpha = 1.6732632423543772 and scale = 1.0507009873554805, for which
    mean 0 and variance 1 are a fixed point.  It keeps them only with lecun_normal, standardized
    inputs and a plain chain of dense layers.
    """

    activation = "lecun_normal"

    def function(self, x: Any) -> Any:
        return SELU_SCALE * where_above(x, 0.0, x, SELU_ALPHA * (exp(minimum(x, 0.0)) - 1.0))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Selu", *inputs, alpha=SELU_ALPHA, gamma=SELU_SCALE)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        up = b.like(SELU_SCALE, grad)
        down = plus(b, out, SELU_SCALE * SELU_ALPHA)
        return (mul(b, grad, b.add(Where(), _positive(b, out), up, down)),)


@record
class Sigmoid(Activation):
    """`sigmoid`: 1 / (1 + exp(-x)), the logistic function.

    Its derivative is at most 1/4 and it saturates on both sides: in a hidden layer of a deep
    network it makes gradients vanish.  As the last layer of a yes-or-no model, with
    binary_cross_entropy, it is right.
    """

    onnx = "Sigmoid"
    activation = "glorot_uniform"

    bounds = (0.0, 1.0)

    def function(self, x: Any) -> Any:
        return sigmoid(x)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (mul(b, grad, sub(b, out, square(b, out))),)


@record
class Tanh(Activation):
    """`tanh`: the hyperbolic tangent, between -1 and 1.

    Centred on zero, with slope 1 there; it saturates on both sides.  Initialize with
    glorot_uniform.
    """

    onnx = "Tanh"
    activation = "glorot_uniform"

    bounds = (-1.0, 1.0)

    def function(self, x: Any) -> Any:
        return tanh(x)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (sub(b, grad, mul(b, grad, square(b, out))),)


@record
class Identity(Activation):
    """`identity`: x itself, to say plainly that there is no activation."""

    onnx = "Identity"
    transparent = True

    def function(self, x: Any) -> Any:
        return x

    def expand(self, scope: object, *inputs: Value) -> Value:
        return inputs[0]

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (grad,)


@record
class Softmax(Activation):
    """`softmax`: exp(x) / sum(exp(x)) along the last axis: positive numbers that sum to 1.

    As the last layer with cross_entropy the two are compiled together, on the values before the
    softmax, so that nothing overflows; the exported graph keeps the softmax.
    """

    activation = "glorot_uniform"

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        if x.rank < 2:
            raise ShapeError("`softmax` takes a vector or more", "it was given a single number")
        return x

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Softmax", *inputs, axis=-1)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        weighted = mul(b, grad, out)
        total = b.add(ReduceSum((out.type.rank - 1,), keepdims=True), weighted)
        return (sub(b, weighted, mul(b, out, total)),)


@record
class LogSoftmax(Op):
    """x - log(sum(exp(x))) along the last axis, without overflow."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("LogSoftmax", *inputs, axis=-1)


@record
class Softplus(Op):
    """log(1 + exp(x)), written as max(x, 0) + log(1 + exp(-|x|)) so that nothing overflows."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        dtype = node.inputs[0].type.dtype
        small = onnx.node("Exp", onnx.node("Neg", onnx.node("Abs", inputs[0])))
        log = onnx.node("Log", onnx.node("Add", small, onnx.constant(1.0, dtype)))
        return onnx.node("Add", onnx.node("Relu", inputs[0]), log)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (mul(b, grad, b.add(Sigmoid(), inputs[0])),)


def hits(b: Builder, correct: Value) -> Value:
    """A boolean as ones and zeros."""
    return cast(b, correct, "f32")
