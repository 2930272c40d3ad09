"""The checks that every layer must pass: types, numbers, gradients of all that it reads."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from samples import LayerSample
from workbench import near, on_runtime, reference

from deepdsl.graph import Builder, DType, Graph, Type, Value
from deepdsl.graph.arithmetic import mul
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.emit import NUMPY
from deepdsl.graph.reshaping import sum_all
from deepdsl.nn.initializers import stream
from deepdsl.nn.layers.layer import Scope
from deepdsl.nn.layers.random_draws import STEP_PATH

Array = np.ndarray[Any, Any]
STEP = 1e-5


def expand(sample: LayerSample, training: bool, dtype: DType) -> tuple[Builder, Value]:
    b = Builder()
    inputs = [b.input(f"x{i}", Type(f.shape, f.dtype or dtype)) for i, f in enumerate(sample.feeds)]
    with b.at("body"):
        out = sample.layer.expand(Scope(b, "body", training, seed=7, dtype=dtype), *inputs)
    return b, out


def feeds(sample: LayerSample, b: Builder, dtype: DType) -> dict[str, Array]:
    """Operands and parameters; running variances are positive, and the step is any."""
    rng = np.random.default_rng(zlib.crc32(sample.id.encode()))
    given = {
        f"x{i}": np.asarray(f.values(rng), NUMPY[f.dtype or dtype])
        for i, f in enumerate(sample.feeds)
    }
    for param in b.params:
        shape = tuple(int(d) for d in param.type.shape)
        if param.role == "statistic":
            values = rng.uniform(0.5, 2.0, shape)
        elif param.name == STEP_PATH:
            values = np.array(41)
        else:
            values = param.init.sample(shape, (3, 4), stream(1, param.name))
        given[param.name] = np.asarray(values, NUMPY[param.type.dtype])
    return given


def check_types_and_onnxruntime(sample: LayerSample, training: bool) -> None:
    b, out = expand(sample, training, "f32")
    graph, given = b.graph({"out": out}), feeds(sample, b, "f32")
    made, wanted = on_runtime(graph, given), reference(graph, given)
    assert made.keys() == wanted.keys()
    for name in made:
        near(made[name], wanted[name], 1e-5)


def check_inference(sample: LayerSample) -> None:
    """The layer at inference is the sample's formula."""
    b, out = expand(sample, False, "f64")
    given = feeds(sample, b, "f64")
    operands = [given[f"x{i}"] for i in range(len(sample.feeds))]
    named = {p.name.removeprefix("body."): given[p.name] for p in b.params}
    assert sample.formula is not None
    made = reference(b.graph({"out": out}), given)["out"]
    near(made, sample.formula(*operands, **named), 1e-6)


def check_gradients(sample: LayerSample, training: bool) -> None:
    """Gradients of operands and weights against differences along a random direction."""
    b, out = expand(sample, training, "f64")
    given = feeds(sample, b, "f64")
    weighting = b.input("g", out.type)
    total = sum_all(b, mul(b, out, weighting))
    # The forward graph alone, without the running statistics' updates.
    value_of = Graph(tuple(b._inputs.values()), b.params, b.nodes, {"total": total})
    wanted = [v for v in (*b._inputs.values(), *b.params) if v.name in given]
    wanted = [v for v in wanted if not hasattr(v, "trainable") or v.trainable]
    wanted = [v for v in wanted if v.type.dtype in ("f32", "f64")]
    grads = gradients(b, total, wanted)
    assert set(grads) == set(wanted)
    whole = b.graph({f"d:{v.name}": g for v, g in grads.items()})
    rng = np.random.default_rng(3)
    shape = tuple(5 if isinstance(d, str) else d for d in out.type.shape)
    given["g"] = rng.standard_normal(shape)
    back = reference(whole, given)
    for v in wanted:
        along = np.asarray(rng.standard_normal(given[v.name].shape))
        up, down = (
            reference(value_of, {**given, v.name: given[v.name] + h * along})["total"]
            for h in (STEP, -STEP)
        )
        near((up - down) / (2 * STEP), (back[f"d:{v.name}"] * along).sum(), 1e-6)
