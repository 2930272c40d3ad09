"""Metrics: what is reported beside the loss."""

from deepdsl.metrics.base import Figure, Metric
from deepdsl.metrics.confusion import F1, ConfusionMatrix, Precision, Recall
from deepdsl.metrics.errors import R2, Mae, Mse, Rmse
from deepdsl.metrics.likelihood import Perplexity
from deepdsl.metrics.ranking import Auc
from deepdsl.metrics.shares import Accuracy, Largest, Top5
from deepdsl.registry import import_modules

import_modules(__name__)

__all__ = [
    "F1",
    "R2",
    "Accuracy",
    "Auc",
    "ConfusionMatrix",
    "Figure",
    "Largest",
    "Mae",
    "Metric",
    "Mse",
    "Perplexity",
    "Precision",
    "Recall",
    "Rmse",
    "Top5",
]
