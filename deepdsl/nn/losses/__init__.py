"""Losses: what training makes small."""

from deepdsl.core.registry import import_modules
from deepdsl.nn.losses.base import Loss, Target, TargetKind, threshold
from deepdsl.nn.losses.classes import (
    CrossEntropy,
    KlDivergence,
    OneHot,
    SoftmaxCrossEntropy,
    SoftmaxDivergence,
)
from deepdsl.nn.losses.focal import Focal, SigmoidFocal, SoftmaxFocal
from deepdsl.nn.losses.values import (
    Huber,
    MeanAbsolute,
    MeanAbsoluteError,
    MeanHuber,
    MeanSquare,
    MeanSquaredError,
)
from deepdsl.nn.losses.yes_or_no import BinaryCrossEntropy, Hinge, SigmoidCrossEntropy

import_modules(__name__)

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Focal",
    "Hinge",
    "Huber",
    "KlDivergence",
    "Loss",
    "MeanAbsolute",
    "MeanAbsoluteError",
    "MeanHuber",
    "MeanSquare",
    "MeanSquaredError",
    "OneHot",
    "SigmoidCrossEntropy",
    "SigmoidFocal",
    "SoftmaxCrossEntropy",
    "SoftmaxDivergence",
    "SoftmaxFocal",
    "Target",
    "TargetKind",
    "threshold",
]
