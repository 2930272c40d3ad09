"""Losses: what training makes small."""

from deepdsl.losses.base import Loss, Target, TargetKind, threshold
from deepdsl.losses.classes import (
    CrossEntropy,
    KlDivergence,
    OneHot,
    SoftmaxCrossEntropy,
    SoftmaxDivergence,
)
from deepdsl.losses.focal import Focal, SigmoidFocal, SoftmaxFocal
from deepdsl.losses.values import (
    Huber,
    MeanAbsolute,
    MeanAbsoluteError,
    MeanHuber,
    MeanSquare,
    MeanSquaredError,
)
from deepdsl.losses.yes_or_no import BinaryCrossEntropy, Hinge, SigmoidCrossEntropy
from deepdsl.registry import import_modules

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
