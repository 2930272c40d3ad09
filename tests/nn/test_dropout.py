"""Dropout: its rate and scale, and masks that are functions of seed, path, step and element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Training, near, on_runtime, training_file

from deepdsl.graph import Builder, Type
from deepdsl.nn.layers.dropout import Dropout
from deepdsl.nn.layers.layer import Scope

Array = np.ndarray[Any, Any]


def masked(
    rate: float = 0.3,
    seed: int = 1,
    path: str = "body.dropout_1",
    step: int = 0,
    shape: tuple[int, ...] = (200, 50),
    threads: int = 1,
) -> Array:
    """Ones after dropout in training: 0 where dropped, 1 / (1 - rate) elsewhere."""
    b = Builder()
    x = b.input("x", Type(("N", *shape[1:])))
    out = Dropout(rate).expand(Scope(b, path, True, seed), x)
    feeds = {"x": np.ones(shape, np.float32), "step": np.array(step)}
    return on_runtime(b.graph({"out": out}), feeds, threads)["out"]


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_rate_and_scale(rate: float) -> None:
    made = masked(rate)
    assert set(np.unique(made)) == {np.float32(0), np.float32(1 / (1 - rate))}
    deviation = (rate * (1 - rate) / made.size) ** 0.5
    assert (made == 0).mean() == pytest.approx(rate, abs=4 * deviation)
    assert made.mean() == pytest.approx(1, abs=5 * deviation / (1 - rate))


def test_a_mask_is_a_pure_function() -> None:
    assert np.array_equal(masked(), masked())
    assert np.array_equal(masked(), masked(threads=2))


def test_the_mask_does_not_depend_on_how_many_rows_follow() -> None:
    assert np.array_equal(masked(shape=(200, 50))[:7], masked(shape=(7, 50)))


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"path": "body.dropout_2"}, {"step": 1}, {"step": 2**31}, {"step": 10**6}],
    ids=str,
)
def test_another_seed_path_or_step_is_another_mask(other: dict[str, Any]) -> None:
    first, second = masked(0.5) > 0, masked(0.5, **other) > 0
    # Independent masks agree on half of the elements: a deviation of 0.005 with 10,000 of them.
    assert (first == second).mean() == pytest.approx(0.5, abs=0.025)


def test_rate_zero_and_inference_are_the_identity() -> None:
    for layer, training in ((Dropout(0.0), True), (Dropout(0.5), False)):
        b = Builder()
        x = b.input("x", Type(("N", 3)))
        assert layer.expand(Scope(b, "d", training), x) is x
        assert not b.nodes
        assert not b.params


def test_gradient_passes_where_the_mask_does() -> None:
    text = training_file(
        "input x[40]\n dense 40 init=identity bias=false | dropout 50%",
        "loss mean_squared_error; optimizer sgd lr=1",
    )
    made = Training(text)
    # Row i is the i-th unit vector, so the weight's gradient shows each element's own factor.
    x, target = np.eye(40, dtype=np.float32), np.zeros((40, 40), np.float32)
    factors = masked(0.5, seed=0, path="dropout_1", shape=(40, 40)) * np.eye(40)
    near(made.gradient(x=x, target=target)["dense_1.weight"], 2 * factors**2 / 1600, 1e-7)
    near(float(made.step(x=x, target=target)["loss"]), (factors**2).mean(), 1e-6)


def test_each_step_draws_another_mask() -> None:
    text = training_file(
        "input x[50]\n dense 50 init=identity bias=false | dropout 50% | dense 1 init=ones",
        "loss mean_squared_error; optimizer sgd lr=1e-30",
    )
    made = Training(text)
    x, target = np.ones((1, 50), np.float32), np.zeros((1, 1), np.float32)
    kept = [round(float(made.step(x=x, target=target)["loss"]) ** 0.5 / 2) for _ in range(6)]
    wanted = [
        int((masked(0.5, seed=0, path="dropout_1", step=t, shape=(1, 50)) > 0).sum())
        for t in range(6)
    ]
    assert kept == wanted
    assert len(set(wanted)) > 1


def test_uses_of_a_shared_part_draw_masks_of_their_own() -> None:
    text = training_file(
        """
        input a[400]
        input b[400]
        part noise { dense 400 init=identity bias=false | dropout 50% }
        p = a | noise
        q = b | noise
        p + q | dense 1 init=zeros
        """,
        "loss mean_squared_error; optimizer sgd lr=1",
    )
    made = Training(text)
    ones = np.ones((1, 400), np.float32)
    made.step(a=ones, b=ones, target=np.ones((1, 1), np.float32))
    # The last weights move by 2 (p + q): with one mask for both there would be no sum of 2.
    moved = np.round(made.weight("dense_1.weight").ravel() / 2).astype(int)
    assert set(moved) == {0, 2, 4}
    assert (moved == 2).mean() == pytest.approx(0.5, abs=0.1)
