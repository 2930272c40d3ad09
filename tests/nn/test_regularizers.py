"""l1, l2 and max_norm of dense layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Training, near, opened, training_file

from deepdsl.compiler.front_end import load_program
from deepdsl.core.source import Source
from deepdsl.nn.regularizers import Regularizer

Array = np.ndarray[Any, Any]
RATE = 1e-2


def made(layer: str, rows: str = "", rest: str = "tanh | dense 2") -> Training:
    return Training(
        training_file(
            f"input x[4]\n dense 5 bias=normal(std=0.5) {layer} | {rest}",
            f"loss mean_squared_error; optimizer sgd lr={RATE}; {rows}",
        )
    )


def batch(seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((6, 4)).astype(np.float32),
        "target": rng.standard_normal((6, 2)).astype(np.float32),
    }


def penalty(weight: Array, l1: float, l2: float) -> float:
    return l1 * float(np.abs(weight).sum()) + l2 * float((weight.astype(np.float64) ** 2).sum())


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.2), (0.1, 0.4)])
def test_the_step_goes_down_the_whole_objective(l1: float, l2: float) -> None:
    """Its move along a direction, against differences of loss + penalties in that direction."""
    whole, fed = made(f"l1={l1} l2={l2}"), batch()
    before = {k: v.copy() for k, v in whole.state.items()}

    def objective(path: str, shift: Array) -> float:
        whole.state = {**before, path: (before[path] + shift).astype(np.float32)}
        loss = float(whole.evaluate(**fed)["loss"])
        return loss + penalty(whole.weight("dense_1.weight"), l1, l2)

    whole.step(**fed)
    after = whole.state
    rng = np.random.default_rng(1)
    for path in [p.name for p in whole.graph.params if p.trainable]:
        # Weights in proportion, so that none changes its sign, where |w| has a corner.
        size = np.abs(before[path]) if path.endswith("weight") else 1.0
        v = 5e-3 * size * rng.standard_normal(before[path].shape)
        slope = (objective(path, v) - objective(path, -v)) / 2
        move = (before[path].astype(np.float64) - after[path]) / RATE
        # Numbers of float32: the loss is known to 1e-7.
        assert float((move * v).sum()) == pytest.approx(slope, rel=5e-3, abs=3e-7), path


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.2), (0.1, 0.4)])
def test_gradients_of_the_penalties(l1: float, l2: float) -> None:
    whole, fed = made(f"l1={l1} l2={l2}"), batch()
    grads = {k: g.astype(np.float64) for k, g in whole.gradient(**fed).items()}
    before = {k: v.copy() for k, v in whole.state.items()}
    whole.step(**fed)
    for path, g in grads.items():
        w = before[path].astype(np.float64)
        want = g + (l1 * np.sign(w) + 2 * l2 * w if path == "dense_1.weight" else 0)
        near((before[path] - whole.weight(path)) / RATE, want, 2e-5)


def test_a_weight_of_zero_has_no_slope_of_l1() -> None:
    whole = made("l1=0.5")
    whole.state["dense_1.weight"][:] = 0.0
    fed = batch()
    grad = whole.gradient(**fed)["dense_1.weight"]
    whole.step(**fed)
    near(whole.weight("dense_1.weight"), -RATE * grad, 1e-6)


def test_penalties_are_added_before_clipping() -> None:
    whole, fed = made("l2=3", "clip value=0.01"), batch()
    before = whole.weight("dense_1.weight").copy()
    whole.step(**fed)
    assert np.abs(before - whole.weight("dense_1.weight")).max() <= 0.0101 * RATE
    whole, fed = made("l2=3", "clip global_norm=0.5"), batch()
    grads = {k: g.astype(np.float64) for k, g in whole.gradient(**fed).items()}
    before = whole.weight("dense_1.weight").copy()
    grads["dense_1.weight"] = grads["dense_1.weight"] + 6 * before
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    whole.step(**fed)
    move = (before - whole.weight("dense_1.weight")) / RATE
    near(move, grads["dense_1.weight"] * 0.5 / norm, 2e-5)


def test_the_reported_loss_is_that_of_the_data() -> None:
    plain, heavy, fed = made(""), made("l1=1 l2=1"), batch()
    near(heavy.evaluate(**fed)["loss"], plain.evaluate(**fed)["loss"], 1e-7)
    near(heavy.step(**fed)["loss"], plain.step(**fed)["loss"], 1e-7)


def test_max_norm_bounds_each_unit_after_each_step() -> None:
    whole = made("max_norm=0.7", "clip value=100")
    for seed in range(20):
        fed = batch(seed)
        grad = whole.gradient(**fed)["dense_1.weight"].astype(np.float64)
        free = whole.weight("dense_1.weight") - RATE * grad
        norms = np.linalg.norm(free, axis=0)
        whole.step(**fed)
        near(whole.weight("dense_1.weight"), free * np.minimum(1, 0.7 / norms), 1e-6)
    assert np.linalg.norm(whole.weight("dense_1.weight"), axis=0).max() <= 0.7 + 1e-6
    # Others are free.
    assert np.linalg.norm(whole.weight("dense_2.weight"), axis=0).max() > 0.7


def test_norms_below_the_limit_and_units_of_zeros_stay_as_they_are() -> None:
    bounded, free, fed = made("max_norm=50"), made(""), batch()
    for each in (bounded, free):
        each.state["dense_1.weight"][:, 2] = 0.0
        # Nothing flows back into unit 2: its column stays zero.
        each.state["dense_2.weight"][2] = 0.0
        each.step(**fed)
    assert np.array_equal(bounded.weight("dense_1.weight"), free.weight("dense_1.weight"))
    assert not bounded.weight("dense_1.weight")[:, 2].any()
    assert np.isfinite(bounded.weight("dense_1.weight")).all()


def test_a_default_reaches_every_layer_below_it() -> None:
    text = """
    data d { train builtin digits; take 50 }
    model m {
      input x[8 8]
      default dense l2=1e-4
      flatten | dense 8 max_norm=2 | relu | dense 10 | softmax
    }
    train m on d { loss cross_entropy }
    """
    _, artifacts = opened(text)
    rules = {p.name: p.regularizer for p in artifacts.step_graph.params if p.role == "weight"}
    assert rules == {
        "dense_1.weight": Regularizer(0.0, 1e-4, 2.0),
        "dense_2.weight": Regularizer(0.0, 1e-4),
    }
    biases = [p.regularizer for p in artifacts.step_graph.params if p.role == "bias"]
    assert biases == [None, None]


def test_a_shared_layer_is_penalized_once() -> None:
    text = training_file(
        "input x[3]\n part p { dense 3 l2=0.5 | tanh }\n a = x | p\n b = a | p\n b | dense 1",
        "loss mean_squared_error; optimizer sgd lr=1",
    )
    whole = Training(text)
    fed = {"x": np.zeros((2, 3), np.float32), "target": np.zeros((2, 1), np.float32)}
    before = whole.weight("p.dense_1.weight").copy()
    grad = whole.gradient(**fed)["p.dense_1.weight"]
    whole.step(**fed)
    near(whole.weight("p.dense_1.weight"), before - grad - before, 1e-6)


def test_nothing_is_added_where_nothing_is_asked_for() -> None:
    text = training_file("input x[3]\n dense 2 l1=0 l2=0", "loss mean_squared_error")
    assert all(p.regularizer is None for p in Training(text).graph.params)


def test_negative_penalties_are_refused() -> None:
    for option in ("l1=-1", "l2=-0.1", "max_norm=0"):
        with pytest.raises(Exception, match="E103"):
            load_program(Source("r.dnn", f"model m {{ input x[3]; dense 2 {option} }}"))
