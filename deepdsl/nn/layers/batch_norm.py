"""Batch normalization: the layer, its training operation and its inference operation."""

from __future__ import annotations

from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Number, option
from deepdsl.graph import Builder, Emitter, Node, Op, Param, ShapeError, Type, Value
from deepdsl.graph.formula import Term, sqrt, terms
from deepdsl.graph.reductions import extent
from deepdsl.nn.initializers import Initializer, Ones, Start, Zeros
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer


@record
class BatchNorm(Layer):
    """`batch_norm`: z = gamma * (x - mean) / sqrt(variance + epsilon) + beta, per feature (per
    channel for images).

    Ioffe & Szegedy 2015.  In training, mean and (biased) variance are those of the batch, and the
    running values move: running = momentum * running + (1 - momentum) * batch.  At inference the
    running values are used.  The defaults are Keras's; PyTorch calls 1 - momentum its momentum
    (0.1) and has epsilon 1e-5.  Its place in the line is its place in the network: `dense 300 |
    batch_norm | elu` or `dense 300 | elu | batch_norm`.  A bias just before it is useless.
    """

    momentum: float = option(
        Number(minimum=0, maximum=1), "how slowly the running values move", 0.99
    )
    epsilon: float = option(Number(above=0), "added to the variance", 1e-3)
    gamma: Initializer = option(Start("initializer"), "how the scale begins", Ones())
    beta: Initializer = option(Start("initializer"), "how the shift begins", Zeros())

    transparent = True
    parts_rows = True
    source = "Ioffe & Szegedy 2015, arXiv:1502.03167"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if x.type.rank < 2:
            raise ShapeError("`batch_norm` takes a vector or more", "it was given a single number")
        features = x.type.shape[1]
        assert isinstance(features, int)
        shape = (features,)
        dtype: Any = x.type.dtype
        gamma = scope.param("gamma", shape, self.gamma, "norm", dtype=dtype)
        beta = scope.param("beta", shape, self.beta, "norm", dtype=dtype)
        mean = scope.param("running_mean", shape, Zeros(), "statistic", dtype=dtype)
        variance = scope.param("running_variance", shape, Ones(), "statistic", dtype=dtype)
        b = scope.builder
        if not scope.training:
            return b.add(BatchNormInference(self.epsilon), x, gamma, beta, mean, variance)
        out, batch_mean, batch_variance, *_ = b.apply(
            BatchNormTraining(self.epsilon), x, gamma, beta
        )
        for param, value in ((mean, batch_mean), (variance, batch_variance)):
            running, batch = terms(b, b.current(param), value)
            b.update(param, (self.momentum * running + (1 - self.momentum) * batch).value)
        return out

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        """In training: what rows share is taken away, what tells them apart is brought to 1."""
        (x,) = inputs
        scale = self.gamma.second_moment((1, 1))
        shift = self.beta.second_moment((1, 1))
        if scale is None or shift is None:
            return None
        inverse = 1 / (x.between_rows + self.epsilon)
        out = Moments(self.beta.center, scale * x.between_rows * inverse + shift, shift)
        factor = scale * inverse
        # What the rows share is part of a row's own direction, and nothing comes back along it.
        own = x.between_rows / x.square if x.square else 1.0
        return Transfer(out, (Gain(factor, 0.0, factor * (1 - own), factor * own),))


def _per_feature(x: Type) -> tuple[int, ...]:
    """The shape in which one number for each feature broadcasts against x."""
    features = x.shape[1]
    assert isinstance(features, int)
    return (features, *[1] * (x.rank - 2))


@record
class BatchNormTraining(Op):
    """Normalization by the batch's own statistics.

    Outputs: the result, the batch's mean and biased variance, and, for the gradient, x - mean and 1
    / sqrt(variance + epsilon).  The algebra is done per feature, so that only five operations touch
    the whole batch.
    """

    epsilon: float

    def infer(self, *inputs: Type) -> tuple[Type, ...]:
        x, gamma, _ = inputs
        return x, gamma, gamma, x, gamma

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        x, gamma, beta = inputs
        type_ = node.inputs[0].type
        axes = onnx.constant(_batch_axes(type_), "i64")
        shape = onnx.constant(_per_feature(type_), "i64")

        def spread(v: str) -> str:
            return v if type_.rank == 2 else onnx.node("Reshape", v, shape)

        # In two passes: a difference of squares would lose the digits of features far from 0.
        mean = onnx.node("ReduceMean", x, axes, keepdims=0)
        centered = onnx.node("Sub", x, spread(mean))
        squares = onnx.node("Mul", centered, centered)
        variance = onnx.node("ReduceMean", squares, axes, keepdims=0)
        epsilon = onnx.constant(self.epsilon, type_.dtype)
        root = onnx.node("Sqrt", onnx.node("Add", variance, epsilon))
        inverse = onnx.node("Reciprocal", root)
        scale = onnx.node("Mul", inverse, gamma)
        out = onnx.node("Add", onnx.node("Mul", centered, spread(scale)), spread(beta))
        return [out, mean, variance, centered, inverse]

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value | None, ...]:
        """Ioffe & Szegedy 2015, section 3: with z = (x - mean) * inverse,

        dx = gamma * inverse * (dy - mean(dy) - z * mean(dy * z)).
        """
        assert grads[0] is not None, "the running statistics have no gradient"
        type_ = inputs[0].type
        axes, shape = _batch_axes(type_), _per_feature(type_)
        dy, gamma, centered, inverse = terms(b, grads[0], inputs[1], outs[3], outs[4])
        d_beta = dy.sum(axes)
        d_gamma = (dy * centered).sum(axes) * inverse  # the sum of dy * z
        n = Term(b, extent(b, tuple(type_.shape[a] for a in axes), type_.dtype))
        scale = gamma * inverse
        shift = scale * d_beta / n
        slope = scale * inverse * d_gamma / n
        dx = dy * scale.reshaped(shape) - shift.reshaped(shape) - centered * slope.reshaped(shape)
        return dx.value, d_gamma.value, d_beta.value


@record
class BatchNormInference(Op):
    """Normalization by the running statistics: inputs are x, gamma, beta, mean, variance."""

    epsilon: float

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("BatchNormalization", *inputs, epsilon=self.epsilon)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value | None, ...]:
        """With the statistics fixed the layer is affine: dx = dy * gamma / sqrt(variance +
        epsilon).
        """
        axes, shape = _batch_axes(inputs[0].type), _per_feature(inputs[0].type)
        dy, x, gamma, _, mean, variance = terms(b, grad, *inputs)
        root = sqrt(variance + self.epsilon)
        dx = dy * (gamma / root).reshaped(shape)
        centered = x - mean.reshaped(shape)
        d_gamma = (dy * centered).sum(axes) / root
        return dx.value, d_gamma.value, dy.sum(axes).value, None, None


def _batch_axes(x: Type) -> tuple[int, ...]:
    """Every axis but the features' (axis 1)."""
    return tuple(a for a in range(x.rank) if a != 1)
