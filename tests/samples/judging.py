"""One row for each loss and each metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepdsl import losses, metrics
from deepdsl.losses import Loss
from deepdsl.metrics import Metric

from .feeds import NX3, Array, Feed, Formula, below, bits, real, shares
from .formulas import cross_entropy


@dataclass(frozen=True)
class LossSample:
    """A loss on a model's last values, with targets; `formula` is the loss in NumPy."""

    loss: Loss
    output: Feed
    target: Feed
    formula: Formula
    one_hot: bool = False


def _from_classes(x: Array, t: Array) -> Any:
    return cross_entropy(x, np.eye(x.shape[-1])[t])[0]


def _smoothed(x: Array, t: Array) -> Any:
    return cross_entropy(x, 0.8 * np.eye(x.shape[-1])[t] + 0.2 / x.shape[-1])[0]


LOSSES = (
    LossSample(losses.CrossEntropy(), real("N", 4), below(4, "N"), _from_classes),
    LossSample(losses.CrossEntropy(smoothing=0.2), real("N", 4), below(4, "N"), _smoothed),
    LossSample(
        losses.CrossEntropy(),
        real("N", 4),
        shares("N", 4),
        lambda x, t: cross_entropy(x, t)[0],
        one_hot=True,
    ),
    LossSample(
        losses.BinaryCrossEntropy(),
        real("N", 2),
        bits("N", 2),
        lambda x, t: (np.log1p(np.exp(x)) - t * x).mean(),
    ),
    LossSample(losses.MeanSquaredError(), NX3, NX3, lambda x, t: ((x - t) ** 2).mean()),
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
    MetricSample(metrics.Mae(), NX3, NX3, "value", lambda x, t: np.abs(x - t).mean()),
    MetricSample(metrics.Auc(), real("N", 1), bits("N", 1), "binary", _area),
)
