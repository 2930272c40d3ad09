"""Layer, group and root-mean-square normalization: over which axes, and row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Training, near, on_runtime, training_file

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.graph import Builder, Type
from deepdsl.graph.emit import emit
from deepdsl.graph.passes import optimize
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.layer_norm import GroupNorm, LayerNorm, RmsNorm

Array = np.ndarray[Any, Any]

TRAIN = "loss mean_squared_error; optimizer sgd lr=0.1 weight_decay=0.5; seed 3"


def apply(layer: Layer, x: Array, training: bool = False) -> Array:
    """The layer as it begins: gamma 1, beta 0."""
    b = Builder()
    out = layer.expand(Scope(b, "n", training), b.input("x", Type(("N", *x.shape[1:]))))
    feeds: dict[str, Array] = {"x": x.astype(np.float32)}
    for param in b.params:
        start = np.ones if param.name.endswith("gamma") else np.zeros
        feeds[param.name] = start([int(d) for d in param.type.shape], np.float32)
    return on_runtime(optimize(b.graph({"out": out})), feeds)["out"]


def rows(*shape: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return (2 + 3 * rng.standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("shape", [(4, 50), (4, 3, 50), (4, 3, 2, 50)])
def test_layer_norm_is_over_the_last_axis(shape: tuple[int, ...]) -> None:
    x = rows(*shape)
    made = apply(LayerNorm(), x)
    near(made.mean(-1), np.zeros(shape[:-1]), 1e-6)
    near(made.var(-1), x.var(-1) / (x.var(-1) + 1e-3), 1e-5)


def test_rms_norm_keeps_the_mean() -> None:
    x = rows(4, 3, 50)
    made = apply(RmsNorm(), x)
    near((made**2).mean(-1), np.ones((4, 3)), 1e-5)
    near(made, x / np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-6), 1e-5)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm_is_over_groups_of_channels_and_the_image(groups: int) -> None:
    x = rows(4, 6, 5, 7)
    made = apply(GroupNorm(groups), x).reshape(4, groups, -1)
    variance = x.reshape(4, groups, -1).var(-1)
    near(made.mean(-1), np.zeros((4, groups)), 1e-6)
    near(made.var(-1), variance / (variance + 1e-3), 1e-5)


@pytest.mark.parametrize("layer", [LayerNorm(), RmsNorm(), GroupNorm(2)], ids=lambda s: s.name)
def test_a_row_does_not_depend_on_the_others(layer: Layer) -> None:
    x = rows(6, 8)
    whole = apply(layer, x)
    assert np.array_equal(whole, apply(layer, x, training=True))
    near(np.concatenate([apply(layer, row[None]) for row in x]), whole, 1e-6)


def test_the_variance_of_rows_far_from_zero_is_right() -> None:
    """A mean of squares less the square of the mean would have no digit left."""
    x = np.round(rows(4, 50).astype(np.float64) * 64) / 64
    near(apply(LayerNorm(), 4096 + x), apply(LayerNorm(), x), 1e-3)


def test_a_constant_row_is_zero_and_its_gradient_finite() -> None:
    made = Training(training_file("input x[4]\n layer_norm | dense 1", TRAIN))
    x, target = np.full((3, 4), 7, np.float32), np.ones((3, 1), np.float32)
    near(made.infer(x=x), np.zeros((3, 1)))
    assert all(np.isfinite(g).all() for g in made.gradient(x=x, target=target).values())
    assert np.isfinite(made.step(x=x, target=target)["loss"])


def test_gamma_and_beta_are_not_decayed() -> None:
    # A target that the model already gives: decay alone would move what is decayed.
    made = Training(training_file("input x[4]\n layer_norm | dense 2 bias=false", TRAIN))
    (x,) = (rows(8, 4),)
    target = made.infer(x=x)
    before = {k: made.weight(k).copy() for k in ("layer_norm_1.gamma", "layer_norm_1.beta")}
    weight = made.weight("dense_1.weight").copy()
    made.step(x=x, target=target)
    for name, value in before.items():
        near(made.weight(name), value, 1e-6)
    near(made.weight("dense_1.weight"), (1 - 0.1 * 0.5) * weight, 1e-5)


@pytest.mark.parametrize(
    ("layer", "params", "operations"), [("layer_norm", 2, 10), ("rms_norm", 1, 7)]
)
def test_size(layer: str, params: int, operations: int) -> None:
    """Few operations; a compiled layer has the parameters that it should have."""
    made = Training(training_file(f"input x[6]\n {layer} | dense 2", TRAIN))
    assert sum(p.role == "norm" for p in made.graph.params) == params
    b = Builder()
    lookup = {"layer_norm": LayerNorm(), "rms_norm": RmsNorm()}
    lookup[layer].expand(Scope(b, "n"), b.input("x", Type(("N", 6))))
    assert len(emit(b.graph({"out": b.nodes[-1].outputs[0]}), "n").proto.graph.node) == operations


def test_norms_are_looked_through_for_the_initializer() -> None:
    for norm in ("layer_norm", "rms_norm", "group_norm 2", "gaussian_noise 0.1"):
        made = Training(training_file(f"input x[3]\n dense 4 | {norm} | relu | dense 1", TRAIN))
        (weight,) = [p for p in made.graph.params if p.name == "dense_1.weight"]
        assert weight.init.name == "he_normal"


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm", "group_norm 4"])
def test_a_deep_network_learns_with_it(norm: str) -> None:
    body = "input x[5]\n repeat 8 { dense 16 bias=false | " + norm + " | relu }\n dense 1"
    made = Training(training_file(body, "loss mean_squared_error; optimizer adam lr=1e-2; seed 1"))
    x = np.random.default_rng(0).standard_normal((64, 5)).astype(np.float32)
    target = (x[:, :1] * x[:, 1:2]).astype(np.float32)
    losses = [float(made.step(x=x, target=target)["loss"]) for _ in range(200)]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize(
    ("written", "message", "help"),
    [
        ("group_norm 3", "3 equal groups", "8 channels can be divided into: 1, 2, 4"),
        ("group_norm", "32 equal groups", "8 channels can be divided into: 1, 2, 4"),
        ("group_norm 8", "takes several numbers at a time", "take fewer groups"),
        ("dense 1 | layer_norm", "takes several numbers at a time", ""),
    ],
)
def test_shapes_that_do_not_fit(written: str, message: str, help: str) -> None:
    _, report = check(Source("m.dnn", f"model m {{ input x[4]; dense 8 | {written} | dense 3 }}"))
    (found,) = [d for d in report if d.code.startswith("E")]
    assert found.code == "E201"
    assert message in found.message
    assert help == found.help


@pytest.mark.parametrize(
    ("written", "here"),
    [
        ("LayerNorm", "layer_norm"),
        ("layer_normalization", "layer_norm"),
        ("InstanceNorm2d", "group_norm"),
        ("RMSNorm", "rms_norm"),
        ("AlphaDropout", "alpha_dropout"),
        ("noise", "gaussian_noise"),
    ],
)
def test_other_names(written: str, here: str) -> None:
    _, report = check(Source("m.dnn", f"model m {{ input x[4]; dense 8 | {written} | dense 3 }}"))
    assert [d.help for d in report if d.code == "E101"] == [f"did you mean `{here}`?"]
