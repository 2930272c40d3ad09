"""Recurrent layers and attention as Keras has them, against its formulas in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reused import loaded, results
from workbench import Array, near

UNITS, FEATURES, POSITIONS, ROWS = 4, 3, 5, 2


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def lstm(x: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Keras's LSTMCell: gates i f c o."""
    h = c = np.zeros((len(x), UNITS))
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return np.asarray(h)


def gru(x: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Keras's GRUCell with reset_after: gates z r h, and a bias for each product."""
    h = np.zeros((len(x), UNITS))
    for t in range(x.shape[1]):
        a = np.split(x[:, t] @ kernel + bias[0], 3, axis=1)
        b = np.split(h @ recurrent + bias[1], 3, axis=1)
        z, r = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        h = z * h + (1 - z) * np.tanh(a[2] + r * b[2])
    return np.asarray(h)


def gru_before(x: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Keras's GRUCell with reset_after=False."""
    h = np.zeros((len(x), UNITS))
    for t in range(x.shape[1]):
        a = np.split(x[:, t] @ kernel + bias, 3, axis=1)
        parts = np.split(recurrent, 3, axis=1)
        z, r = sigmoid(a[0] + h @ parts[0]), sigmoid(a[1] + h @ parts[1])
        h = z * h + (1 - z) * np.tanh(a[2] + (r * h) @ parts[2])
    return np.asarray(h)


CASES: dict[str, tuple[Any, int, tuple[int, ...]]] = {
    "lstm 4": (lstm, 4, (16,)),
    "gru 4": (gru, 3, (2, 12)),
    "gru 4 reset_after=false": (gru_before, 3, (12,)),
}


def cell(rng: Any, gates: int, bias: tuple[int, ...]) -> tuple[Array, ...]:
    shapes = ((FEATURES, gates * UNITS), (UNITS, gates * UNITS), bias)
    return tuple(rng.uniform(-1, 1, shape).astype(np.float32) for shape in shapes)


@pytest.mark.parametrize("layer", CASES)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("spelling", ["names", "vars", "nameless"])
def test_recurrent_layers(layer: str, both: bool, spelling: str, tmp_path: Path) -> None:
    compute, gates, bias = CASES[layer]
    rng = np.random.default_rng(4)
    x = rng.standard_normal((ROWS, POSITIONS, FEATURES)).astype(np.float32)
    kind = layer.split()[0]
    name = f"{kind}_1"
    ways = [cell(rng, gates, bias) for _ in range(1 + both)]
    wanted = [compute(x[:, :: -1 if n else 1], *way) for n, way in enumerate(ways)]
    stored: dict[str, Array] = {}
    for way, prefix in zip(ways, ("forward", "backward"), strict=False):
        inner = f"{prefix}_{kind}/" if both else ""
        parts = ("kernel", "recurrent_kernel", "bias")
        if spelling == "vars":
            inner, parts = f"{prefix}_layer/" if both else "", ("vars/0", "vars/1", "vars/2")
        middle = f"{inner}cell" if spelling == "vars" else f"{inner}{kind}_cell"
        for part, value in zip(parts, way, strict=True):
            nameless = spelling == "nameless"
            key = f"arr_{len(stored)}" if nameless else f"{name}/{middle}/{part}"
            stored[f"layers/{key}" if spelling == "vars" else key] = value
    np.savez(tmp_path / "k.npz", **stored)
    text = f"model m {{ input x[5 3]; {layer}{' direction=both' if both else ''} }}"
    more: dict[str, Any] = {"match": "order", "layout": "keras"} if spelling == "nameless" else {}
    made = loaded(text, tmp_path / "k.npz", **more)
    near(results(text, made.values, x), np.concatenate(wanted, 1).astype(np.float32), 1e-5)
    assert made.unused == ()


def test_attention_with_heads_as_an_axis(tmp_path: Path) -> None:
    """Keras's MultiHeadAttention: kernels (D, heads, d) and (heads, d, D)."""
    rng = np.random.default_rng(4)
    heads, each, size = 2, 3, 6
    x = rng.standard_normal((ROWS, POSITIONS, size)).astype(np.float32)
    k: dict[str, Array] = {}
    for name in ("query", "key", "value"):
        k[f"attention_1/{name}/kernel"] = rng.standard_normal((size, heads, each))
        k[f"attention_1/{name}/bias"] = rng.standard_normal((heads, each))
    k["attention_1/attention_output/kernel"] = rng.standard_normal((heads, each, size))
    k["attention_1/attention_output/bias"] = rng.standard_normal(size)
    np.savez(tmp_path / "k.npz", **k)
    q, key, v = (
        np.einsum("ntd,dhe->nhte", x, k[f"attention_1/{n}/kernel"])
        + k[f"attention_1/{n}/bias"][:, None]
        for n in ("query", "key", "value")
    )
    scores = np.einsum("nhte,nhse->nhts", q, key) / np.sqrt(each)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    mixed = np.einsum("nhts,nhse->nhte", shares, v)
    wanted = np.einsum("nhte,hed->ntd", mixed, k["attention_1/attention_output/kernel"])
    wanted = wanted + k["attention_1/attention_output/bias"]
    text = "model m { input x[5 6]; attention 2 }"
    made = loaded(text, tmp_path / "k.npz")
    near(results(text, made.values, x), wanted, 2e-5)
    assert {row.done for row in made.rows} == {"heads joined", "as it is"}
    assert made.layout == "(in, out) and channels last, as in Keras: by `attention_1/query/kernel`"
