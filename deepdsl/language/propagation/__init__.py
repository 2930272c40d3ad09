"""What becomes of signals and gradients at a model's start, predicted without running it."""

from deepdsl.language.propagation.prediction import (
    LARGEST,
    Predicted,
    Prediction,
    kernels,
    predict,
    tops,
)

__all__ = ["LARGEST", "Predicted", "Prediction", "kernels", "predict", "tops"]
