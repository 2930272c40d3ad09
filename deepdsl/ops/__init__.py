"""Operations and layers.  Importing the package registers every layer."""

from deepdsl.ops import (
    activations,
    arrangement,
    dense,
    dropout,
    gated,
    noise,
    normalization,
    rectifiers,
    row_norms,
)
from deepdsl.ops.layer import Layer, Scope

__all__ = [
    "Layer",
    "Scope",
    "activations",
    "arrangement",
    "dense",
    "dropout",
    "gated",
    "noise",
    "normalization",
    "rectifiers",
    "row_norms",
]
