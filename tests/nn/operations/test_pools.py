"""Windows, pools and what relu and dropout do beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import near, on_runtime, program, reference

from deepdsl.compiler.forward import forward
from deepdsl.graph import Builder, ShapeError, Type, Value
from deepdsl.graph.passes import optimize, prune
from deepdsl.graph.windows import windows
from deepdsl.nn.layers.activations.relu_variants import Relu
from deepdsl.nn.layers.dropout import Dropout
from deepdsl.nn.layers.layer import Scope
from deepdsl.nn.layers.pooling import LargerOfPairs, MaxPool, MaxWithPlace


def image(*sizes: int) -> Type:
    return Type(("N", 3, *sizes))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads", "out"),
    [
        (32, 3, 1, (1, 1), 32),
        (32, 3, 2, (1, 1), 16),  # symmetric, where one in front or behind would do
        (33, 3, 2, (1, 1), 17),
        (32, 2, 1, (0, 1), 32),
        (32, 4, 1, (1, 2), 32),
        (32, 2, 2, (0, 0), 16),
        (33, 2, 2, (1, 1), 17),
        (224, 7, 2, (3, 3), 112),
        (7, 1, 2, (0, 0), 4),
        (5, 1, 4, (0, 0), 2),
    ],
)
def test_same(size: int, kernel: int, stride: int, pads: tuple[int, int], out: int) -> None:
    made = windows("conv", image(size), (kernel,), (stride,), "same")
    assert (made.pads, made.outs) == (pads, (out,))


def test_dilated_windows_reach_further() -> None:
    made = windows("conv", image(9, 9), (3,), (1,), "same", (2, 1))
    assert made.reach == (5, 3)
    assert made.pads == (2, 1, 2, 1)
    with pytest.raises(ShapeError, match="larger than the 4 × 4"):
        windows("conv", image(4, 4), (3,), dilation=(2,))


def nodes(text: str, training: bool = True) -> list[str]:
    model = program(f"model m {{ input x[3 8 8]\n{text} }}").models["m"]
    made = forward(model, training=training)
    graph = prune(made.builder.graph(made.outputs))
    return [type(node.op).__name__ for node in graph.nodes]


def test_the_lowering_is_chosen_by_the_windows() -> None:
    assert nodes("max_pool 2x2") == [LargerOfPairs.__name__] * 2
    assert nodes("max_pool 1x2") == [LargerOfPairs.__name__]
    for other in ("3x3", "2x2 stride=1", "2x2 pad=1", "3x3 stride=2 pad=same"):
        assert nodes(f"max_pool {other}") == [MaxWithPlace.__name__]
    assert nodes("max_pool 2x2", training=False) == ["MaxOf"]


def test_relu_goes_behind_the_pool_in_training_alone() -> None:
    assert nodes("relu | max_pool 3x3") == ["MaxWithPlace", "Relu"]
    assert nodes("relu | max_pool 3x3", training=False) == ["Relu", "MaxOf"]


def test_a_rectified_image_that_others_read_is_there_for_them() -> None:
    b = Builder()
    x = b.input("x", image(4, 4))
    on = b.add(Relu(), x)
    out = MaxPool((2,)).expand(Scope(b, "p", training=True), on)
    given = np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32)
    made = on_runtime(b.graph({"on": on, "out": out}), {"x": given})
    assert np.array_equal(made["on"], np.maximum(given, 0))
    assert np.array_equal(made["out"], made["on"].reshape(2, 3, 2, 2, 2, 2).max((3, 5)))


@pytest.mark.parametrize("training", [False, True])
def test_a_pad_never_wins(training: bool) -> None:
    b = Builder()
    x = b.input("x", image(4, 4))
    out = MaxPool((3,), stride=(2,), pad=(1,)).expand(Scope(b, "p", training), x)
    given = -np.ones((2, 3, 4, 4), np.float32)
    assert (on_runtime(b.graph({"out": out}), {"x": given})["out"] == -1).all()


def channels(rate: float, **given: Any) -> np.ndarray:
    b = Builder()
    x: Value = b.input("x", image(4, 5))
    out = Dropout(rate, **given).expand(Scope(b, "d", training=True, seed=3), x)
    feeds = {"x": np.ones((400, 3, 4, 5), np.float32), "step": np.array(1)}
    return reference(b.graph({"out": out}), feeds)["out"]


def test_dropout_of_whole_channels() -> None:
    made = channels(0.25, per="channel")
    first = made[:, :, :1, :1]
    assert np.array_equal(made, np.broadcast_to(first, made.shape))
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (first == 0).mean() == pytest.approx(0.25, abs=0.05)
    assert len(np.unique(channels(0.25)[0, 0])) == 2


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        "zero_pad 1 | max_pool 2",
        "zero_pad 1 | max_pool 3 stride=1",
        "zero_pad 2 | max_pool 2 pad=1",
        "zero_pad 1 | reshape [3 10 10] | max_pool 3",
        "zero_pad 1 | global_max_pool",
        "zero_pad 3 | avg_pool 3",
        "zero_pad 1 | avg_pool 2 pad=1",
        "zero_pad [1 0 2 1] | avg_pool 3 pad=1 count_pad=true",
        "zero_pad 1 | split [1 2] part=2 | max_pool 2",
    ],
)
def test_zeros_in_front_of_a_pool_stay_zeros(body: str, training: bool) -> None:
    """A runtime may not take them for the pool's own pad, which is -infinity."""
    model = program(f"model m {{ input x[3 8 8]\n{body} }}").models["m"]
    made = forward(model, training=training)
    graph = optimize(made.builder.graph(made.outputs))
    below = -np.random.default_rng(2).uniform(1, 2, (2, 3, 8, 8)).astype(np.float32)
    near(on_runtime(graph, {"x": below})["output"], reference(graph, {"x": below})["output"])
