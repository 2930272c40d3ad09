"""Predicted moments and gains of layers of images, against large draws and measured models."""

from __future__ import annotations

import math

import numpy as np
import pytest
from workbench import program

from deepdsl.graph import Type
from deepdsl.graph.backend import open_backend
from deepdsl.insight.probe import probe_normal
from deepdsl.language.propagation import predict
from deepdsl.nn.layers.image_reshaping import Crop, SplitLayer, ZeroPad
from deepdsl.nn.layers.layer import Layer
from deepdsl.nn.layers.merging import Mean, Multiply
from deepdsl.nn.layers.pooling import AvgPool, GlobalMaxPool, MaxPool
from deepdsl.nn.layers.propagation import Moments
from deepdsl.nn.layers.upsampling import Upsample

near = pytest.approx
IMAGE = Type(("N", 16, 8, 8))
# Over so many rows, channels and places.
ROWS, CHANNELS, SIDE = 400, 100, 4


def drawn(common: float, relu: bool) -> np.ndarray:
    """Channels whose places, like rows, have a part of their variance of 1 in common."""
    rng = np.random.default_rng(2)
    z = math.sqrt(common) * rng.standard_normal((1, CHANNELS, 1, 1))
    z = z + math.sqrt(1 - common) * rng.standard_normal((ROWS, CHANNELS, SIDE, SIDE))
    return np.maximum(z, 0) if relu else z


def moments(x: np.ndarray) -> Moments:
    return Moments(float(x.mean()), float((x * x).mean()), float((x.mean(0) ** 2).mean()))


def exact(common: float, relu: bool) -> Moments:
    if not relu:
        return Moments(0.0, 1.0, common)
    t = math.acos(common)
    both = (math.sin(t) + (math.pi - t) * math.cos(t)) / (2 * math.pi)
    return Moments(1 / math.sqrt(2 * math.pi), 0.5, both)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("common", [0.0, 0.4])
