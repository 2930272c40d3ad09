"""One row for each loss and each metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepdsl.nn import losses, metrics
from deepdsl.nn.losses import Loss
from deepdsl.nn.metrics import Metric

from .feeds import NX3, Array, Feed, Formula, below, bits, real, shares
from .formulas import cross_entropy, divergence, focal, focal_of_classes, huber, log_softmax


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


def _yes_or_no(x: Array, t: Array) -> Any:
    return (np.log1p(np.exp(x)) - t * x).mean()


def _missing(x: Array, t: Array) -> Array:
    """What the margin falls short of 1."""
    return np.maximum(0, 1 - np.where(t > 0.5, x, -x))


def _focal_from_classes(x: Array, t: Array) -> Any:
    return focal_of_classes(2)(x, np.eye(x.shape[-1])[t])[0]


AFTER_SOFTMAX = losses.Focal().after("softmax")

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
        losses.KlDivergence(), real("N", 4), shares("N", 4), lambda x, t: divergence(x, t)[0]
    ),
    LossSample(losses.BinaryCrossEntropy(), real("N", 2), bits("N", 2), _yes_or_no),
    LossSample(
        losses.BinaryCrossEntropy(smoothing=0.2),
        real("N", 2),
        bits("N", 2),
        lambda x, t: _yes_or_no(x, 0.8 * t + 0.1),
    ),
    LossSample(losses.Hinge(), real("N", 2), bits("N", 2), lambda x, t: _missing(x, t).mean()),
    LossSample(
        losses.Hinge(squared=True),
        real("N", 2),
        bits("N", 2),
        lambda x, t: (_missing(x, t) ** 2).mean(),
    ),
    LossSample(losses.Focal(), real("N", 2), bits("N", 2), focal(2, 0.25)),
    LossSample(losses.Focal(gamma=0.5, alpha=0.7), real("N", 2), bits("N", 2), focal(0.5, 0.7)),
    LossSample(AFTER_SOFTMAX, real("N", 4), below(4, "N"), _focal_from_classes),
    LossSample(
        AFTER_SOFTMAX,
        real("N", 4),
        shares("N", 4),
        lambda x, t: focal_of_classes(2)(x, t)[0],
        one_hot=True,
    ),
    LossSample(
        losses.Focal(alpha=0.25).after("softmax"),
        real("N", 4),
        below(4, "N"),
        lambda x, t: _focal_from_classes(x, t) / 4,
    ),
    LossSample(losses.MeanSquaredError(), NX3, NX3, lambda x, t: ((x - t) ** 2).mean()),
    LossSample(losses.MeanAbsoluteError(), NX3, NX3, lambda x, t: np.abs(x - t).mean()),
    LossSample(losses.Huber(), NX3, NX3, lambda x, t: huber(x - t, 1.0).mean()),
    LossSample(losses.Huber(delta=0.3), NX3, NX3, lambda x, t: huber(x - t, 0.3).mean()),
)


@dataclass(frozen=True)
class MetricSample:
    """A metric on outputs and targets; `formula` is its value over all rows."""

    metric: Metric
    output: Feed
    target: Feed
    kind: losses.TargetKind
    formula: Formula


def _perplexity(x: Array, shares: Array) -> Any:
    return np.exp(-(log_softmax(x) * shares).sum(-1).mean())


def _area(scores: Array, targets: Array) -> Any:
    """Every positive row against every negative one, the mean over the outputs that have both."""
    found = []
    for s, t in zip(scores.T, targets.T > 0.5, strict=True):
        ahead = np.sign(s[t][:, None] - s[~t][None, :])
        found += [((ahead + 1) / 2).mean()] if ahead.size else []
    return np.mean(found)


def _counts(truth: Array, told: Array, classes: int) -> Array:
    """How often each class was taken for each, by going through the rows."""
    table = np.zeros((classes, classes))
    for t, p in zip(truth.ravel(), told.ravel(), strict=True):
        table[int(t), int(p)] += 1
    return table


def _quotients(truth: Array, told: Array, of: str) -> tuple[list[float], list[float]]:
    """Precision, recall or F1 of each class that occurs, and how often it does; by their
    definitions.
    """
    found, rows = [], []
    for c in sorted({*truth.ravel().tolist(), *told.ravel().tolist()}):
        right = float(((truth == c) & (told == c)).sum())
        precision, recall = (right / max(1, int((side == c).sum())) for side in (told, truth))
        both = 2 * precision * recall / (precision + recall) if right else 0.0
        found.append({"precision": precision, "recall": recall, "f1": both}[of])
        rows.append(float((truth == c).sum()))
    return found, rows


def _macro(of: str) -> Formula:
    return lambda x, t: np.mean(_quotients(t, x.argmax(-1), of)[0])


def _weighted(of: str) -> Formula:
    def formula(x: Array, t: Array) -> Any:
        found, rows = _quotients(t, x.argmax(-1), of)
        return np.average(found, weights=rows)

    return formula


def _of_yes(of: str, threshold: float) -> Formula:
    """Of the class yes of each output, then the mean over the outputs."""

    def formula(x: Array, t: Array) -> Any:
        each = []
        for told, truth in zip((x > threshold).T, t.T > 0.5, strict=True):
            found, _ = _quotients(truth, told, of)
            each.append(found[-1] if truth.any() or told.any() else 0.0)
        return np.mean(each)

    return formula


def _among_five(x: Array, t: Array) -> Any:
    return np.mean([c in np.argsort(-row)[:5] for row, c in zip(x, t, strict=True)])


def _explained(x: Array, t: Array) -> Any:
    return (1 - ((x - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)).mean()


CLASSES = (real("N", 4), below(4, "N"), "index")
ROWS_OF_SHARES = (real("N", 4), shares("N", 4), "one_hot")
SEQUENCES = (real("N", 3, 4), below(4, "N", 3), "index")
ANSWERS = (real("N", 3), bits("N", 3), "binary")
ANSWER = (real("N", 1), bits("N", 1), "binary")
MARGINS = (real("N", 3), bits("N", 3), "margin")
VALUES = (NX3, NX3, "value")

METRICS = (
    MetricSample(metrics.Accuracy(), *CLASSES, lambda x, t: (x.argmax(1) == t).mean()),
    MetricSample(
        metrics.Accuracy(), *ROWS_OF_SHARES, lambda x, t: (x.argmax(1) == t.argmax(1)).mean()
    ),
    MetricSample(metrics.Accuracy(), *SEQUENCES, lambda x, t: (x.argmax(2) == t).mean()),
    MetricSample(metrics.Accuracy(), *ANSWERS, lambda x, t: ((x > 0.5) == (t > 0.5)).mean()),
    MetricSample(metrics.Accuracy(), *MARGINS, lambda x, t: ((x > 0) == (t > 0.5)).mean()),
    MetricSample(metrics.Top5(), real("N", 9), below(9, "N"), "index", _among_five),
    MetricSample(
        metrics.Top5(),
        real("N", 9),
        shares("N", 9),
        "one_hot",
        lambda x, t: _among_five(x, t.argmax(1)),
    ),
    MetricSample(
        metrics.Top5(),
        real("N", 2, 9),
        below(9, "N", 2),
        "index",
        lambda x, t: _among_five(x.reshape(-1, 9), t.ravel()),
    ),
    MetricSample(metrics.Top5(), *CLASSES, lambda x, t: 1.0),
    MetricSample(metrics.Perplexity(), *CLASSES, lambda x, t: _perplexity(x, np.eye(4)[t])),
    MetricSample(metrics.Perplexity(), *SEQUENCES, lambda x, t: _perplexity(x, np.eye(4)[t])),
    MetricSample(metrics.Perplexity(), *ROWS_OF_SHARES, lambda x, t: _perplexity(x, t)),
    MetricSample(
        metrics.ConfusionMatrix(), *CLASSES, lambda x, t: _counts(t, x.argmax(1), classes=4)
    ),
    MetricSample(
        metrics.ConfusionMatrix(),
        *ROWS_OF_SHARES,
        lambda x, t: _counts(t.argmax(1), x.argmax(1), classes=4),
    ),
    MetricSample(
        metrics.ConfusionMatrix(), *SEQUENCES, lambda x, t: _counts(t, x.argmax(2), classes=4)
    ),
    MetricSample(metrics.ConfusionMatrix(), *ANSWER, lambda x, t: _counts(t, x > 0.5, classes=2)),
    MetricSample(metrics.ConfusionMatrix(), *ANSWERS, lambda x, t: _counts(t, x > 0.5, classes=2)),
    MetricSample(metrics.ConfusionMatrix(), *MARGINS, lambda x, t: _counts(t, x > 0, classes=2)),
    MetricSample(metrics.Precision(), *CLASSES, _macro("precision")),
    MetricSample(metrics.Precision(average="weighted"), *CLASSES, _weighted("precision")),
    MetricSample(
        metrics.Precision(average="micro"), *CLASSES, lambda x, t: (x.argmax(1) == t).mean()
    ),
    MetricSample(metrics.Precision(), *ANSWER, _of_yes("precision", 0.5)),
    MetricSample(metrics.Precision(), *ANSWERS, _of_yes("precision", 0.5)),
    MetricSample(metrics.Precision(), *MARGINS, _of_yes("precision", 0.0)),
    MetricSample(metrics.Recall(), *CLASSES, _macro("recall")),
    MetricSample(
        metrics.Recall(average="weighted"), *CLASSES, lambda x, t: (x.argmax(1) == t).mean()
    ),
    MetricSample(metrics.Recall(), *ANSWER, _of_yes("recall", 0.5)),
    MetricSample(
        metrics.Recall(average="micro"),
        *ANSWERS,
        lambda x, t: ((x > 0.5) & (t > 0.5)).sum() / (t > 0.5).sum(),
    ),
    MetricSample(metrics.F1(), *CLASSES, _macro("f1")),
    MetricSample(metrics.F1(average="weighted"), *CLASSES, _weighted("f1")),
    MetricSample(metrics.F1(average="micro"), *SEQUENCES, lambda x, t: (x.argmax(2) == t).mean()),
    MetricSample(metrics.F1(), *ANSWER, _of_yes("f1", 0.5)),
    MetricSample(metrics.F1(), *ANSWERS, _of_yes("f1", 0.5)),
    MetricSample(metrics.Mae(), *VALUES, lambda x, t: np.abs(x - t).mean()),
    MetricSample(metrics.Mse(), *VALUES, lambda x, t: ((x - t) ** 2).mean()),
    MetricSample(metrics.Mse(), *ANSWERS, lambda x, t: ((x - t) ** 2).mean()),
    MetricSample(metrics.Rmse(), *VALUES, lambda x, t: np.sqrt(((x - t) ** 2).mean())),
    MetricSample(metrics.R2(), *VALUES, _explained),
    MetricSample(metrics.Auc(), *ANSWER, _area),
    MetricSample(metrics.Auc(), real("N", 1), bits("N", 1), "margin", _area),
    MetricSample(metrics.Auc(), *ANSWERS, _area),
    MetricSample(metrics.Auc(), *MARGINS, _area),
)
