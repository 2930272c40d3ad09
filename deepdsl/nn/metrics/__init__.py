"""Metrics: what is reported beside the loss."""

from deepdsl.core.registry import import_modules
from deepdsl.nn.metrics.base import Figure, Metric
from deepdsl.nn.metrics.confusion import F1, ConfusionMatrix, Precision, Recall
from deepdsl.nn.metrics.errors import R2, Mae, Mse, Rmse
from deepdsl.nn.metrics.likelihood import Perplexity
from deepdsl.nn.metrics.ranking import Auc
from deepdsl.nn.metrics.shares import Accuracy, Largest, Top5

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
