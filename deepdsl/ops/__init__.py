"""Operations and layers.  Importing the package registers every layer."""

from deepdsl.ops import (
    activations,
    arrangement,
    attention,
    conv,
    dense,
    dropout,
    embedding,
    gated,
    joining,
    moving,
    noise,
    normalization,
    pooling,
    rectifiers,
    recurrent,
    resampling,
    row_norms,
)
from deepdsl.ops.layer import Layer, Scope

__all__ = [
    "Layer",
    "Scope",
    "activations",
    "arrangement",
    "attention",
    "conv",
    "dense",
    "dropout",
    "embedding",
    "gated",
    "joining",
    "moving",
    "noise",
    "normalization",
    "pooling",
    "rectifiers",
    "recurrent",
    "resampling",
    "row_norms",
]
