"""One row of test data for each operation and for each name of the language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from deepdsl import initializers, losses, metrics, optimizers, schedules
from deepdsl.initializers import Initializer
from deepdsl.ir import Constant, Dim, DType, Op
from deepdsl.ir.constant import Dimension
from deepdsl.losses import Loss
from deepdsl.metrics import Metric
from deepdsl.ops import activations, arithmetic, linear, normalization, random, reductions, shaping
from deepdsl.ops.activations import SELU_ALPHA, SELU_SCALE
from deepdsl.ops.arrangement import AddLayer, Concat, Flatten, ReshapeTo
from deepdsl.ops.dense import Dense
from deepdsl.ops.dropout import Dropout
from deepdsl.ops.layer import Layer
from deepdsl.optimizers import Optimizer
from deepdsl.schedules import Schedule

Array = np.ndarray[Any, Any]
Formula = Callable[..., Any]

# The rows that the symbolic dimension N has in a run.
ROWS = 5


# Sample inputs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Feed:
    """A shape and how its values are drawn; `dtype` is None for the float type under test."""

    shape: tuple[Dim, ...]
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array]
    dtype: DType | None = None

    def values(self, rng: np.random.Generator) -> Array:
        return self.draw(rng, tuple(ROWS if isinstance(d, str) else d for d in self.shape))


def real(*shape: Dim) -> Feed:
    """Standard normal numbers; none is within 0.01 of 0, where many functions have a kink."""

    def draw(rng: np.random.Generator, sizes: tuple[int, ...]) -> Array:
        values = rng.standard_normal(sizes)
        return np.asarray(values + 0.01 * np.sign(values))

    return Feed(shape, draw)


def positive(*shape: Dim) -> Feed:
    return Feed(shape, lambda rng, sizes: np.asarray(rng.uniform(0.2, 3.0, sizes)))


def shares(*shape: Dim) -> Feed:
    """Rows of probabilities."""

    def draw(rng: np.random.Generator, sizes: tuple[int, ...]) -> Array:
        values = rng.uniform(0.1, 1.0, sizes)
        return np.asarray(values / values.sum(-1, keepdims=True))

    return Feed(shape, draw)


def below(limit: int, *shape: Dim, dtype: DType = "i64") -> Feed:
    return Feed(shape, lambda rng, sizes: np.asarray(rng.integers(0, limit, sizes)), dtype)


def bits(*shape: Dim) -> Feed:
    """Zeros and ones as floats."""
    return Feed(shape, lambda rng, sizes: rng.integers(0, 2, sizes).astype(np.float64))


def truth(*shape: Dim) -> Feed:
    return Feed(shape, lambda rng, sizes: rng.integers(0, 2, sizes) > 0, "bool")


# Operations ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpSample:
    """An operation with its inputs.

    `formula` gives the outputs in NumPy.  `gradients` are the inputs that have a gradient,
    `outputs` the outputs that pass one back.
    """

    op: Op
    feeds: tuple[Feed, ...]
    formula: Formula | None = None
    gradients: tuple[int, ...] = ()
    outputs: tuple[int, ...] = (0,)

    @property
    def id(self) -> str:
        return f"{self.op} on {' '.join(str(list(f.shape)) for f in self.feeds)}"


def smooth(op: Op, *feeds: Feed, formula: Formula | None = None) -> OpSample:
    """A sample whose inputs all have a gradient."""
    return OpSample(op, feeds, formula, tuple(range(len(feeds))))


def flat(op: Op, *feeds: Feed, formula: Formula | None = None) -> OpSample:
    """A sample whose inputs have none."""
    return OpSample(op, feeds, formula)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _log_softmax(x: Array) -> Array:
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _batch_norm(x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
    axes = tuple(a for a in range(x.ndim) if a != 1)
    shape = (-1, *[1] * (x.ndim - 2))
    mean, variance = x.mean(axes), x.var(axes)
    centered = x - mean.reshape(shape)
    inverse = 1 / np.sqrt(variance + 1e-3)
    out = centered * (inverse * gamma).reshape(shape) + beta.reshape(shape)
    return out, mean, variance, centered, inverse


def _normalized(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array) -> Array:
    shape = (-1, *[1] * (x.ndim - 2))
    scale = gamma / np.sqrt(variance + 1e-3)
    return (x - mean.reshape(shape)) * scale.reshape(shape) + beta.reshape(shape)


def _selu(x: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))


def _cross_entropy(x: Array, target: Array) -> tuple[Any, Array]:
    log = _log_softmax(x)
    return -(target * log).sum(-1).mean(), log


_NX3, _3 = real("N", 3), real(3)
_STATISTICS = (real(3), real(3), real(3), positive(3))

OPS = (
    # Constants and sizes
    flat(Constant(2.5), formula=lambda: np.float32(2.5)),
    flat(Constant(((1.0, 2.0), (3.0, 4.0)), "f64"), formula=lambda: [[1.0, 2.0], [3.0, 4.0]]),
    flat(Constant(7, "i64"), formula=lambda: np.int64(7)),
    flat(Dimension(0), _NX3, formula=lambda x: np.float32(len(x))),
    flat(Dimension(1, "i64"), real("N", 7), formula=lambda x: np.int64(7)),
    # Arithmetic, with and without broadcasting
    smooth(arithmetic.Add(), _NX3, _NX3, formula=np.add),
    smooth(arithmetic.Add(), _NX3, _3, formula=np.add),
    smooth(arithmetic.Add(), real(), _NX3, formula=np.add),
    smooth(arithmetic.Add(), real("N", 1), real(1, 3), formula=np.add),
    smooth(arithmetic.Sub(), _NX3, _NX3, formula=np.subtract),
    smooth(arithmetic.Sub(), _3, _NX3, formula=np.subtract),
    smooth(arithmetic.Mul(), _NX3, _NX3, formula=np.multiply),
    smooth(arithmetic.Mul(), _NX3, real(), formula=np.multiply),
    smooth(arithmetic.Div(), _NX3, positive("N", 3), formula=np.divide),
    smooth(arithmetic.Div(), _3, positive("N", 3), formula=np.divide),
    smooth(arithmetic.Neg(), _NX3, formula=np.negative),
    smooth(arithmetic.Exp(), _NX3, formula=np.exp),
    smooth(arithmetic.Log(), positive("N", 3), formula=np.log),
    smooth(arithmetic.Sqrt(), positive("N", 3), formula=np.sqrt),
    smooth(arithmetic.Abs(), _NX3, formula=np.abs),
    flat(arithmetic.Sign(), _NX3, formula=np.sign),
    flat(arithmetic.Floor(), _NX3, formula=np.floor),
    OpSample(arithmetic.Pow(), (positive("N", 3), real(3)), np.power, (0,)),
    OpSample(arithmetic.Pow(), (positive(), real("N")), np.power, (0,)),
    smooth(arithmetic.Minimum(), _NX3, _NX3, formula=np.minimum),
    smooth(arithmetic.Minimum(), _NX3, real(), formula=np.minimum),
    smooth(arithmetic.Maximum(), _NX3, _3, formula=np.maximum),
    flat(arithmetic.Greater(), _NX3, _NX3, formula=np.greater),
    flat(arithmetic.Less(), _NX3, _3, formula=np.less),
    flat(arithmetic.Equal(), below(3, "N", 2), below(3, "N", 2), formula=np.equal),
    OpSample(arithmetic.Where(), (truth("N", 3), _NX3, _NX3), np.where, (1, 2)),
    OpSample(arithmetic.Where(), (truth("N", 1), _3, real()), np.where, (1, 2)),
    flat(arithmetic.IsFinite(), real(), formula=np.isfinite),
    flat(arithmetic.Cast("i64"), below(9, "N", dtype="u32"), formula=lambda x: x.astype(np.int64)),
    flat(arithmetic.Cast("bool"), bits("N"), formula=lambda x: x > 0),
    OpSample(arithmetic.Cast("f64"), (real("N"),), lambda x: x.astype(np.float64), (0,)),
    # Reductions
    smooth(reductions.ReduceSum((0,)), _NX3, formula=lambda x: x.sum(0)),
    smooth(
        reductions.ReduceSum((1,), keepdims=True), _NX3, formula=lambda x: x.sum(1, keepdims=True)
    ),
    smooth(reductions.ReduceSum((0, 1)), _NX3, formula=np.sum),
    smooth(reductions.ReduceMean((0,)), _NX3, formula=lambda x: x.mean(0)),
    smooth(reductions.ReduceMean((1, 2)), real("N", 2, 3), formula=lambda x: x.mean((1, 2))),
    smooth(reductions.ReduceMean((0, 1)), _NX3, formula=np.mean),
    smooth(reductions.SumOfSquares((0, 1)), _NX3, formula=lambda x: (x * x).sum()),
    smooth(reductions.SumOfSquares((1,)), _NX3, formula=lambda x: (x * x).sum(1)),
    flat(reductions.ArgMax(1), _NX3, formula=lambda x: x.argmax(1)),
    # Shapes
    smooth(shaping.Reshape(("N", 6)), real("N", 2, 3), formula=lambda x: x.reshape(-1, 6)),
    smooth(shaping.Reshape(()), real(1), formula=lambda x: x.reshape(())),
    OpSample(shaping.BroadcastLike(), (_3, real("N", 3)), lambda x, y: x + 0 * y, (0,)),
    OpSample(shaping.BroadcastLike(), (real("N", 1), _NX3), lambda x, y: x + 0 * y, (0,)),
    smooth(
        shaping.Concatenate(1), real("N", 2), _NX3, formula=lambda x, y: np.concatenate([x, y], 1)
    ),
    smooth(shaping.Concatenate(0), _3, real(2), real(1), formula=lambda *x: np.concatenate(x)),
    OpSample(
        shaping.Split(1, (1, 2)), (_NX3,), lambda x: (x[:, :1], x[:, 1:]), (0,), outputs=(0, 1)
    ),
    OpSample(shaping.Split(0, (1, 2)), (_3,), lambda x: (x[:1], x[1:]), (0,), outputs=(1,)),
    # Products
    smooth(linear.Gemm(), _NX3, real(3, 2), formula=lambda x, w: x @ w),
    smooth(linear.Gemm(), _NX3, real(3, 2), real(2), formula=lambda x, w, c: x @ w + c),
    smooth(linear.Gemm(True, False), real(3, "N"), real(3, 2), formula=lambda x, w: x.T @ w),
    smooth(linear.Gemm(False, True), _NX3, real(2, 3), formula=lambda x, w: x @ w.T),
    smooth(linear.Gemm(True, True), real(3, "N"), real(2, 3), formula=lambda x, w: x.T @ w.T),
    # Activations
    smooth(activations.Relu(), _NX3, formula=lambda x: np.maximum(x, 0)),
    smooth(activations.LeakyRelu(0.2), _NX3, formula=lambda x: np.where(x > 0, x, 0.2 * x)),
    smooth(activations.LeakyRelu(0.0), _NX3, formula=lambda x: np.maximum(x, 0)),
    smooth(activations.Elu(), _NX3, formula=lambda x: np.where(x > 0, x, np.expm1(x))),
    smooth(activations.Elu(alpha=0.5), _NX3, formula=lambda x: np.where(x > 0, x, np.expm1(x) / 2)),
    smooth(activations.Selu(), _NX3, formula=_selu),
    smooth(activations.Sigmoid(), _NX3, formula=_sigmoid),
    smooth(activations.Tanh(), _NX3, formula=np.tanh),
    smooth(activations.Identity(), _NX3, formula=lambda x: x),
    smooth(activations.Softmax(), _NX3, formula=lambda x: np.exp(_log_softmax(x))),
    smooth(activations.Softmax(), real("N", 2, 3), formula=lambda x: np.exp(_log_softmax(x))),
    flat(activations.LogSoftmax(), _NX3, formula=_log_softmax),
    smooth(activations.Softplus(), _NX3, formula=lambda x: np.log1p(np.exp(x))),
    # Batch norm
    smooth(normalization.BatchNormTraining(1e-3), _NX3, _3, _3, formula=_batch_norm),
    smooth(losses.MeanSquare(), real("N", 2, 3), formula=lambda x: (x * x).mean()),
    smooth(normalization.BatchNormTraining(1e-3), real("N", 3, 2, 2), _3, _3, formula=_batch_norm),
    OpSample(normalization.BatchNormInference(1e-3), (_NX3, *_STATISTICS), _normalized, (0, 1, 2)),
    OpSample(
        normalization.BatchNormInference(1e-3),
        (real("N", 3, 2, 2), *_STATISTICS),
        _normalized,
        (0, 1, 2),
    ),
    # Random numbers
    flat(random.UniformLike(12345), _NX3, below(100, dtype="u32")),
    # Losses
    flat(losses.OneHot(4), below(4, "N"), formula=lambda x: np.eye(4, dtype=np.float32)[x]),
    flat(losses.OneHot(4), below(4, "N", 2), formula=lambda x: np.eye(4, dtype=np.float32)[x]),
    OpSample(losses.SoftmaxCrossEntropy(), (_NX3, shares("N", 3)), _cross_entropy, (0,)),
    OpSample(
        losses.SoftmaxCrossEntropy(), (real("N", 2, 3), shares("N", 2, 3)), _cross_entropy, (0,)
    ),
    OpSample(
        losses.SigmoidCrossEntropy(),
        (_NX3, bits("N", 3)),
        lambda x, t: -(t * np.log(_sigmoid(x)) + (1 - t) * np.log(_sigmoid(-x))).mean(),
        (0,),
    ),
)


# Layers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerSample:
    """A layer with its operands; `formula` gives its inference from them and the parameters."""

    layer: Layer
    feeds: tuple[Feed, ...]
    formula: Formula | None = None

    @property
    def id(self) -> str:
        return f"{self.layer.show()} on {' '.join(str(list(f.shape)) for f in self.feeds)}"


def layer(made: Layer, *feeds: Feed, formula: Formula | None = None) -> LayerSample:
    return LayerSample(made, feeds, formula)


_NORMAL = initializers.Normal(std=0.5)

LAYERS = (
    layer(activations.Relu(), _NX3, formula=lambda x: np.maximum(x, 0)),
    layer(activations.LeakyRelu(0.3), _NX3, formula=lambda x: np.where(x > 0, x, 0.3 * x)),
    layer(activations.Elu(), real("N", 2, 3), formula=lambda x: np.where(x > 0, x, np.expm1(x))),
    layer(activations.Selu(), _NX3, formula=_selu),
    layer(activations.Sigmoid(), _NX3, formula=_sigmoid),
    layer(activations.Tanh(), _NX3, formula=np.tanh),
    layer(activations.Identity(), _NX3, formula=lambda x: x),
    layer(activations.Softmax(), _NX3, formula=lambda x: np.exp(_log_softmax(x))),
    layer(Flatten(), real("N", 2, 3), formula=lambda x: x.reshape(len(x), -1)),
    layer(Flatten(), _NX3, formula=lambda x: x),
    layer(ReshapeTo((3, 2)), real("N", 6), formula=lambda x: x.reshape(-1, 3, 2)),
    layer(Concat(), _NX3, real("N", 2), formula=lambda x, y: np.concatenate([x, y], 1)),
    layer(AddLayer(), _NX3, _NX3, _NX3, formula=lambda x, y, z: x + y + z),
    layer(
        Dense(4, init=_NORMAL, bias=_NORMAL),
        _NX3,
        formula=lambda x, weight, bias: x @ weight + bias,
    ),
    layer(Dense(4, init=_NORMAL, bias=False), _NX3, formula=lambda x, weight: x @ weight),
    layer(Dropout(0.4), _NX3, formula=lambda x: x),
    layer(
        normalization.BatchNorm(gamma=_NORMAL, beta=_NORMAL),
        _NX3,
        formula=lambda x, gamma, beta, running_mean, running_variance: _normalized(
            x, gamma, beta, running_mean, running_variance
        ),
    ),
    layer(normalization.BatchNorm(gamma=_NORMAL), real("N", 3, 2, 2)),
)


# Initializers -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InitializerSample:
    """An initializer, and what a kernel of 784 by 300 must show: deviation and largest value."""

    init: Initializer
    std: float
    limit: float = float("inf")


# A normal distribution that is cut at two standard deviations and widened ends there.
_CUT = 2 / initializers.TRUNCATED_STD

INITIALIZERS = (
    InitializerSample(initializers.GlorotUniform(), 0.04299, 0.07440),
    InitializerSample(initializers.GlorotNormal(), 0.04295, _CUT * sqrt(1 / 542)),
    InitializerSample(initializers.HeUniform(), sqrt(2 / 784), sqrt(6 / 784)),
    InitializerSample(initializers.HeNormal(), 0.0505, _CUT * sqrt(2 / 784)),
    InitializerSample(initializers.LecunUniform(), sqrt(1 / 784), sqrt(3 / 784)),
    InitializerSample(initializers.LecunNormal(), 0.0357, _CUT * sqrt(1 / 784)),
    InitializerSample(
        initializers.VarianceScaling(scale=2.0, mode="fan_avg", distribution="uniform"),
        sqrt(2 / 542),
        0.10521,
    ),
    InitializerSample(
        initializers.VarianceScaling(scale=1.0, mode="fan_out", distribution="normal"),
        sqrt(1 / 300),
    ),
    InitializerSample(initializers.Uniform(0.3), 0.3 / sqrt(3), 0.3),
    InitializerSample(initializers.Normal(0.3), 0.3),
    InitializerSample(initializers.TruncatedNormal(0.3), 0.3 * initializers.TRUNCATED_STD, 2 * 0.3),
    InitializerSample(initializers.Orthogonal(gain=2.0), 2.0 / sqrt(784)),
    InitializerSample(initializers.Constant(0.1), 0.0, 0.1),
    InitializerSample(initializers.Zeros(), 0.0, 0.0),
    InitializerSample(initializers.Ones(), 0.0, 1.0),
    InitializerSample(initializers.Identity(gain=3.0), 3 * sqrt(1 / 784 - 1 / 784**2), 3.0),
)


# Losses and metrics -------------------------------------------------------------------------------


@dataclass(frozen=True)
class LossSample:
    """A loss on a model's last values, with targets; `formula` is the loss in NumPy."""

    loss: Loss
    output: Feed
    target: Feed
    formula: Formula
    one_hot: bool = False


