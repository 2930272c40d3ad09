"""What noise layers and norms say of signals that go through them, against a large batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from workbench import on_runtime

from deepdsl.graph import Builder, Type
from deepdsl.graph.arithmetic import mul
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.passes import optimize
from deepdsl.graph.reshaping import sum_all
from deepdsl.nn.initializers import ConstantInitializer, stream
from deepdsl.nn.layers.dropout import AlphaDropout, Dropout
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.layer_norm import GroupNorm, LayerNorm, RmsNorm
from deepdsl.nn.layers.noise import GaussianNoise
from deepdsl.nn.layers.propagation import Moments
from deepdsl.nn.layers.random_draws import STEP_PATH

ROWS, UNITS = 500, 600

LAYERS = (
    Dropout(0.3),
    AlphaDropout(0.1),
    AlphaDropout(0.4),
    GaussianNoise(0.7),
    LayerNorm(),
    LayerNorm(gamma=ConstantInitializer(1.5), beta=ConstantInitializer(0.3)),
    RmsNorm(gamma=ConstantInitializer(2.0)),
    GroupNorm(5, beta=ConstantInitializer(-0.5)),
)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda s: s.show())
def test_moments_and_gain(layer: Layer) -> None:
    rng = np.random.default_rng(0)
    # A part that rows share, unit by unit, and a part of their own.
    x = 0.4 + 0.8 * rng.standard_normal((1, UNITS)) + 1.3 * rng.standard_normal((ROWS, UNITS))
    given = Moments(x.mean(), (x * x).mean(), between(x))
    upper = rng.standard_normal((ROWS, UNITS))
    b = Builder()
    value, above = (b.input(name, Type(("N", UNITS))) for name in ("x", "upper"))
    out = layer.expand(Scope(b, "l", True, 1), value)
    (grad,) = gradients(b, sum_all(b, mul(b, out, above)), [value]).values()
    graph = optimize(replace(b.graph({"out": out, "grad": grad}), updates={}))
    feeds: dict[str, Any] = {"x": x.astype(np.float32), "upper": upper.astype(np.float32)}
    for p in graph.params:
        values = p.init.sample((UNITS,), (1, 1), stream(0, p.name))
        feeds[p.name] = np.array(0) if p.name == STEP_PATH else values.astype(np.float32)
    made = {k: v.astype(np.float64) for k, v in on_runtime(graph, feeds).items()}
    told = layer.signal((given,), (value.type,), tuple(b.params))
    assert told is not None
    assert told.out.shared is not None
    y = made["out"]
    assert y.mean() == pytest.approx(told.out.mean, abs=0.01)
    assert (y * y).mean() == pytest.approx(told.out.square, rel=0.02)
    assert between(y) == pytest.approx(told.out.shared, rel=0.03, abs=0.01)
    (gain,) = told.gains
    assert (made["grad"] ** 2).mean() / (upper**2).mean() == pytest.approx(gain.tt, rel=0.03)


def between(x: np.ndarray[Any, Any]) -> float:
    """The mean product of a unit's values for two different rows."""
    products = x.sum(0) ** 2 - (x * x).sum(0)
    return float(products.mean() / (len(x) * (len(x) - 1)))
