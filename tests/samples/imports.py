"""Rows for operations that stand between the layers of an imported graph."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from deepdsl.graph import Type
from deepdsl.transfer.onnx_import.layers import Product, Reciprocal, RepeatForRows, Step, Widen
from deepdsl.transfer.onnx_import.passthrough import AsItIs

from .feeds import Array, Feed, real
from .operations import OpSample, flat, smooth


def single(*shape: int | str) -> Feed:
    """In float32, whatever the graph is tried in: what runs as it is has the type of its file."""
    return Feed(shape, real(*shape).draw, "f32")


def running_sum() -> AsItIs:
    places = helper.make_tensor("constant:axis", TensorProto.INT64, [], [1])
    graph = helper.make_graph(
        [helper.make_node("CumSum", ["in:0", "constant:axis"], ["made:y"])],
        "as_is",
        [helper.make_tensor_value_info("in:0", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("made:y", TensorProto.FLOAT, ["N", 3])],
        [places],
    )
    data = graph.SerializeToString()
    return AsItIs("CumSum", "sum", "y", data, (), Type(("N", 3)))


def away_from_zero(*shape: int | str) -> Feed:
    def draw(rng: np.random.Generator, sizes: tuple[int, ...]) -> Array:
        return np.asarray(rng.choice([-1.0, 1.0], sizes) * rng.uniform(0.5, 2.0, sizes))

    return Feed(shape, draw)


OPS: tuple[OpSample, ...] = (
    OpSample(
        RepeatForRows(),
        (real(1, 3, 4), real("N", 2)),
        lambda row, x: np.repeat(row, len(x), 0),
        (0,),
    ),
    OpSample(RepeatForRows(), (real(1), real("N", 2)), lambda row, x: np.repeat(row, len(x)), (0,)),
    smooth(Widen(("N", 3, 5)), real("N", 3, 1), formula=lambda x: np.repeat(x, 5, 2)),
    smooth(Product(), real("N", 2, 3, 4), real(4, 5), formula=np.matmul),
    smooth(Product(), real(2, 4, 3), real("N", 2, 3, 5), formula=np.matmul),
    smooth(Product(), real("N", 3), real(3, 4), formula=np.matmul),
    smooth(Step(2, 3), real("N", 2, 7), formula=lambda x: x[:, :, ::3]),
    smooth(Step(1, 2), real("N", 6), formula=lambda x: x[:, ::2]),
    smooth(Step(1, 3), real("N", 5, 2), formula=lambda x: x[:, ::3]),
    smooth(Reciprocal(), away_from_zero("N", 3), formula=lambda x: 1 / x),
    flat(running_sum(), single("N", 3), formula=lambda x: np.cumsum(x, 1)),
)
