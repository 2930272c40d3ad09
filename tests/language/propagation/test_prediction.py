"""Predicted moments and gains against closed forms, and against large random draws."""

from __future__ import annotations

import math
from itertools import pairwise
from math import pi, sqrt

import numpy as np
import pytest
from workbench import program

from deepdsl.core.registry import lookup
from deepdsl.language.analysis.model import Model
from deepdsl.language.propagation import predict, tops
from deepdsl.nn.layers.activations.base import Activation, Sigmoid, Tanh
from deepdsl.nn.layers.propagation import STANDARD, Moments, share_beyond, through

near = pytest.approx


def model(body: str) -> Model:
    return program(f"model m {{\n{body}\n}}").models["m"]


def activation(name: str) -> Activation:
    made = lookup("layer")[name]()
    assert isinstance(made, Activation)
    return made


# Functions of one Gaussian ------------------------------------------------------------------------


@pytest.mark.parametrize("q", [1e-12, 0.3, 1.0, 17.0, 1e12])
def test_relu_in_closed_form(q: float) -> None:
    made = through(activation("relu").function, "relu", Moments(0.0, q, 0.0))
    assert made.out.mean == near(sqrt(q / (2 * pi)), rel=1e-3)
    assert made.out.square == near(q / 2, rel=1e-6)
    assert made.out.shared == near(q / (2 * pi), rel=2e-3)
    assert made.gains[0].tt == near(0.5, rel=1e-6)


@pytest.mark.parametrize("rho", [-0.0, 0.3, 0.9])
def test_two_rows_through_relu_are_the_arc_cosine_kernel(rho: float) -> None:
    """Cho & Saul 2009: E[relu(x) relu(y)] = (sin t + (pi - t) cos t) / 2 pi with cos t = rho."""
    t = math.acos(rho)
    wanted = (math.sin(t) + (pi - t) * math.cos(t)) / (2 * pi)
    made = through(activation("relu").function, "relu", Moments(0.0, 1.0, rho))
    assert made.out.shared == near(wanted, rel=5e-3)


def test_erf_like_integrals_of_tanh_and_sigmoid() -> None:
    # Figures of a hundred million draws, by the same formula in NumPy.
    rng = np.random.default_rng(0)
    z = 1.7 * rng.standard_normal(2_000_000)
    for layer, slope in (
        (Tanh(), 1 - np.tanh(z) ** 2),
        (Sigmoid(), np.exp(-z) / (1 + np.exp(-z)) ** 2),
    ):
        made = through(layer.function, layer, Moments(0.0, 1.7**2))
        y = np.tanh(z) if isinstance(layer, Tanh) else 1 / (1 + np.exp(-z))
        assert made.out.mean == near(y.mean(), abs=2e-3)
        assert made.out.square == near((y * y).mean(), rel=2e-3)
        assert made.gains[0].tt == near((slope**2).mean(), rel=4e-3)
        assert made.out.shared is None


ELEMENTWISE = sorted(
    name
    for name, cls in lookup("layer").items()
    if issubclass(cls, Activation) and cls.function is not Activation.function
)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("x", [Moments(0.0, 1.0), Moments(0.7, 2.0), Moments(0.0, 1e-4)])
def test_every_activation_against_draws(name: str, x: Moments) -> None:
    layer = activation(name)
    rng = np.random.default_rng(1)
    z = x.mean + x.std * rng.standard_normal(40_000)
    values = np.array([layer.function(float(v)) for v in z])
    step = 1e-5 * max(x.std, 1e-3)
    slopes = np.array(
        [(layer.function(v + step) - layer.function(v - step)) / (2 * step) for v in z.tolist()]
    )
    made = through(layer.function, layer, x)
    spread = values.std() / 200 + 1e-12
    assert made.out.mean == near(values.mean(), abs=5 * spread)
    assert made.out.square == near((values**2).mean(), rel=0.04, abs=1e-12)
    if np.abs(slopes).max() < 50:  # a jump has no slope
        assert made.gains[0].tt == near((slopes**2).mean(), rel=0.04, abs=1e-9)


def test_share_beyond() -> None:
    """Half of a logistic unit's range is passed at |z| > 4.595."""
    for std in (5.0, 8.0, 10.0, 16.0):
        wide = share_beyond(Sigmoid().function, Moments(0.0, std**2), 0.01, 0.99)
        assert wide == near(math.erfc(4.59512 / std / sqrt(2)), abs=2e-3)
    assert share_beyond(Sigmoid().function, STANDARD, 0.01, 0.99) < 1e-4


# Models -------------------------------------------------------------------------------------------


def test_a_linear_chain() -> None:
    """Glorot & Bengio 2010: fan_in / fan_avg going up, fan_out / fan_avg going down."""
    m = model(
        "input x[784]\ndefault dense init=glorot_uniform\ndense 300; dense 100; dense 50; dense 10"
    )
    made = predict(m)
    sizes = (784, 300, 100, 50, 10)
    square = 1.0
    for (fan_in, units), layer in zip(pairwise(sizes), made.layers, strict=True):
        square *= 2 * fan_in / (fan_in + units)
        assert layer.moments is not None
        assert layer.moments.square == near(square)
    gain = sum(math.log10(2 * units / (fan_in + units)) for fan_in, units in pairwise(sizes[1:]))
    ratio = made.gradient_ratio(m)
    assert ratio == near(gain / 2)


def test_selu_has_a_fixed_point() -> None:
    made = predict(model("input x[100]\nrepeat 40 { dense 100 | selu }"))
    last = made.layers[-1].moments
    assert last is not None
    assert last.mean == near(0.0, abs=1e-3)
    assert last.square == near(1.0, abs=1e-3)