def _from_classes(x: Array, t: Array) -> Any:
    return _cross_entropy(x, np.eye(x.shape[-1])[t])[0]


def _smoothed(x: Array, t: Array) -> Any:
    return _cross_entropy(x, 0.8 * np.eye(x.shape[-1])[t] + 0.2 / x.shape[-1])[0]


LOSSES = (
    LossSample(losses.CrossEntropy(), real("N", 4), below(4, "N"), _from_classes),
    LossSample(losses.CrossEntropy(smoothing=0.2), real("N", 4), below(4, "N"), _smoothed),
    LossSample(
        losses.CrossEntropy(),
        real("N", 4),
        shares("N", 4),
        lambda x, t: _cross_entropy(x, t)[0],
        one_hot=True,
    ),
    LossSample(
        losses.BinaryCrossEntropy(),
        real("N", 2),
        bits("N", 2),
        lambda x, t: (np.log1p(np.exp(x)) - t * x).mean(),
    ),
    LossSample(losses.MeanSquaredError(), _NX3, _NX3, lambda x, t: ((x - t) ** 2).mean()),
)


@dataclass(frozen=True)
class MetricSample:
    """A metric on outputs and targets; `formula` is its value over all rows."""

    metric: Metric
    output: Feed
    target: Feed
    kind: losses.TargetKind
    formula: Formula


