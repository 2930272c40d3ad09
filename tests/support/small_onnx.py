"""Small ONNX files of other programs, as tests need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[Any]],
    outputs: dict[str, Sequence[Any]],
    weights: dict[str, np.ndarray],
    dtype: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(n, dtype, list(s)) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in outputs.items()],
        [numpy_helper.from_array(w, n) for n, w in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def numbers(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return (rng.standard_normal(shape) / 10).astype(np.float32)


def perceptron() -> onnx.ModelProto:
    """12 numbers -> dense 8, relu, dense 3, softmax; the biases are operators of their own."""
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w1"], ["h"]),
        node("Add", ["h", "b1"], ["hb"]),
        node("Relu", ["hb"], ["features"]),
        node("MatMul", ["features", "w2"], ["z"]),
        node("Add", ["z", "b2"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"]),
    ]
    weights = {"w1": numbers(12, 8), "b1": numbers(8), "w2": numbers(8, 3), "b2": numbers(3)}
    return model(nodes, {"x": ["N", 12]}, {"probabilities": ["N", 3]}, weights)


def convolutions(height: Any = "H", width: Any = "W", stages: int = 1) -> onnx.ModelProto:
    """Images of any size -> convolutions of 4 channels by halves, their mean, dense 5, softmax."""
    node = helper.make_node
    nodes, weights, at = [], {}, "image"
    for n in range(1, stages + 1):
        weights[f"k{n}"] = numbers(4, 3 if n == 1 else 4, 3, 3)
        sides = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
        nodes += [
            node("Conv", [at, f"k{n}"], [f"conv_{n}"], **sides),
            node("Relu", [f"conv_{n}"], [f"relu_{n}"]),
        ]
        at = f"relu_{n}"
    nodes += [
        node("GlobalAveragePool", [at], ["pooled"]),
        node("Flatten", ["pooled"], ["features"]),
        node("Gemm", ["features", "w", "b"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"]),
    ]
    weights |= {"w": numbers(4, 5), "b": numbers(5)}
    return model(nodes, {"image": ["N", 3, height, width]}, {"probabilities": ["N", 5]}, weights)


def two_inputs() -> onnx.ModelProto:
    """The sum of two rows -> dense 2."""
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("MatMul", ["sum", "w"], ["z"]),
    ]
    return model(nodes, {"a": ["N", 4], "b": ["N", 4]}, {"z": ["N", 2]}, {"w": numbers(4, 2)})


def words() -> onnx.ModelProto:
    """Numbers of 6 words -> rows of a table of 20, their mean, dense 2."""
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "ids"], ["rows"]),
        node("ReduceMean", ["rows"], ["features"], axes=[1], keepdims=0),
        node("Gemm", ["features", "w", "b"], ["logits"]),
    ]
    weights = {"table": numbers(20, 4), "w": numbers(4, 2), "b": numbers(2)}
    outputs = {"logits": ["N", 2]}
    return model(nodes, {"ids": ["N", 6]}, outputs, weights, TensorProto.INT64)


def letters() -> onnx.ModelProto:
    """Bytes as numbers, compared with each of 5 -> the share of each, dense 4, tanh, dense 2."""
    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["bytes", "last"], ["column"]),
        node("Equal", ["column", "kinds"], ["is"]),
        node("Cast", ["is"], ["one_hot"], to=TensorProto.FLOAT),
        node("ReduceMean", ["one_hot"], ["shares"], axes=[1], keepdims=0),
        node("Gemm", ["shares", "w1", "b1"], ["hidden"]),
        node("Tanh", ["hidden"], ["features"]),
        node("Gemm", ["features", "w2", "b2"], ["logits"]),
    ]
    weights = {
        "last": np.array([2]),
        "kinds": np.arange(5, dtype=np.int32),
        "w1": numbers(5, 4),
        "b1": numbers(4),
        "w2": numbers(4, 2),
        "b2": numbers(2),
    }
    outputs = {"logits": ["N", 2]}
    return model(nodes, {"bytes": ["N", 9]}, outputs, weights, TensorProto.INT32)