def test_batch_norm_resets_the_signal_and_divides_by_what_tells_rows_apart() -> None:
    made = predict(model("input x[64]\ndense 64 init=normal(std=3) | batch_norm | relu"))
    dense, norm, _ = made.layers
    assert dense.moments is not None
    assert dense.moments.square == near(9 * 64)
    assert norm.moments is not None
    assert norm.moments.square == near(1.0, rel=1e-3)
    assert dense.gradient is not None
    assert norm.gradient is not None
    assert 10 ** (2 * (dense.gradient - norm.gradient)) == near(1 / (9 * 64), rel=1e-3)


def test_rows_that_have_become_alike_are_pulled_apart_by_batch_norm() -> None:
    """Behind a deep chain of sigmoids rows differ by little: batch norm multiplies that up."""
    made = predict(model("input x[64]\nrepeat 6 { dense 64 | sigmoid }; dense 64 | batch_norm"))
    before, norm = made.layers[-2].moments, made.layers[-1].moments
    assert before is not None
    assert norm is not None
    assert before.between_rows < 1e-3 * before.square
    assert norm.square < 1.0 + 1e-9


def test_a_sum_adds_squares_and_hands_the_gradient_to_both() -> None:
    made = predict(
        model(
            "input x[32]\ndefault dense init=lecun_normal\n"
            "a = x | dense 32\nb = a | dense 32\na + b"
        )
    )
    first, second, total = made.layers
    assert total.moments is not None
    assert total.moments.square == near(2.0)
    assert second.gradient == near(0.0)
    # 1 from the sum, 1 through the second layer.
    assert first.gradient == near(math.log10(2) / 2)


def test_concat_and_flatten_pass_through() -> None:
    made = predict(
        model(
            "input x[4 8]\nflat = x | flatten\na = flat | dense 30 init=lecun_normal\n"
            "b = flat | dense 10 init=normal(std=0.5)\nconcat a b"
        )
    )
    joined = made.layers[-1].moments
    assert joined is not None
    assert joined.square == near((30 * 1.0 + 10 * 8.0) / 40)
    assert made.layers[0].moments == Moments(0.0, 1.0, None)


def test_dropout_lets_the_square_grow() -> None:
    made = predict(model("input x[16]\ndense 16 init=lecun_normal | dropout 20%"))
    last = made.layers[-1].moments
    assert last is not None
    assert last.square == near(1 / 0.8)
    assert made.layers[0].gradient == near(math.log10(1 / 0.8) / 2)


def test_a_softmax_at_the_end_is_the_loss_s() -> None:
    m = model("input x[16]\ndense 16 | relu | dense 3 | softmax")
    assert [m.calls[n - 1].path for n in tops(m)] == ["dense_2"]
    made = predict(m)
    assert made.unknown == ""
    assert made.layers[-2].gradient == 0.0


@pytest.mark.parametrize(
    "lines",
    [
        "a = x | dense 8\na + a | dense 3",
        "a = x | dense 8\nb = a | tanh\na + b | dense 3",
        "part twin { dense 8 | relu }\na = x | twin\nb = x | twin\na + b | dense 3",
    ],
)
def test_sums_of_the_same_numbers_are_not_predicted(lines: str) -> None:
    made = predict(model(f"input x[8]\n{lines}"))
    assert made.unknown == "add_1"
    assert made.layers[0].moments is not None


def test_a_norm_over_few_numbers_is_not_predicted() -> None:
    assert predict(model("input x[8]\ndense 8 | group_norm 4 | tanh | dense 3")).unknown
    assert not predict(model("input x[8]\ndense 8 | group_norm 2 | tanh | dense 3")).unknown


def test_a_bias_shifts_what_flows() -> None:
    made = predict(model("input x[64]\ndense 64 init=lecun_normal bias=constant(2) | relu"))
    dense = made.layers[0].moments
    assert dense is not None
    assert (dense.mean, dense.square) == (near(2.0), near(5.0))
    rng = np.random.default_rng(0)
    z = np.maximum(2 + rng.standard_normal(400_000), 0)
    relu = made.layers[1].moments
    assert relu is not None
    assert relu.mean == near(z.mean(), rel=5e-3)


def test_what_is_not_known_is_said() -> None:
    made = predict(model("input x[16]\ndense 16 init=ones | relu | dense 3 | softmax"))
    assert made.unknown == "dense_1"
    assert made.layers[0].moments is None
    # What lies above is still known going back.
    assert made.layers[1].gradient is None or made.layers[1].gradient < 0.5


def test_beyond_float32_nothing_is_predicted() -> None:
    made = predict(model("input x[64]\nrepeat 80 { dense 64 init=normal(std=2) | relu }"))
    assert made.layers[10].moments is not None
    assert made.layers[-1].moments is None
    assert made.unknown


def test_a_part_used_twice_is_followed_twice() -> None:
    m = model(
        "input a[8]\ninput b[8]\npart tower { dense 8 init=lecun_normal | tanh }\n"
        "left = a | tower\nright = b | tower\nconcat left right | dense 1"
    )
    made = predict(m)
    assert [layer.path for layer in made.layers].count("tower.dense_1") == 2
    assert all(layer.gradient is not None for layer in made.layers)


def test_given_inputs_count() -> None:
    m = model("input x[16]\ndense 16 init=lecun_normal")
    made = predict(m, {"x": Moments(5.0, 100.0, 25.0)})
    last = made.layers[-1].moments
    assert last is not None
    assert last.square == near(100.0)