def _area(scores: Array, targets: Array) -> Any:
    """Every positive row against every negative one."""
    s, t = scores[:, 0], targets[:, 0] > 0.5
    ahead = np.sign(s[t][:, None] - s[~t][None, :])
    return ((ahead + 1) / 2).mean()


METRICS = (
    MetricSample(
        metrics.Accuracy(),
        real("N", 4),
        below(4, "N"),
        "index",
        lambda x, t: (x.argmax(1) == t).mean(),
    ),
    MetricSample(
        metrics.Accuracy(),
        real("N", 4),
        shares("N", 4),
        "one_hot",
        lambda x, t: (x.argmax(1) == t.argmax(1)).mean(),
    ),
    MetricSample(
        metrics.Accuracy(),
        real("N", 3),
        bits("N", 3),
        "binary",
        lambda x, t: ((x > 0.5) == (t > 0.5)).mean(),
    ),
    MetricSample(metrics.Mae(), _NX3, _NX3, "value", lambda x, t: np.abs(x - t).mean()),
    MetricSample(metrics.Auc(), real("N", 1), bits("N", 1), "binary", _area),
)


# Optimizers ---------------------------------------------------------------------------------------

Slots = dict[str, Any]


@dataclass(frozen=True)
class OptimizerSample:
    """An optimizer, and its rule in NumPy: (weight, gradient, slots, t from 1) to next weight."""

    optimizer: Optimizer
    rule: Callable[[Array, Array, Slots, int], Array]


