"""One row for each layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepdsl.nn import initializers
from deepdsl.nn.layers import batch_norm as normalization
from deepdsl.nn.layers import layer_norm as row_norms
from deepdsl.nn.layers import noise
from deepdsl.nn.layers.activations import base as activations
from deepdsl.nn.layers.activations import gated_units as gated
from deepdsl.nn.layers.activations import relu_variants as rectifiers
from deepdsl.nn.layers.dense import Dense
from deepdsl.nn.layers.dropout import AlphaDropout, Dropout
from deepdsl.nn.layers.layer import Layer
from deepdsl.nn.layers.reshaping import AddLayer, Concat, Flatten, ReshapeTo

from .feeds import NX3, Feed, Formula, real, wide
from .formulas import (
    gelu,
    gelu_by_tanh,
    group_norm,
    hard_sigmoid,
    log_softmax,
    normalized,
    selu,
    sigmoid,
    sloped,
    unit_rows,
)


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
    layer(rectifiers.Relu(), NX3, formula=lambda x: np.maximum(x, 0)),
    layer(rectifiers.LeakyRelu(0.3), NX3, formula=lambda x: np.where(x > 0, x, 0.3 * x)),
    layer(rectifiers.Elu(), real("N", 2, 3), formula=lambda x: np.where(x > 0, x, np.expm1(x))),
    layer(rectifiers.Selu(), NX3, formula=selu),
    layer(activations.Sigmoid(), NX3, formula=sigmoid),
    layer(activations.Tanh(), NX3, formula=np.tanh),
    layer(activations.Identity(), NX3, formula=lambda x: x),
    layer(activations.Softmax(), NX3, formula=lambda x: np.exp(log_softmax(x))),
    layer(activations.LogSoftmax(), NX3, formula=log_softmax),
    layer(activations.Softsign(), NX3, formula=lambda x: x / (1 + np.abs(x))),
    layer(activations.HardSigmoid(), wide("N", 9), formula=hard_sigmoid),
    layer(rectifiers.Prelu(), NX3, formula=sloped),
    layer(
        rectifiers.Prelu(init=_NORMAL),
        real("N", 3, 2, 2),
        formula=lambda x, slope: sloped(x, slope.reshape(3, 1, 1)),
    ),
    layer(rectifiers.Rrelu(), NX3, formula=lambda x: sloped(x, 11 / 48)),
    layer(rectifiers.Rrelu(0.3, 0.3), NX3, formula=lambda x: sloped(x, 0.3)),
    layer(rectifiers.Celu(), NX3, formula=lambda x: np.where(x > 0, x, np.expm1(x))),
    layer(
        rectifiers.Celu(alpha=0.5), NX3, formula=lambda x: np.where(x > 0, x, np.expm1(2 * x) / 2)
    ),
    layer(rectifiers.Relu6(), wide("N", 9), formula=lambda x: np.clip(x, 0, 6)),
    layer(rectifiers.Threshold(), wide("N", 9), formula=lambda x: np.where(x > 1, x, 0)),
    layer(rectifiers.Threshold(-2.0, 7.0), wide("N", 9), formula=lambda x: np.where(x > -2, x, 7)),
    layer(rectifiers.Softplus(), NX3, formula=lambda x: np.log1p(np.exp(x))),
    layer(gated.Gelu(), wide("N", 9), formula=gelu),
    layer(gated.Gelu(approximate="tanh"), wide("N", 9), formula=gelu_by_tanh),
    layer(gated.Swish(), NX3, formula=lambda x: x * sigmoid(x)),
    layer(gated.Swish(beta=1.7), wide("N", 9), formula=lambda x: x * sigmoid(1.7 * x)),
    layer(gated.Mish(), wide("N", 9), formula=lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    layer(gated.HardSwish(), wide("N", 9), formula=lambda x: x * hard_sigmoid(x)),
    layer(Flatten(), real("N", 2, 3), formula=lambda x: x.reshape(len(x), -1)),
    layer(Flatten(), NX3, formula=lambda x: x),
    layer(ReshapeTo((3, 2)), real("N", 6), formula=lambda x: x.reshape(-1, 3, 2)),
    layer(Concat(), NX3, real("N", 2), formula=lambda x, y: np.concatenate([x, y], 1)),
    layer(AddLayer(), NX3, NX3, NX3, formula=lambda x, y, z: x + y + z),
    layer(
        Dense(4, init=_NORMAL, bias=_NORMAL),
        NX3,
        formula=lambda x, weight, bias: x @ weight + bias,
    ),
    layer(Dense(4, init=_NORMAL, bias=False), NX3, formula=lambda x, weight: x @ weight),
    layer(Dropout(0.4), NX3, formula=lambda x: x),
    layer(AlphaDropout(0.4), NX3, formula=lambda x: x),
    layer(noise.GaussianNoise(0.4), NX3, formula=lambda x: x),
    layer(
        normalization.BatchNorm(gamma=_NORMAL, beta=_NORMAL),
        NX3,
        formula=lambda x, gamma, beta, running_mean, running_variance: normalized(
            x, gamma, beta, running_mean, running_variance
        ),
    ),
    layer(normalization.BatchNorm(gamma=_NORMAL), real("N", 3, 2, 2)),
    layer(
        row_norms.LayerNorm(gamma=_NORMAL, beta=_NORMAL),
        NX3,
        formula=lambda x, gamma, beta: unit_rows(x)[0] * gamma + beta,
    ),
    layer(
        row_norms.LayerNorm(epsilon=0.1, gamma=_NORMAL),
        real("N", 2, 4),
        formula=lambda x, gamma, beta: unit_rows(x, 0.1)[0] * gamma + beta,
    ),
    layer(
        row_norms.RmsNorm(gamma=_NORMAL),
        real("N", 2, 3),
        formula=lambda x, gamma: unit_rows(x, 1e-6, centered=False)[0] * gamma,
    ),
    layer(
        row_norms.GroupNorm(2, gamma=_NORMAL, beta=_NORMAL),
        real("N", 4, 2, 3),
        formula=lambda x, gamma, beta: group_norm(x, gamma, beta, 2),
    ),
    layer(
        row_norms.GroupNorm(3, gamma=_NORMAL),
        real("N", 6),
        formula=lambda x, gamma, beta: group_norm(x, gamma, beta, 3),
    ),
    layer(
        row_norms.GroupNorm(3, epsilon=1e-5, gamma=_NORMAL),
        real("N", 3, 4),
        formula=lambda x, gamma, beta: group_norm(x, gamma, beta, 3, 1e-5),
    ),
)
