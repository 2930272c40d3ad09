"""Signals and gradients through convolutions: what is predicted against what a probe measures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from workbench import program

from deepdsl.graph.backend import open_backend
from deepdsl.insight.probe import probe_normal

# The input, and the layers.
NETS = {
    "padded": ("16 8 8", "repeat 8 { conv 32 3x3 pad=same init=he_normal | relu }"),
    "valid": ("16 14 14", "repeat 6 { conv 32 3 init=he_normal | relu }"),
    "tanh": ("16 8 8", "repeat 8 { conv 32 3x3 pad=same init=glorot_normal | tanh }"),
    "too wide": ("16 6 6", "repeat 8 { conv 32 3x3 pad=same init=normal(std=0.3) | relu }"),
    "too narrow": ("16 6 6", "repeat 6 { conv 32 3x3 pad=same init=normal(std=0.02) | tanh }"),
    "strides": ("16 16 16", "repeat 3 { conv 48 3x3 stride=2 pad=same init=he_normal | relu }"),
    "batch norm": ("16 8 8", "repeat 8 { conv 32 3x3 pad=same bias=false | batch_norm | relu }"),
    "groups": ("32 8 8", "repeat 6 { conv 32 3x3 pad=same groups=4 init=he_normal | relu }"),
    "separable": (
        "32 8 8",
        "repeat 4 { conv 32 3 pad=same groups=depthwise init=lecun_normal | conv 32 1 | relu }",
    ),
    "biases": ("16 8 8", "repeat 6 { conv 32 3 pad=same bias=normal(std=0.5) | relu }"),
    "orthogonal": ("16 8 8", "repeat 6 { conv 32 3 pad=same init=orthogonal | tanh }"),
    "sequences": ("16 40", "repeat 6 { conv 32 5 pad=same init=he_normal | relu }"),
    "volumes": ("8 5 5 5", "repeat 4 { conv 16 3 pad=same init=he_normal | relu }"),
    "transposed": (
        "32 4 4",
        "repeat 2 { conv_transpose 32 4 stride=2 pad=same init=he_normal | relu }; conv 16 3",
    ),
    "into a dense layer": (
        "16 8 8",
        "conv 32 3 stride=2 pad=same | relu | conv 64 3 stride=2 pad=same | relu | flatten;"
        " dense 64 | relu | dense 10",
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_prediction_and_measure_agree(name: str) -> None:
    shape, layers = NETS[name]
    model = program(f"model m {{ input x[{shape}]; {layers} }}").models["m"]
    made = probe_normal(model, 1, open_backend("cpu"), 128)
    assert made.measured_ratio is not None
    assert made.predicted_ratio is not None
    assert close(made.predicted_ratio, made.measured_ratio)
    last, told = made.layers[-1], made.predicted[-1]
    assert told.activation_std is not None
    assert close(told.activation_std, last.activation_std)


def close(predicted: float, measured: float) -> bool:
    have, want = math.log10(predicted), math.log10(measured)
    return abs(have - want) <= max(0.3, 0.1 * abs(want))


def test_a_pad_of_zeros_carries_nothing() -> None:
    """Of the nine places of a 3x3 kernel on 4x4, a corner sees 4, an edge 6, the middle 9."""
    from deepdsl.language.propagation import predict

    model = program(
        "model m { input x[64 4 4]; conv 64 3x3 pad=same init=lecun_normal bias=false }"
    ).models["m"]
    made = predict(model).layers[0].moments
    assert made is not None
    assert made.square == pytest.approx((4 * 4 + 8 * 6 + 4 * 9) / 16 / 9)
    assert np.isclose(made.mean, 0.0)