def sgd_rule(
    lr: float, momentum: float = 0.0, nesterov: bool = False, decay: float = 0.0
) -> Formula:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        g = g + decay * w
        m = slots["m"] = momentum * slots.get("m", 0) - lr * g
        return w + momentum * m - lr * g if nesterov else w + m

    return rule


def adam_rule(
    lr: float, b1: float = 0.9, b2: float = 0.999, epsilon: float = 1e-7, decay: float = 0.0
) -> Formula:
    def rule(w: Array, g: Array, slots: Slots, t: int) -> Array:
        m = slots["m"] = b1 * slots.get("m", 0) + (1 - b1) * g
        v = slots["v"] = b2 * slots.get("v", 0) + (1 - b2) * g * g
        w = w - lr * decay * w
        return w - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon)

    return rule


OPTIMIZERS = (
    OptimizerSample(optimizers.Sgd(lr=0.1), sgd_rule(0.1)),
    OptimizerSample(optimizers.Sgd(lr=0.1, weight_decay=0.1), sgd_rule(0.1, decay=0.1)),
    OptimizerSample(optimizers.Sgd(lr=0.05, momentum=0.9), sgd_rule(0.05, 0.9)),
    OptimizerSample(
        optimizers.Sgd(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.02),
        sgd_rule(0.05, 0.9, nesterov=True, decay=0.02),
    ),
    OptimizerSample(optimizers.Adam(lr=0.02), adam_rule(0.02)),
    OptimizerSample(
        optimizers.Adam(lr=0.02, beta_1=0.8, beta_2=0.9, epsilon=0.1),
        adam_rule(0.02, 0.8, 0.9, 0.1),
    ),
    OptimizerSample(optimizers.Adamw(lr=0.02, weight_decay=0.1), adam_rule(0.02, decay=0.1)),
)


