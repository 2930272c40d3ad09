"""How tensors begin: spread, limits, and streams that depend on the seed and the path alone."""

from __future__ import annotations

import numpy as np
import pytest
from samples import INITIALIZERS, InitializerSample
from workbench import Training, training_file

from deepdsl.compiler.front_end import check
from deepdsl.core.registry import lookup
from deepdsl.core.source import Source
from deepdsl.nn.initializers import (
    TRUNCATED_STD,
    ConstantInitializer,
    GlorotUniform,
    HeNormal,
    IdentityInitializer,
    Orthogonal,
    TruncatedNormal,
    VarianceScaling,
    stream,
)

SHAPE = FANS = (784, 300)


@pytest.mark.parametrize("sample", INITIALIZERS, ids=lambda s: s.init.show())
def test_spread_of_a_large_kernel(sample: InitializerSample) -> None:
    values = sample.init.sample(SHAPE, FANS, stream(42, "body.dense_1.weight"))
    assert values.shape == SHAPE
    assert values.dtype == np.float64
    # 235,200 values: their standard deviation is within about 0.15 % of that of the distribution.
    assert values.std() == pytest.approx(sample.std, rel=0.008, abs=1e-12)
    assert np.abs(values).max() <= sample.limit * (1 + 1e-4)
    if sample.limit < 1 and sample.std:
        assert np.abs(values).max() > 0.99 * sample.limit


@pytest.mark.parametrize("sample", INITIALIZERS, ids=lambda s: s.init.show())
def test_variance_is_what_is_drawn(sample: InitializerSample) -> None:
    variance = sample.init.variance(FANS)
    if variance is not None:
        assert variance == pytest.approx(sample.std**2, rel=0.005, abs=1e-15)


@pytest.mark.parametrize("sample", INITIALIZERS, ids=lambda s: s.init.show())
def test_same_seed_and_path_draw_the_same(sample: InitializerSample) -> None:
    first, again = (sample.init.sample((6, 4), (6, 4), stream(3, "a.weight")) for _ in range(2))
    assert np.array_equal(first, again)


def test_seed_path_and_purpose_each_make_another_stream() -> None:
    streams = [stream(1, "a"), stream(2, "a"), stream(1, "b"), stream(1, "a", "random")]
    drawn = np.stack([s.standard_normal(4000) for s in streams])
    correlation = np.corrcoef(drawn)
    assert np.abs(correlation - np.eye(len(streams))).max() < 0.08


def test_published_figures() -> None:
    assert GlorotUniform().scaling.variance(FANS) ** 0.5 == pytest.approx(0.04295, abs=5e-6)
    assert (3 * GlorotUniform().variance(FANS)) ** 0.5 == pytest.approx(0.07440, abs=5e-6)
    assert HeNormal().variance(FANS) ** 0.5 == pytest.approx(0.0505, abs=5e-5)
    wide = VarianceScaling(scale=2.0, mode="fan_avg", distribution="uniform")
    assert (3 * wide.variance(FANS)) ** 0.5 == pytest.approx(0.10521, abs=5e-6)


def test_truncated_normal_is_cut_at_two_deviations() -> None:
    values = TruncatedNormal(1.5, mean=10.0).sample((400, 500), (1, 1), stream(0, "w"))
    assert np.abs(values - 10).max() <= 3.0
    assert values.std() / 1.5 == pytest.approx(TRUNCATED_STD, rel=0.005)
    assert values.mean() == pytest.approx(10, abs=0.02)


def test_truncated_normal_of_a_single_number() -> None:
    values = [TruncatedNormal(1.0).sample((), (1, 1), stream(0, str(i))) for i in range(100)]
    assert np.abs(values).max() <= 2


