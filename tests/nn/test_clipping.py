"""Clipping of gradients by value, by norm and by the norm of all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Training, near, reference, training_file

from deepdsl.graph import Builder, Type, Value
from deepdsl.language.sections.train_options import Clip

Array = np.ndarray[Any, Any]


def clipped(clip: Clip, *tensors: Any) -> tuple[list[Array], Array | None]:
    """The tensors after clipping, and the norm of all before it."""
    b = Builder()
    arrays = {f"g{i}": np.asarray(t, np.float32) for i, t in enumerate(tensors)}
    grads: dict[Value, Value] = {}
    for name, array in arrays.items():
        value = b.input(name, Type(array.shape))
        grads[value] = value
    made, norm = clip.apply(b, grads)
    outputs = {f"out{i}": v for i, v in enumerate(made.values())}
    if norm is not None:
        outputs["norm"] = norm
    found = reference(b.graph(outputs), arrays)
    return [found[f"out{i}"] for i in range(len(arrays))], found.get("norm")


def test_by_value() -> None:
    (out,), norm = clipped(Clip(value=1.0), [0.9, 100.0])
    near(out, [0.9, 1.0], 1e-7)
    assert norm is None
    (out,), _ = clipped(Clip(value=0.5), [-3.0, -0.25, 0.0])
    near(out, [-0.5, -0.25, 0.0], 1e-7)


def test_by_norm() -> None:
    (out,), _ = clipped(Clip(norm=1.0), [0.9, 100.0])
    near(out, [0.00899964, 0.9999595], 1e-7)


def test_norm_is_each_tensor_s_own() -> None:
    (first, second), _ = clipped(Clip(norm=5.0), [[30.0, 40.0]], [0.3, 0.4])
    near(first, [[3.0, 4.0]], 1e-6)
    near(second, [0.3, 0.4], 1e-7)


def test_global_norm_keeps_the_direction() -> None:
    (first, second), norm = clipped(Clip(global_norm=1.3), [3.0], [[4.0, 12.0]])
    near(norm, 13.0, 1e-6)
    near(first, [0.3], 1e-6)
    near(second, [[0.4, 1.2]], 1e-6)


@pytest.mark.parametrize("clip", [Clip(norm=1.0), Clip(global_norm=1.0), Clip(value=1.0)])
def test_zero_stays_zero(clip: Clip) -> None:
    (out,), _ = clipped(clip, [0.0, 0.0])
    near(out, [0.0, 0.0], 1e-9)


def test_value_then_norm_then_global_norm() -> None:
    (first, second), norm = clipped(Clip(value=3.0, norm=4.0, global_norm=1.0), [3.0, 40.0], [3.0])
    by_value = np.array([3.0, 3.0]), np.array([3.0])
    by_norm = by_value[0] * 4 / np.sqrt(18), by_value[1]
    whole = np.sqrt((by_norm[0] ** 2).sum() + 9)
    near(norm, whole, 1e-6)
    near(first, by_norm[0] / whole, 1e-6)
    near(second, by_norm[1] / whole, 1e-6)


@pytest.mark.parametrize("clip", ["value=0.01", "norm=0.02", "global_norm=0.03", "norm=1e6"])
def test_a_step_moves_by_the_clipped_gradient(clip: str) -> None:
    text = training_file(
        "input x[3]\n dense 4 | tanh | dense 2",
        f"loss mean_squared_error; optimizer sgd lr=1; clip {clip}",
    )
    made = Training(text)
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((5, n)).astype(np.float32) for n in (3, 2))
    grads = {k: g.astype(np.float64) for k, g in made.gradient(x=x, target=y).items()}
    name, _, number = clip.partition("=")
    limit = float(number)
    whole = np.sqrt(sum((g**2).sum() for g in grads.values()))
    before = {k: v.copy() for k, v in made.state.items()}
    made.step(x=x, target=y)
    for path, g in grads.items():
        if name == "value":
            want = np.clip(g, -limit, limit)
        else:
            want = g * min(1.0, limit / (whole if name == "global_norm" else np.linalg.norm(g)))
        near(before[path] - made.weight(path), want, 1e-6)