# Schedules ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScheduleSample:
    """A schedule, and the rate after so many steps: `formula(lr, step, steps of an epoch)`."""

    schedule: Schedule
    formula: Callable[[float, int, int], float]


SCHEDULES = (
    ScheduleSample(schedules.Constant(), lambda lr, step, epoch: lr),
    ScheduleSample(
        schedules.Exponential(factor=0.1, every=2.0),
        lambda lr, step, epoch: lr * 0.1 ** (step / epoch / 2),
    ),
    ScheduleSample(
        schedules.Exponential(factor=0.5, every=3.0, staircase=True),
        lambda lr, step, epoch: lr * 0.5 ** (step // (3 * epoch)),
    ),
    ScheduleSample(
        schedules.Exponential(factor=0.5, every=49.0, per="step", staircase=True),
        lambda lr, step, epoch: lr * 0.5 ** (step // 49),
    ),
    ScheduleSample(
        schedules.Piecewise(((0.0, 0.1), (1.0, 0.01), (3.0, 0.001))),
        lambda lr, step, epoch: 0.1 if step < epoch else 0.01 if step < 3 * epoch else 0.001,
    ),
    ScheduleSample(
        schedules.Piecewise(((10.0, 0.0), (5.0, 0.2)), per="step"),
        lambda lr, step, epoch: lr if step < 5 else 0.2 if step < 10 else 0.0,
    ),
)