@pytest.mark.parametrize("shape", [(8, 8), (12, 5), (5, 12), (6, 2, 2)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = Orthogonal().sample(shape, (1, 1), stream(0, "w")).reshape(shape[0], -1)
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, np.eye(min(rows, columns)), atol=1e-12)


def test_identity() -> None:
    assert np.array_equal(
        IdentityInitializer().sample((2, 3), (2, 3), stream(0, "w")), np.eye(2, 3)
    )


TRAIN = "loss mean_squared_error; seed 7"


@pytest.mark.parametrize(
    ("chain", "name"),
    [
        ("dense 4 | relu", "he_normal"),
        ("dense 4 | batch_norm | leaky_relu", "he_normal"),
        ("dense 4 | batch_norm | dropout 20% | elu", "he_normal"),
        ("dense 4 | selu", "lecun_normal"),
        ("dense 4 | identity | tanh", "glorot_uniform"),
        ("dense 4 | layer_norm | prelu", "he_normal"),
        ("dense 4 | alpha_dropout 5% | selu", "lecun_normal"),
        ("dense 4 | gaussian_noise 0.1 | softsign", "glorot_uniform"),
        ("dense 4", "glorot_uniform"),
        ("dense 4 init=orthogonal | relu", "orthogonal"),
    ],
)
def test_initializer_follows_the_activation(chain: str, name: str) -> None:
    made = Training(training_file(f"input x[3]\n {chain}", TRAIN))
    (weight,) = [p for p in made.graph.params if p.name == "dense_1.weight"]
    assert weight.init.name == name


def test_a_layer_more_leaves_the_others_as_they_began() -> None:
    short = Training(training_file("input x[6]\n dense 5 | relu\n dense 4 | relu", TRAIN))
    long = Training(
        training_file("input x[6]\n dense 5 | relu\n dense 4 | relu\n dense 3 | batch_norm", TRAIN)
    )
    for name in ("dense_1.weight", "dense_1.bias", "dense_2.weight", "dense_2.bias"):
        assert np.array_equal(short.weight(name), long.weight(name))


def test_two_layers_alike_begin_differently() -> None:
    made = Training(training_file("input x[5]\n dense 5 | relu\n dense 5 | relu", TRAIN))
    assert not np.array_equal(made.weight("dense_1.weight"), made.weight("dense_2.weight"))


def test_the_names_that_there_are() -> None:
    families = ("glorot", "he", "lecun")
    assert set(lookup("initializer")) == {
        *(f"{family}_{kind}" for family in families for kind in ("uniform", "normal")),
        *["variance_scaling", "uniform", "normal", "truncated_normal", "orthogonal"],
        *["constant", "zeros", "ones", "identity"],
    }
    for name, cls in lookup("initializer").items():
        assert cls.formula()
        known = name.startswith(families) or name in ("orthogonal", "identity")
        assert bool(cls.source) is known


def test_the_slope_below_zero_makes_room_in_the_variance() -> None:
    # He et al. 2015: 2 / ((1 + a^2) fan_in); with a = 1, a linear unit, it is LeCun's.
    assert HeNormal(slope=0.25).variance(FANS) == pytest.approx(2 / (1.0625 * 784))
    assert HeNormal(slope=1.0).variance(FANS) == lookup("initializer")["lecun_normal"]().variance(
        FANS
    )


def found(init: str) -> list[tuple[str, str, str, str]]:
    _, report = check(Source("m.dnn", f"model m {{ input x[4]; dense 3 init={init} | softmax }}"))
    return [(d.code, d.message, d.label, d.help) for d in report]


@pytest.mark.parametrize("name", ["xavier", "xavier_init", "xavier(gain=2)"])
def test_xavier_is_no_name(name: str) -> None:
    ((code, message, label, help),) = found(name)
    assert code == "E111"
    assert "at least three formulas" in message
    # Caffe's, the paper's, and the one of others.
    for formula in ("√(3/fan_in)", "√(6/(fan_in+fan_out))", "√(2/fan_in)"):
        assert formula in label
    assert "`glorot_uniform` and `glorot_normal`" in help


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("form", ["xavier_{}", "xavier_{}_", "Xavier{}", "glorot{}"])
def test_names_of_one_formula_are_understood(form: str, kind: str) -> None:
    ((code, _, _, help),) = found(form.format(kind))
    assert code == "E112"
    assert help == f"did you mean `glorot_{kind}`?"


@pytest.mark.parametrize("written", ["0.1", "constant(0.1)"])
def test_a_number_is_a_constant(written: str) -> None:
    text = training_file(f"input x[3]\n prelu init={written} | dense 1", TRAIN)
    (slope,) = [p for p in Training(text).graph.params if p.role == "slope"]
    assert slope.init == ConstantInitializer(0.1)
    assert np.array_equal(Training(text).weight("prelu_1.slope"), np.full(3, 0.1, np.float32))
