"""Every operation: types against ONNX, numbers against NumPy, gradients against differences."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from samples import OPS, OpSample
from workbench import near, on_runtime, reference

from deepdsl.graph import Builder, DType, Graph, Type
from deepdsl.graph.emit import NUMPY

Array = np.ndarray[Any, Any]

# (f(x + h v) - f(x - h v)) / 2 h is off by about h^2 f'''; a float64 leaves 1e-16 / h of noise.
STEP = 1e-5

rows = pytest.mark.parametrize("sample", OPS, ids=lambda s: s.id)


def forward(sample: OpSample, dtype: DType) -> Graph:
    b = Builder()
    inputs = [b.input(f"x{i}", Type(f.shape, f.dtype or dtype)) for i, f in enumerate(sample.feeds)]
    made = b.apply(sample.op, *inputs)
    return b.graph({f"out{i}": value for i, value in enumerate(made)})


def backward(sample: OpSample) -> Graph:
    """The operation with the product of a given gradient of its outputs and its Jacobian."""
    b = Builder()
    inputs = [b.input(f"x{i}", Type(f.shape, f.dtype or "f64")) for i, f in enumerate(sample.feeds)]
    outs = b.apply(sample.op, *inputs)
    grads = tuple(
        b.input(f"g{i}", out.type) if i in sample.outputs else None for i, out in enumerate(outs)
    )
    back = sample.op.vjps(b, grads, outs, tuple(inputs))
    assert len(back) == len(inputs)
    assert [i for i, v in enumerate(back) if v is not None] == list(sample.gradients)
    for value, x in zip(back, inputs, strict=True):
        assert value is None or value.type == x.type
    return b.graph({f"d{i}": value for i, value in enumerate(back) if value is not None})


def generator(sample: OpSample) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(sample.id.encode()))


def feeds(sample: OpSample, dtype: DType) -> dict[str, Array]:
    rng = generator(sample)
    return {
        f"x{i}": np.asarray(f.values(rng), NUMPY[f.dtype or dtype])
        for i, f in enumerate(sample.feeds)
    }


def outputs(made: dict[str, Array]) -> list[Array]:
    return [made[f"out{i}"] for i in range(len(made))]


@rows
def test_numbers_in_float64(sample: OpSample) -> None:
    given = feeds(sample, "f64")
    made = outputs(reference(forward(sample, "f64"), given))
    if sample.formula is None:
        return
    wanted = sample.formula(*given.values())
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    # Attributes of ONNX nodes are float32, so that a slope of 0.2 is right to seven digits only.
    for have, want in zip(made, wanted, strict=True):
        near(have, want, 1e-6)


@rows
def test_onnxruntime_agrees_in_float32(sample: OpSample) -> None:
    graph, given = forward(sample, "f32"), feeds(sample, "f32")
    made, wanted = on_runtime(graph, given), reference(graph, given)
    for name, value in graph.outputs.items():
        assert made[name].dtype == wanted[name].dtype == NUMPY[value.type.dtype]
        near(made[name], wanted[name], 1e-5)


@pytest.mark.parametrize("sample", [s for s in OPS if s.gradients], ids=lambda s: s.id)
def test_gradient(sample: OpSample) -> None:
    rng, given = generator(sample), feeds(sample, "f64")
    graph = forward(sample, "f64")
    shapes = [out.shape for out in outputs(reference(graph, given))]
    weights = {f"g{i}": np.asarray(rng.standard_normal(shapes[i])) for i in sample.outputs}

    def value(at: dict[str, Array]) -> float:
        made = reference(graph, at)
        return sum(float((g * made[f"out{name[1:]}"]).sum()) for name, g in weights.items())

    names = {f"x{i}": f"d{i}" for i in sample.gradients}
    # An input that is not read by the gradient's graph is still one of its inputs.
    back = reference(backward(sample), {**given, **weights})
    for name, gradient in names.items():
        v = np.asarray(rng.standard_normal(given[name].shape))
        up = value({**given, name: given[name] + STEP * v})
        down = value({**given, name: given[name] - STEP * v})
        near((up - down) / (2 * STEP), (back[gradient] * v).sum(), 1e-6)