@pytest.mark.parametrize("size", [2, 4])
def test_pools_of_drawn_numbers(common: float, relu: bool, size: int) -> None:
    x = drawn(common, relu)
    blocks = x.reshape(ROWS, CHANNELS, SIDE // size, size, SIDE // size, size)
    type_ = Type(("N", CHANNELS, SIDE, SIDE))
    # What a hundred channels have in common is itself drawn.
    wide = 0.12 if common else 0.02
    for layer, made in (
        (MaxPool((size,)), blocks.max((3, 5))),
        (AvgPool((size,)), blocks.mean((3, 5))),
    ):
        told = layer.signal((exact(common, relu),), (type_,), ())
        wanted = moments(made)
        assert told is not None
        assert told.out.mean == near(wanted.mean, rel=wide, abs=wide)
        assert told.out.square == near(wanted.square, rel=wide)
        assert told.out.shared == near(wanted.shared, rel=wide, abs=0.02)


def test_a_pool_hands_a_gradient_back() -> None:
    """All of it to one number of a window, or a part of it to each."""
    x = Moments(0.0, 1.0, 0.0)
    largest = MaxPool((2,)).signal((x,), (IMAGE,), ())
    mean = AvgPool((2,)).signal((x,), (IMAGE,), ())
    assert largest is not None
    assert mean is not None
    assert largest.gains[0].tt == near(1 / 4)
    assert mean.gains[0].tt == near(1 / 16)
    assert mean.gains[0].cc == near(1 / 16)


def test_of_numbers_of_an_unknown_kind_nothing_is_said() -> None:
    x = Moments(0.7, 1.0, 0.5)
    assert MaxPool((2,)).signal((x,), (IMAGE,), ()) is None
    assert GlobalMaxPool().signal((x,), (IMAGE,), ()) is None
    assert AvgPool((3,), pad=(1,), count_pad=True).signal((x,), (IMAGE,), ()) is None
    assert Upsample((2,), method="linear").signal((x,), (IMAGE,), ()) is None


@pytest.mark.parametrize(
    ("layer", "share", "gain"),
    [
        (ZeroPad((1,)), 64 / 100, 1.0),
        (Crop((2,)), 1.0, 1 / 4),
        (SplitLayer((4, 12), part=1), 1.0, 1 / 4),
    ],
)
def test_cutting_and_padding(layer: Layer, share: float, gain: float) -> None:
    told = layer.signal((Moments(0.5, 2.0, 1.0),), (IMAGE,), ())
    assert told is not None
    assert (told.out.mean, told.out.square) == (near(0.5 * share), near(2 * share))
    assert told.gains[0].tt == near(gain)


def test_products_and_means() -> None:
    x, y = Moments(0.5, 2.0, 1.0), Moments(-1.0, 3.0, 1.5)
    product = Multiply().signal((x, y), (IMAGE, IMAGE), ())
    assert product is not None
    assert product.out == Moments(-0.5, 6.0, 1.5)
    assert [gain.tt for gain in product.gains] == [near(3.0), near(2.0)]
    mean = Mean().signal((x, y), (IMAGE, IMAGE), ())
    assert mean.out.mean == near(-0.25)
    assert mean.out.square == near((2 + 3 - 2 * 0.5) / 4)
    assert [gain.tt for gain in mean.gains] == [near(1 / 4)] * 2
    assert Multiply().signal((x, y), (IMAGE, Type(("N", 16))), ()) is None


MODELS = [
    "max_pool 2x2 | flatten | dense 256 init=he_normal | tanh | dense 64",
    "relu | max_pool 3x3 stride=2 pad=same | flatten | dense 256 init=he_normal | tanh | dense 64",
    "avg_pool 2x2 | flatten | dense 256 init=he_normal | tanh | dense 64",
    "avg_pool 3x3 stride=2 pad=same | flatten | dense 256 init=he_normal | tanh | dense 64",
    "global_avg_pool | dense 256 init=he_normal | tanh | dense 64",
    "global_max_pool | dense 256 init=he_normal | tanh | dense 64",
    "upsample 2 | flatten | dense 256 init=he_normal | tanh | dense 64",
    "crop [0 2 1 0] | split 2 part=2 | zero_pad 1 | flatten | dense 64 | tanh | dense 64",
]


@pytest.mark.parametrize("body", MODELS)
def test_measured_beside_predicted(body: str) -> None:
    m = program(f"model m {{ input image[16 8 8]\n{body} }}").models["m"]
    told = predict(m)
    assert not told.unknown
    made = probe_normal(m, 1, open_backend("cpu"), 500)
    for layer, predicted in zip(made.layers, told.layers, strict=True):
        assert predicted.moments is not None
        # Of units behind a pool the means themselves are drawn.
        drawn = layer.kind in ("dense", "tanh")
        if not drawn:
            assert layer.activation_mean == near(predicted.moments.mean, abs=0.02)
        assert layer.activation_std == near(predicted.moments.std, rel=0.2 if drawn else 0.02)
    for layer, expected in zip(made.layers, made.predicted, strict=True):
        if layer.gradient_std is not None and expected.gradient_std is not None:
            assert layer.gradient_std == near(expected.gradient_std, rel=0.25)


def test_a_network_of_convolutions_and_pools() -> None:
    """Places of a channel have in common what rows have, down to the mean of the whole image."""
    conv = "conv {} 3x3 init=he_normal | relu"
    body = " | ".join(
        [conv.format(32), "max_pool 2x2", conv.format(48), "max_pool 2x2", conv.format(48)]
    )
    head = f"input image[3 28 28]\n{body} | global_avg_pool | dense 64"
    m = program(f"model m {{ {head} }}").models["m"]
    made = probe_normal(m, 1, open_backend("cpu"), 150)
    for layer, told in zip(made.layers, made.predicted, strict=True):
        assert layer.activation_std == near(told.activation_std, rel=0.2)
        if layer.gradient_std is not None:
            assert told.gradient_std is not None
            assert abs(math.log(layer.gradient_std / told.gradient_std)) < math.log(1.8)
