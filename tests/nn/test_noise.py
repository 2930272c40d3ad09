"""Gaussian noise and alpha dropout: their moments, and streams of seed, path, step and element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Training, near, on_runtime, training_file

from deepdsl.graph import Builder, Type
from deepdsl.graph.passes import optimize
from deepdsl.nn.layers.activations.relu_variants import SELU_ALPHA, SELU_SCALE
from deepdsl.nn.layers.dropout import AlphaDropout, Dropout
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.noise import GaussianNoise
from deepdsl.nn.layers.random_draws import STEP_PATH

Array = np.ndarray[Any, Any]
SHAPE = (500, 100)


def drawn(layer: Layer, x: Array, seed: int = 1, path: str = "a", step: int = 0) -> Array:
    """The layer in training."""
    b = Builder()
    value = b.input("x", Type(("N", *x.shape[1:])))
    out = layer.expand(Scope(b, path, True, seed), value)
    feeds = {"x": x.astype(np.float32), STEP_PATH: np.array(step)}
    return on_runtime(optimize(b.graph({"out": out})), feeds)["out"]


# Gaussian noise -----------------------------------------------------------------------------------


def test_noise_is_standard_normal_times_std() -> None:
    noise = (drawn(GaussianNoise(0.5), np.full(SHAPE, 3.0)).astype(np.float64) - 3).ravel() / 0.5
    # Deviations of the moments of 50,000 numbers: 0.0045, 0.0063, 0.011, 0.022.
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.var() == pytest.approx(1, abs=0.03)
    assert (noise**3).mean() == pytest.approx(0, abs=0.08)
    assert (noise**4).mean() == pytest.approx(3, abs=0.25)
    assert 3.5 < np.abs(noise).max() < 5.78
    # The distribution function at a few points.
    for at, share in ((-2, 0.02275), (-1, 0.15866), (0, 0.5), (0.5, 0.69146), (2, 0.97725)):
        assert (noise < at).mean() == pytest.approx(share, abs=0.01)
    # Neighbours, and rows, are not correlated.
    for lag in (1, 2, 100):
        assert np.corrcoef(noise[:-lag], noise[lag:])[0, 1] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("other", [{"seed": 2}, {"path": "b"}, {"step": 1}], ids=str)
def test_another_seed_path_or_step_is_other_noise(other: dict[str, Any]) -> None:
    zeros = np.zeros(SHAPE)
    first, second = drawn(GaussianNoise(1.0), zeros), drawn(GaussianNoise(1.0), zeros, **other)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] == pytest.approx(0, abs=0.02)
    assert np.array_equal(first, drawn(GaussianNoise(1.0), zeros))


def test_the_gradient_passes_noise_unchanged() -> None:
    text = "input x[3]\n dense 2 init=ones bias=false | {} | dense 1 init=ones bias=false"
    train = "loss mean_squared_error; optimizer sgd lr=1"
    noisy = Training(training_file(text.format("gaussian_noise 0.3"), train))
    x, target = np.ones((1, 3), np.float32), np.zeros((1, 1), np.float32)
    loss = float(noisy.step(x=x, target=target)["loss"])
    noisy = Training(training_file(text.format("gaussian_noise 0.3"), train))
    gradient = noisy.gradient(x=x, target=target)["dense_1.weight"]
    # d(y^2)/dw = 2 y x with y = sqrt(loss), which the noise has moved.
    near(gradient, np.full((3, 2), 2 * loss**0.5), 1e-5)
    assert abs(loss**0.5 - 6) > 1e-3
    near(noisy.infer(x=x), [[6.0]])


# Alpha dropout ------------------------------------------------------------------------------------


def test_published_constants() -> None:
    a, b = AlphaDropout(0.1).affine
    assert (a, b) == (pytest.approx(0.92128, abs=5e-6), pytest.approx(0.16197, abs=5e-6))


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance_of_selu(rate: float) -> None:
    z = np.random.default_rng(0).standard_normal((2000, 200))
    x = SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(z))
    assert x.mean() == pytest.approx(0, abs=0.01)
    assert x.var() == pytest.approx(1, abs=0.01)
    made = drawn(AlphaDropout(rate), x).astype(np.float64)
    assert made.mean() == pytest.approx(0, abs=0.01)
    assert made.var() == pytest.approx(1, abs=0.015)
    plain = drawn(Dropout(rate), x)
    assert plain.var() > 1.04


def test_alpha_dropout_is_affine_where_kept() -> None:
    x = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    made = drawn(AlphaDropout(0.3), x)
    a, b = AlphaDropout(0.3).affine
    off = -SELU_SCALE * SELU_ALPHA * a + b
    kept = np.abs(made - off) > 1e-6
    near(made[kept], (a * x + b)[kept], 1e-5)
    assert (~kept).mean() == pytest.approx(0.3, abs=0.01)
    # The same elements as dropout's of that path would be.
    assert np.array_equal(drawn(Dropout(0.3), np.ones(SHAPE)) > 0, kept)


def test_a_selu_network_keeps_its_moments_with_alpha_dropout() -> None:
    body = "input x[100]\n repeat 20 { dense 100 | selu | alpha_dropout 10% }"
    made = Training(training_file(body, "loss mean_squared_error; optimizer sgd lr=1e-9; seed 2"))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 100)).astype(np.float32)
    # The loss against 0 is the mean square of the outputs in training.
    square = float(made.step(x=x, target=np.zeros((500, 100), np.float32))["loss"])
    assert 0.7 < square < 1.3


# All of them --------------------------------------------------------------------------------------

NOISES = [Dropout(0.3), AlphaDropout(0.3), GaussianNoise(0.3)]


@pytest.mark.parametrize("layer", NOISES, ids=lambda s: s.name)
def test_where_noise_is_drawn(layer: Layer) -> None:
    def nodes(training: bool, sampling: bool) -> tuple[int, list[str]]:
        b = Builder()
        layer.expand(Scope(b, "n", training, 0, sampling), b.input("x", Type(("N", 3))))
        return len(b.nodes), [p.name for p in b.params]

    assert nodes(False, False) == (0, [])
    assert nodes(True, False)[1] == [STEP_PATH]
    drawing, params = nodes(False, True)
    # Whoever runs a sampled graph gives the counter that it draws from.
    assert drawing > 3
    assert params == [STEP_PATH]


@pytest.mark.parametrize("layer", [Dropout(0.0), AlphaDropout(0.0), GaussianNoise(0.0)])
def test_none_at_all_leaves_nothing(layer: Layer) -> None:
    b = Builder()
    x = b.input("x", Type(("N", 3)))
    assert layer.expand(Scope(b, "n", True), x) is x
    assert not b.nodes
