"""Every elementwise activation: one formula on numbers and in graphs, finite far from 0; and one
that is made up here, to show all that a new one is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import erf
from typing import Any

import numpy as np
import pytest
from layer_checks import check_gradients, check_inference, check_types_and_onnxruntime
from samples import LAYERS, LayerSample
from samples.feeds import real
from workbench import Training, near, on_runtime, program, training_file

from deepdsl.compiler.front_end import check
from deepdsl.core.record import record
from deepdsl.core.registry import Number, Registered, lookup, option
from deepdsl.core.source import Source
from deepdsl.graph import Builder, Graph, Type
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.backend import open_backend
from deepdsl.graph.formula import sqrt
from deepdsl.graph.passes import optimize
from deepdsl.graph.reshaping import sum_all
from deepdsl.insight.probe import probe_normal
from deepdsl.language.propagation import predict
from deepdsl.nn.initializers import stream
from deepdsl.nn.layers.activations.base import Activation, ActivationOp
from deepdsl.nn.layers.layer import Scope

Array = np.ndarray[Any, Any]

# Every activation with its defaults, and as the samples have it.
MADE = {
    layer.show(): layer
    for layer in (
        *(cls() for cls in lookup("layer").values() if issubclass(cls, Activation)),
        *(sample.layer for sample in LAYERS if isinstance(sample.layer, Activation)),
    )
    if layer.is_elementwise
}
GRID = np.concatenate([np.linspace(-50, 50, 401), np.linspace(-4, 4, 161)])
FAR = np.array([-1e4, -50.0, -1e-20, 0.0, 1e-20, 50.0, 1e4])

activations = pytest.mark.parametrize("layer", MADE.values(), ids=list(MADE))
# Those whose function of numbers is what the graph computes: their slopes do not start at random.
FIXED = {name: layer for name, layer in MADE.items() if "normal" not in name}
fixed = pytest.mark.parametrize("layer", FIXED.values(), ids=list(FIXED))


def graph(layer: Activation, training: bool = False, features: int = 1) -> Graph:
    """The activation, and the gradient of the sum of its results."""
    b = Builder()
    x = b.input("x", Type(("N", features)))
    out = layer.expand(Scope(b, "a", training, seed=3), x)
    (grad,) = gradients(b, sum_all(b, out), [x]).values()
    return optimize(b.graph({"out": out, "grad": grad}))


def run(layer: Activation, x: Array, training: bool = False, step: int = 0) -> dict[str, Array]:
    """Value and gradient at each number."""
    made = graph(layer, training)
    feeds: dict[str, Any] = {"x": x.astype(np.float32)[:, None]}
    for param in made.params:
        shape = tuple(int(d) for d in param.type.shape)
        values = param.init.sample(shape, (1, 1), stream(0, param.name))
        feeds[param.name] = np.array(step) if param.name == "step" else values.astype(np.float32)
    return {name: values[:, 0] for name, values in on_runtime(made, feeds).items()}


@fixed
def test_one_formula_on_numbers_and_in_graphs(layer: Activation) -> None:
    x = GRID.astype(np.float32).astype(np.float64)
    wanted = [layer.function(float(v)) for v in x]
    # Where a power is small beside 1, a float32 keeps no more than 6e-8 of it.
    near(run(layer, x)["out"], wanted, 2e-6)
    # In training rrelu draws its slopes where x is below 0.
    same = x >= 0 if layer.name == "rrelu" else np.isfinite(x)
    near(run(layer, x, training=True)["out"][same], np.array(wanted)[same], 2e-6)


@fixed
def test_gradient_is_the_derivative_of_the_function(layer: Activation) -> None:
    f, h = layer.function, 1e-5
    x = GRID.astype(np.float32).astype(np.float64)
    left, right = (np.array([(f(v + d) - f(v)) / d for v in x]) for d in (-h, h))
    smooth = np.abs(left - right) < 1e-3
    # All but a few points: a kink, a jump.
    assert smooth.mean() > 0.99
    made = run(layer, x)["grad"]
    near(made[smooth], ((left + right) / 2)[smooth], 5e-6)


@activations
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_far_from_zero_value_and_gradient_are_finite(layer: Activation, training: bool) -> None:
    made = run(layer, FAR, training)
    for name in ("out", "grad"):
        assert np.isfinite(made[name]).all(), name
    assert np.abs(made["grad"]).max() < 2


@activations
def test_bounds_are_reached(layer: Activation) -> None:
    if layer.bounds is None:
        wide = [layer.function(v) for v in (-1e6, 1e6)]
        assert max(map(abs, wide)) > 5
    else:
        near([layer.function(v) for v in (-1e6, 1e6)], layer.bounds, 2e-6)


@activations
def test_no_node_computes_nothing(layer: Activation) -> None:
    for training in (False, True):
        nodes = [str(node.op) for node in graph(layer, training).nodes]
        assert not [n for n in nodes if n.startswith("identity")]


def test_nodes() -> None:
    """How many operations an activation takes with its gradient, so that none grows unseen."""
    sizes = {
        layer.show(): len([n for n in graph(layer, True).nodes if "constant" not in str(n.op)])
        for layer in MADE.values()
    }
    # What is left of identity makes ones of the gradient of the sum.
    own = {k: v - sizes["identity"] for k, v in sizes.items()}
    wanted = {"relu": 3, "prelu": 4, "softsign": 5, "relu6": 6, "hard_sigmoid": 6, "swish": 8}
    assert {name: own[name] for name in wanted} == wanted
    assert own["gelu"] == 15
    assert max(own.values()) == own["gelu(approximate=tanh)"] == 24


@pytest.mark.parametrize("name", ["gelu", "swish", "mish", "elu", "celu", "selu", "hard_swish"])
def test_a_rectifier_is_x_far_to_the_right_and_small_far_to_the_left(name: str) -> None:
    made = run(lookup("layer")[name](), np.array([-40.0, 40.0]))
    scale = 1.0507009873554805 if name == "selu" else 1
    near(made["out"][1], np.float32(40 * scale), 1e-6)
    assert -2 < made["out"][0] <= 0
    near(made["grad"], [0, scale], 1e-6)


def test_gelu_by_tanh_is_near_gelu() -> None:
    gelu, by_tanh = MADE["gelu"], MADE["gelu(approximate=tanh)"]
    x = np.linspace(-6, 6, 2401)
    apart = max(abs(gelu.function(v) - by_tanh.function(v)) for v in x)
    assert 4e-4 < apart < 5e-4
    assert gelu.function(1.0) == pytest.approx((1 + erf(0.5**0.5)) / 2)


def test_published_values() -> None:
    """PyTorch's and Keras's documentation, and the definitions."""
    numbers = {name: layer.function for name, layer in MADE.items()}
    assert numbers["hard_sigmoid"](1.0) == pytest.approx(4 / 6)
    assert numbers["hard_swish"](1.0) == pytest.approx(4 / 6)
    assert numbers["softplus"](0.0) == pytest.approx(0.6931472)
    assert numbers["mish"](1.0) == pytest.approx(0.8650984)
    assert numbers["swish"](1.0) == pytest.approx(0.7310586)
    assert numbers["gelu"](-1.0) == pytest.approx(-0.1586553)
    assert numbers["softsign"](-3.0) == -0.75
    assert numbers["prelu"](-2.0) == -0.5
    assert numbers["rrelu"](-1.0) == pytest.approx(-0.2292, abs=5e-5)
    assert numbers["celu(alpha=0.5)"](-1e3) == -0.5


# What is learned or drawn -------------------------------------------------------------------------


TRAIN = "loss mean_squared_error; optimizer sgd lr=0.1 weight_decay=0.5"


def test_slopes_of_prelu_are_one_a_channel_learned_and_not_decayed() -> None:
    text = training_file("input x[2 3]\n prelu init=0.1 | flatten | dense 1 init=ones", TRAIN)
    made = Training(text)
    before = made.weight("prelu_1.slope").copy()
    near(before, np.float32([0.1, 0.1]))
    x = np.float32([[[-1, -2, 3], [4, 5, 6]], [[1, 2, 3], [-4, 5, 6]]])
    target = np.zeros((2, 1), np.float32)
    gradient = made.gradient(x=x, target=target)["prelu_1.slope"]
    made.step(x=x, target=target)
    near(made.weight("prelu_1.slope"), before - 0.1 * gradient, 1e-6)
    (slope,) = [p for p in made.graph.params if p.name == "prelu_1.slope"]
    assert (slope.role, slope.trainable) == ("slope", True)


def test_a_positive_signal_leaves_a_slope_as_it_was() -> None:
    made = Training(training_file("input x[3]\n prelu | dense 1", TRAIN))
    x = np.float32([[1, 2, -3], [4, 5, -6]])
    made.step(x=x, target=np.zeros((2, 1), np.float32))
    moved = made.weight("prelu_1.slope") != np.float32(0.25)
    assert moved.tolist() == [False, False, True]


def test_rrelu_draws_its_slopes_uniformly_and_its_gradient_is_the_slope() -> None:
    x = -np.ones(40_000)
    x[::4] = 2
    layer = MADE["rrelu"]
    made = run(layer, x, True, step=5)
    slopes = -made["out"][x < 0]
    near(made["out"][x > 0], np.full(10_000, 2.0))
    near(made["grad"], np.where(x > 0, 1, -made["out"]), 1e-6)
    assert slopes.min() >= 1 / 8
    assert slopes.max() <= 1 / 3 + 1e-7
    assert slopes.mean() == pytest.approx(11 / 48, abs=5 * (5 / 24) / (12 * slopes.size) ** 0.5)
    assert slopes.std() == pytest.approx((5 / 24) / 12**0.5, rel=0.02)
    assert not np.array_equal(made["out"], run(layer, x, True, step=6)["out"])
    assert np.array_equal(made["out"], run(layer, x, True, step=5)["out"])
    near(run(layer, x)["out"], np.where(x > 0, x, -11 / 48), 1e-6)


@pytest.mark.parametrize("name", sorted(n for n, c in lookup("layer").items() if c.activation))
def test_the_layer_before_follows(name: str) -> None:
    made = Training(training_file(f"input x[3]\n dense 4 | {name} | dense 1", TRAIN))
    (weight,) = [p for p in made.graph.params if p.name == "dense_1.weight"]
    assert weight.init.name == lookup("layer")[name].activation


@pytest.mark.parametrize(
    ("written", "codes", "help"),
    [
        ("silu", ["E101"], "did you mean `swish`?"),
        ("SiLU", ["E101"], "did you mean `swish`?"),
        ("Hardswish", ["E101"], "did you mean `hard_swish`?"),
        ("thresholded_relu", ["E101"], "did you mean `threshold`?"),
        ("rrelu 0.5 0.25", ["E201"], "write `rrelu 0.25 0.5`"),
        ("gelu approximate=true", ["E103"], ""),
        ("prelu init=he_norml", ["E112"], "did you mean `he_normal`?"),
        ("prelu init=true", ["E103"], ""),
        ("prelu 0.25", ["E105"], "options have names: `init=0.25`"),
    ],
)
def test_mistakes(written: str, codes: list[str], help: str) -> None:
    _, report = check(Source("m.dnn", f"model m {{ input x[4]; dense 8 | {written} | dense 3 }}"))
    found = [d for d in report if d.code.startswith("E")]
    assert [d.code for d in found] == codes
    assert help in found[0].help


# A new one ----------------------------------------------------------------------------------------


@pytest.fixture
def squareplus() -> Iterator[type[Activation]]:
    """An activation as a user of the package would write it: a class, and nothing else."""

    @record
    class Squareplus(Activation):
        """`squareplus`: (x + sqrt(x^2 + b)) / 2, a smooth relu without exp.

        Barron 2021.
        """

        b: float = option(Number(above=0), "how smooth it is", 4.0)

        activation = "he_normal"
        source = "Barron 2021, arXiv:2112.11687"

        def function(self, x: Any) -> Any:
            return 0.5 * (x + sqrt(x * x + self.b))

    yield Squareplus
    del Registered.registries["layer"]["squareplus"]


def test_what_a_new_activation_is_given(squareplus: type[Activation]) -> None:
    assert lookup("layer")["squareplus"] is squareplus
    assert squareplus.formula() == "(x + sqrt(x^2 + b)) / 2, a smooth relu without exp"
    page = squareplus.page()
    assert page.startswith("`squareplus`: ")
    assert "Source: Barron 2021, arXiv:2112.11687." in page
    assert "b=             how smooth it is (a number above 0; default 4)" in page

    sample = LayerSample(squareplus(b=1.0), (real("N", 3),), lambda x: (x + np.sqrt(x * x + 1)) / 2)
    check_inference(sample)
    for training in (False, True):
        check_types_and_onnxruntime(sample, training)
        check_gradients(sample, training)
    near(run(squareplus(), GRID)["out"], [squareplus().function(float(v)) for v in GRID], 2e-6)

    body = "input x[3]\n dense 8 | {} | dense 1"
    for wrong, code in (("square_plus", "E101"), ("squareplus c=1", "E102")):
        _, report = check(Source("m.dnn", f"model m {{ {body.format(wrong)} }}"))
        (found,) = [d for d in report if d.code.startswith("E")]
        assert found.code == code
        assert ("squareplus" if code == "E101" else "b") in found.help
    text = training_file(body.format("squareplus b=1"), "loss mean_squared_error; seed 1")
    made = Training(text)
    (weight,) = [p for p in made.graph.params if p.name == "dense_1.weight"]
    assert weight.init.name == "he_normal"
    x = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    target = np.abs(x).sum(1, keepdims=True)
    losses = [float(made.step(x=x, target=target)["loss"]) for _ in range(200)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_new_activation_takes_part_in_lints_and_prediction(squareplus: type[Activation]) -> None:
    def codes(chain: str) -> set[str]:
        text = f"model m {{ input x[128]\n {chain}\n dense 2 }}"
        return {d.code for d in check(Source("m.dnn", text))[1]}

    # Its initializer is what the lint about misfits measures others by.
    assert codes("dense 128 init=normal(std=1) | squareplus") == {"W410"}
    assert codes("dense 128 init=he_uniform | squareplus") == set()
    assert "W413" in codes("dense 128 | squareplus | squareplus")
    # Its derivative at 0 is a half: with weights too small, deep networks of it lose the gradient.
    assert "W420" in codes("repeat 30 { dense 128 init=lecun_normal | squareplus b=1 }")

    chain = "model m { input x[200]\n repeat 10 { dense 200 | squareplus } }"
    net = program(chain).models["m"]
    prediction = predict(net)
    assert prediction.unknown == ""
    measured = probe_normal(net, 3, open_backend("cpu"), rows=500)
    assert measured.measured_ratio is not None
    told = prediction.gradient_ratio(net)
    assert told is not None
    assert abs(told - np.log10(measured.measured_ratio)) < 0.3
    for layer, expected in zip(measured.layers, prediction.layers, strict=True):
        assert expected.moments is not None
        assert layer.activation_std == pytest.approx(expected.moments.std, rel=0.4)


def test_nothing_is_left_of_it() -> None:
    assert "squareplus" not in lookup("layer")
    assert issubclass(lookup("layer")["relu"], ActivationOp)
