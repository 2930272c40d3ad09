"""Activation functions: what they have in common, those that saturate on both sides, and the
softmaxes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, Param, ShapeError, Type, Value
from deepdsl.graph.arithmetic import Abs, Exp, Where, cast, div, mul, plus, scaled, square, sub
from deepdsl.graph.formula import Term, absolute, hard_sigmoid, sigmoid, tanh
from deepdsl.graph.reshaping import ReduceSum
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Moments, Transfer, through, width

# Within this share of its range from a bound an activation counts as saturated: a logistic unit
# below 0.01 or above 0.99, a tanh beyond -0.98 and 0.98.
NEAR_BOUND = 0.01


def edges(bounds: tuple[float, float]) -> tuple[float, float]:
    """Below the first and above the second, a value between these bounds is saturated."""
    low, high = bounds
    margin = NEAR_BOUND * (high - low)
    return low + margin, high - margin


@record
class Activation(Layer, abstract=True):
    """Base: one operand, the same shape out, and each number by itself.

    `function` is the activation as a formula (see formula.py).  It is all that an activation needs:
    the graph is made of the formula's operations, and its gradient of theirs.  `bounds` are the two
    values that a saturating activation tends to.
    """

    bounds: ClassVar[tuple[float, float] | None] = None

    @property
    def is_elementwise(self) -> bool:
        """Whether it has a formula for each number by itself; a softmax has none."""
        return type(self).function is not Activation.function

    def function(self, x: Any) -> Any:
        """The activation of a number, or of a term of a graph."""
        raise NotImplementedError(f"{type(self).__name__} has no function")

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        made: Value = self.function(Term(scope.builder, inputs[0])).value
        return made

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        return (
            through(self.function, self, inputs[0], width(types[0]))
            if self.is_elementwise
            else None
        )


@record
class ActivationOp(Activation, Op, abstract=True):
    """Base of activations that are one operation, with a gradient of their own: this is cheaper
    than the formula's operations.
    """

    onnx: ClassVar[str] = ""

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        return scope.builder.add(self, *inputs)

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node(self.onnx, *inputs)


@record
class Sigmoid(ActivationOp):
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
class Tanh(ActivationOp):
    """`tanh`: (exp(x) - exp(-x)) / (exp(x) + exp(-x)), the hyperbolic tangent, between -1 and 1.

    Centred on zero, with slope 1 there; it saturates on both sides.  Initialize with
    glorot_uniform.
    """

    onnx = "Tanh"
    activation = "glorot_uniform"
    source = "LeCun et al. 1998, Efficient BackProp"
    bounds = (-1.0, 1.0)

    def function(self, x: Any) -> Any:
        return tanh(x)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (sub(b, grad, mul(b, grad, square(b, out))),)


@record
class Softsign(ActivationOp):
    """`softsign`: x / (1 + |x|), between -1 and 1.

    Turian, Bergstra & Bengio 2009.  Like tanh, but it tends to its bounds as 1 / |x| and not
    exponentially, so that a unit that is far out still learns a little (Glorot & Bengio 2010).
    Initialize with glorot_uniform.
    """

    onnx = "Softsign"
    activation = "glorot_uniform"
    source = (
        "Turian, Bergstra & Bengio 2009, Quadratic features and deep architectures for chunking"
    )
    bounds = (-1.0, 1.0)

    def function(self, x: Any) -> Any:
        return x / (1.0 + absolute(x))

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (div(b, grad, square(b, plus(b, b.add(Abs(), inputs[0]), 1.0))),)


@record
class HardSigmoid(ActivationOp):
    """`hard_sigmoid`: relu6(x + 3) / 6: 0 up to -3, 1 from 3 on, x / 6 + 1/2 between.

    A sigmoid of straight lines, for devices on which exp is dear (Howard et al. 2019); outside
    [-3, 3] its gradient is exactly 0.  PyTorch and Keras 3 have this form.  Keras 2, and ONNX's
    HardSigmoid without attributes, have max(0, min(1, x / 5 + 1/2)), which reaches its bounds at
    ±2.5; Courbariaux, Bengio & David 2015 (arXiv:1511.00363) have max(0, min(1, (x + 1) / 2)).
    """

    activation = "glorot_uniform"
    source = "Howard et al. 2019, arXiv:1905.02244"
    bounds = (0.0, 1.0)

    def function(self, x: Any) -> Any:
        return hard_sigmoid(x)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("HardSigmoid", *inputs, alpha=1 / 6, beta=0.5)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        # y - y^2 is not 0 strictly between the bounds, and there alone.
        between = cast(b, sub(b, out, square(b, out)), "bool")
        return (b.add(Where(), between, scaled(b, 1 / 6, grad), b.like(0.0, grad)),)


@record
class Identity(ActivationOp):
    """`identity`: x itself, to say plainly that there is no activation."""

    onnx = "Identity"
    transparent = True

    def function(self, x: Any) -> Any:
        return x

    def expand(self, scope: object, *inputs: Value) -> Value:
        return inputs[0]

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (grad,)


def _needs_a_vector(name: str, x: Type) -> Type:
    if x.rank < 2:
        raise ShapeError(f"`{name}` takes a vector or more", "it was given a single number")
    return x


@record
class Softmax(ActivationOp):
    """`softmax`: exp(x) / sum(exp(x)) along the last axis: positive numbers that sum to 1.

    As the last layer with cross_entropy the two are compiled together, on the values before the
    softmax, so that nothing overflows; the exported graph keeps the softmax.
    """

    activation = "glorot_uniform"
    source = (
        "Bridle 1990, Probabilistic interpretation of feedforward classification network outputs"
    )

    def infer(self, *inputs: Type) -> Type:
        return _needs_a_vector(self.name, inputs[0])

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Softmax", *inputs, axis=-1)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        weighted = mul(b, grad, out)
        total = b.add(ReduceSum((out.type.rank - 1,), keepdims=True), weighted)
        return (sub(b, weighted, mul(b, out, total)),)


@record
class LogSoftmax(ActivationOp):
    """`log_softmax`: x - log(sum(exp(x))) along the last axis, without overflow: the logarithms of
    softmax's numbers.

    A classifier does not need it: cross_entropy is compiled together with a last `softmax`, on the
    values before it.  PyTorch's CrossEntropyLoss contains it; its NLLLoss wants it as the last
    layer.
    """

    activation = "glorot_uniform"

    def infer(self, *inputs: Type) -> Type:
        return _needs_a_vector(self.name, inputs[0])

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("LogSoftmax", *inputs, axis=-1)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        total = b.add(ReduceSum((out.type.rank - 1,), keepdims=True), grad)
        return (sub(b, grad, mul(b, b.add(Exp(), out), total)),)


def hits(b: Builder, correct: Value) -> Value:
    """A boolean as ones and zeros."""
    return cast(b, correct, "f32")
