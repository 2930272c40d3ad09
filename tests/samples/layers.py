"""One row for each layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepdsl import initializers
from deepdsl.ops import activations, normalization
from deepdsl.ops.arrangement import AddLayer, Concat, Flatten, ReshapeTo
from deepdsl.ops.dense import Dense
from deepdsl.ops.dropout import Dropout
from deepdsl.ops.layer import Layer

from .feeds import NX3, Feed, Formula, real
from .formulas import log_softmax, normalized, selu, sigmoid


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
    layer(activations.Relu(), NX3, formula=lambda x: np.maximum(x, 0)),
    layer(activations.LeakyRelu(0.3), NX3, formula=lambda x: np.where(x > 0, x, 0.3 * x)),
    layer(activations.Elu(), real("N", 2, 3), formula=lambda x: np.where(x > 0, x, np.expm1(x))),
    layer(activations.Selu(), NX3, formula=selu),
    layer(activations.Sigmoid(), NX3, formula=sigmoid),
    layer(activations.Tanh(), NX3, formula=np.tanh),
    layer(activations.Identity(), NX3, formula=lambda x: x),
    layer(activations.Softmax(), NX3, formula=lambda x: np.exp(log_softmax(x))),
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
    layer(
        normalization.BatchNorm(gamma=_NORMAL, beta=_NORMAL),
        NX3,
        formula=lambda x, gamma, beta, running_mean, running_variance: normalized(
            x, gamma, beta, running_mean, running_variance
        ),
    ),
    layer(normalization.BatchNorm(gamma=_NORMAL), real("N", 3, 2, 2)),
)
