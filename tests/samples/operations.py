"""One row for each operation."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf

import numpy as np

from deepdsl.graph import Constant, Op, arithmetic, concatenation, reductions
from deepdsl.graph import gemm as linear
from deepdsl.graph import reshaping as shaping
from deepdsl.graph.graph import Dimension
from deepdsl.nn import losses, metrics
from deepdsl.nn.layers import batch_norm as normalization
from deepdsl.nn.layers import layer_norm as row_norms
from deepdsl.nn.layers import monte_carlo as sampling
from deepdsl.nn.layers import random_draws as random
from deepdsl.nn.layers.activations import base as activations
from deepdsl.nn.layers.activations import relu_variants as rectifiers

from .feeds import NX3, VECTOR, Feed, Formula, below, bits, positive, real, shares, truth, wide
from .formulas import (
    batch_norm,
    cross_entropy,
    divergence,
    focal,
    focal_of_classes,
    huber,
    log_softmax,
    normalized,
    selu,
    sigmoid,
    sloped,
    unit_rows,
)


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


STATISTICS = (real(3), real(3), real(3), positive(3))


OPS = (
    # Constants and sizes
    flat(Constant(2.5), formula=lambda: np.float32(2.5)),
    flat(Constant(((1.0, 2.0), (3.0, 4.0)), "f64"), formula=lambda: [[1.0, 2.0], [3.0, 4.0]]),
    flat(Constant(7, "i64"), formula=lambda: np.int64(7)),
    flat(Dimension(0), NX3, formula=lambda x: np.float32(len(x))),
    flat(Dimension(1, "i64"), real("N", 7), formula=lambda x: np.int64(7)),
    # Arithmetic, with and without broadcasting
    smooth(arithmetic.Add(), NX3, NX3, formula=np.add),
    smooth(arithmetic.Add(), NX3, VECTOR, formula=np.add),
    smooth(arithmetic.Add(), real(), NX3, formula=np.add),
    smooth(arithmetic.Add(), real("N", 1), real(1, 3), formula=np.add),
    smooth(arithmetic.Sub(), NX3, NX3, formula=np.subtract),
    smooth(arithmetic.Sub(), VECTOR, NX3, formula=np.subtract),
    smooth(arithmetic.Mul(), NX3, NX3, formula=np.multiply),
    smooth(arithmetic.Mul(), NX3, real(), formula=np.multiply),
    smooth(arithmetic.Div(), NX3, positive("N", 3), formula=np.divide),
    smooth(arithmetic.Div(), VECTOR, positive("N", 3), formula=np.divide),
    smooth(arithmetic.Neg(), NX3, formula=np.negative),
    smooth(arithmetic.Exp(), NX3, formula=np.exp),
    smooth(arithmetic.Log(), positive("N", 3), formula=np.log),
    smooth(arithmetic.Sqrt(), positive("N", 3), formula=np.sqrt),
    smooth(arithmetic.Erf(), NX3, formula=np.vectorize(erf)),
    smooth(arithmetic.Abs(), NX3, formula=np.abs),
    flat(arithmetic.Sign(), NX3, formula=np.sign),
    flat(arithmetic.Floor(), NX3, formula=np.floor),
    smooth(arithmetic.Cos(), NX3, formula=np.cos),
    OpSample(arithmetic.Pow(), (positive("N", 3), real(3)), np.power, (0,)),
    OpSample(arithmetic.Pow(), (positive(), real("N")), np.power, (0,)),
    smooth(arithmetic.Minimum(), NX3, NX3, formula=np.minimum),
    smooth(arithmetic.Minimum(), NX3, real(), formula=np.minimum),
    smooth(arithmetic.Maximum(), NX3, VECTOR, formula=np.maximum),
    flat(arithmetic.Greater(), NX3, NX3, formula=np.greater),
    flat(arithmetic.Less(), NX3, VECTOR, formula=np.less),
    flat(arithmetic.Equal(), below(3, "N", 2), below(3, "N", 2), formula=np.equal),
    OpSample(arithmetic.Where(), (truth("N", 3), NX3, NX3), np.where, (1, 2)),
    OpSample(arithmetic.Where(), (truth("N", 1), VECTOR, real()), np.where, (1, 2)),
    flat(arithmetic.IsFinite(), real(), formula=np.isfinite),
    flat(arithmetic.Cast("i64"), below(9, "N", dtype="u32"), formula=lambda x: x.astype(np.int64)),
    flat(arithmetic.Cast("bool"), bits("N"), formula=lambda x: x > 0),
    OpSample(arithmetic.Cast("f64"), (real("N"),), lambda x: x.astype(np.float64), (0,)),
    # Reductions
    smooth(shaping.ReduceSum((0,)), NX3, formula=lambda x: x.sum(0)),
    smooth(shaping.ReduceSum((1,), keepdims=True), NX3, formula=lambda x: x.sum(1, keepdims=True)),
    smooth(shaping.ReduceSum((0, 1)), NX3, formula=np.sum),
    smooth(reductions.ReduceMean((0,)), NX3, formula=lambda x: x.mean(0)),
    smooth(reductions.ReduceMean((1, 2)), real("N", 2, 3), formula=lambda x: x.mean((1, 2))),
    smooth(reductions.ReduceMean((0, 1)), NX3, formula=np.mean),
    smooth(reductions.SumOfSquares((0, 1)), NX3, formula=lambda x: (x * x).sum()),
    smooth(reductions.SumOfSquares((1,)), NX3, formula=lambda x: (x * x).sum(1)),
    flat(reductions.ArgMax(1), NX3, formula=lambda x: x.argmax(1)),
    # Shapes
    smooth(shaping.Reshape(("N", 6)), real("N", 2, 3), formula=lambda x: x.reshape(-1, 6)),
    smooth(shaping.Reshape(()), real(1), formula=lambda x: x.reshape(())),
    OpSample(shaping.BroadcastLike(), (VECTOR, real("N", 3)), lambda x, y: x + 0 * y, (0,)),
    OpSample(shaping.BroadcastLike(), (real("N", 1), NX3), lambda x, y: x + 0 * y, (0,)),
    smooth(
        concatenation.Concatenate(1),
        real("N", 2),
        NX3,
        formula=lambda x, y: np.concatenate([x, y], 1),
    ),
    smooth(
        concatenation.Concatenate(0), VECTOR, real(2), real(1), formula=lambda *x: np.concatenate(x)
    ),
    OpSample(
        concatenation.Split(1, (1, 2)), (NX3,), lambda x: (x[:, :1], x[:, 1:]), (0,), outputs=(0, 1)
    ),
    OpSample(
        concatenation.Split(0, (1, 2)), (VECTOR,), lambda x: (x[:1], x[1:]), (0,), outputs=(1,)
    ),
    # Products
    smooth(linear.Gemm(), NX3, real(3, 2), formula=lambda x, w: x @ w),
    smooth(linear.Gemm(), NX3, real(3, 2), real(2), formula=lambda x, w, c: x @ w + c),
    smooth(linear.Gemm(True, False), real(3, "N"), real(3, 2), formula=lambda x, w: x.T @ w),
    smooth(linear.Gemm(False, True), NX3, real(2, 3), formula=lambda x, w: x @ w.T),
    smooth(linear.Gemm(True, True), real(3, "N"), real(2, 3), formula=lambda x, w: x.T @ w.T),
    # Activations
    smooth(rectifiers.Relu(), NX3, formula=lambda x: np.maximum(x, 0)),
    smooth(rectifiers.LeakyRelu(0.2), NX3, formula=lambda x: np.where(x > 0, x, 0.2 * x)),
    smooth(rectifiers.LeakyRelu(0.0), NX3, formula=lambda x: np.maximum(x, 0)),
    smooth(rectifiers.Elu(), NX3, formula=lambda x: np.where(x > 0, x, np.expm1(x))),
    smooth(rectifiers.Elu(alpha=0.5), NX3, formula=lambda x: np.where(x > 0, x, np.expm1(x) / 2)),
    smooth(rectifiers.Selu(), NX3, formula=selu),
    smooth(activations.Sigmoid(), NX3, formula=sigmoid),
    smooth(activations.Tanh(), NX3, formula=np.tanh),
    smooth(activations.Identity(), NX3, formula=lambda x: x),
    smooth(activations.Softmax(), NX3, formula=lambda x: np.exp(log_softmax(x))),
    smooth(activations.Softmax(), real("N", 2, 3), formula=lambda x: np.exp(log_softmax(x))),
    smooth(activations.LogSoftmax(), NX3, formula=log_softmax),
    smooth(activations.LogSoftmax(), real("N", 2, 3), formula=log_softmax),
    smooth(activations.Softsign(), NX3, formula=lambda x: x / (1 + np.abs(x))),
    smooth(activations.HardSigmoid(), wide("N", 9), formula=lambda x: np.clip(x + 3, 0, 6) / 6),
    smooth(rectifiers.Softplus(), NX3, formula=lambda x: np.log1p(np.exp(x))),
    flat(rectifiers.Gate(), NX3, formula=lambda x: np.where(x > 0, 1.0, 0.0)),
    smooth(rectifiers.SlopedRelu(), NX3, VECTOR, formula=sloped),
    smooth(rectifiers.SlopedRelu(), real("N", 3, 2, 2), real(3, 1, 1), formula=sloped),
    # Norms
    OpSample(row_norms.Normalize(1e-3), (NX3,), unit_rows, (0,)),
    OpSample(row_norms.Normalize(0.1), (real("N", 2, 4),), lambda x: unit_rows(x, 0.1), (0,)),
    OpSample(
        row_norms.Normalize(1e-6, centered=False),
        (NX3,),
        lambda x: unit_rows(x, 1e-6, centered=False),
        (0,),
    ),
    smooth(normalization.BatchNormTraining(1e-3), NX3, VECTOR, VECTOR, formula=batch_norm),
    smooth(losses.MeanSquare(), real("N", 2, 3), formula=lambda x: (x * x).mean()),
    smooth(
        normalization.BatchNormTraining(1e-3),
        real("N", 3, 2, 2),
        VECTOR,
        VECTOR,
        formula=batch_norm,
    ),
    OpSample(normalization.BatchNormInference(1e-3), (NX3, *STATISTICS), normalized, (0, 1, 2)),
    OpSample(
        normalization.BatchNormInference(1e-3),
        (real("N", 3, 2, 2), *STATISTICS),
        normalized,
        (0, 1, 2),
    ),
    # Random numbers
    flat(random.UniformLike(12345), NX3, below(100, dtype="u32")),
    flat(
        random.NormalFromUniform(),
        shares("N", 3),
        shares("N", 3),
        formula=lambda u, v: np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v),
    ),
    flat(sampling.RepeatRows(3), NX3, formula=lambda x: np.repeat(x, 3, axis=0)),
    flat(sampling.RepeatRows(2), real("N", 2, 3), formula=lambda x: np.repeat(x, 2, axis=0)),
    # Losses
    flat(losses.OneHot(4), below(4, "N"), formula=lambda x: np.eye(4, dtype=np.float32)[x]),
    flat(losses.OneHot(4), below(4, "N", 2), formula=lambda x: np.eye(4, dtype=np.float32)[x]),
    OpSample(losses.SoftmaxCrossEntropy(), (NX3, shares("N", 3)), cross_entropy, (0,)),
    OpSample(
        losses.SoftmaxCrossEntropy(), (real("N", 2, 3), shares("N", 2, 3)), cross_entropy, (0,)
    ),
    OpSample(
        losses.SigmoidCrossEntropy(),
        (NX3, bits("N", 3)),
        lambda x, t: -(t * np.log(sigmoid(x)) + (1 - t) * np.log(sigmoid(-x))).mean(),
        (0,),
    ),
    OpSample(losses.SoftmaxDivergence(), (NX3, shares("N", 3)), divergence, (0,)),
    OpSample(losses.SoftmaxDivergence(), (real("N", 2, 3), positive("N", 2, 3)), divergence, (0,)),
    OpSample(losses.SigmoidFocal(2.0, 0.25), (NX3, bits("N", 3)), focal(2, 0.25), (0,)),
    OpSample(losses.SigmoidFocal(0.0, 0.5), (NX3, bits("N", 3)), focal(0, 0.5), (0,)),
    OpSample(losses.SoftmaxFocal(2.0), (NX3, shares("N", 3)), focal_of_classes(2), (0,)),
    OpSample(losses.SoftmaxFocal(0.5), (NX3, shares("N", 3)), focal_of_classes(0.5), (0,)),
    smooth(losses.MeanAbsolute(), real("N", 2, 3), formula=lambda x: np.abs(x).mean()),
    smooth(losses.MeanHuber(0.5), real("N", 2, 3), formula=lambda x: huber(x, 0.5).mean()),
    # Metrics
    flat(metrics.Largest(2), real("N", 4), formula=lambda x: np.argsort(-x, 1)[:, :2]),
    flat(metrics.Largest(3), real("N", 2, 3), formula=lambda x: np.argsort(-x, 2)),
)
