"""Every operator that has layers: the import calculates what onnxruntime makes of the file."""

# ruff: noqa: E501
from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from foreign_graphs import agree, graph, kinds, node, piece, weight

from deepdsl.transfer.onnx_import.conversions import CONVERTERS

ONE = np.asarray(1.0, np.float32)


def ints(*numbers: int) -> Any:
    return np.asarray(numbers, np.int64)


def floats(*numbers: float) -> Any:
    return np.asarray(numbers, np.float32)


# What is tried: the operator, its attributes, the row that flows in, the other operands, the opsets,
# and the layers that come of it.
SAMPLES: list[tuple[str, dict[str, Any], tuple[int, ...], list[Any], tuple[int, ...], list[str]]] = [
    # Products.
    ("Gemm", {}, (4,), [weight(4, 3), weight(3)], (7, 9, 11, 17, 21), ["dense"]),
    ("Gemm", {"transB": 1}, (4,), [weight(3, 4), weight(1, 3)], (7, 13), ["dense"]),
    ("Gemm", {"transB": 1, "alpha": 0.5, "beta": 2.0}, (4,), [weight(3, 4), weight(3)], (13,), ["dense"]),
    ("Gemm", {"beta": 0.5}, (4,), [weight(4, 3), weight(1)], (13,), ["dense"]),
    ("Gemm", {}, (4,), [weight(4, 3)], (11,), ["dense"]),
    ("MatMul", {}, (4,), [weight(4, 3)], (8, 13), ["dense"]),
    ("MatMul", {}, (5, 4), [weight(4, 3)], (9, 13), ["dense"]),
    ("MatMul", {}, (2, 5, 4), [weight(4, 3)], (13,), ["reshape", "dense", "reshape"]),
    ("MatMul", {}, (2, 5, 4), [weight(2, 4, 3)], (13,), ["product"]),
    ("MatMul", {}, (5, 4), [weight(4)], (13,), ["dense", "flatten"]),
    # Convolutions.
    ("Conv", {"pads": [1, 1, 1, 1]}, (3, 6, 5), [weight(4, 3, 3, 3), weight(4)], (7, 11, 22), ["conv"]),
    ("Conv", {"pads": [0, 1, 1, 2], "strides": [2, 1]}, (3, 6, 5), [weight(4, 3, 3, 3)], (11,), ["zero_pad", "conv"]),
    ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (3, 6, 5), [weight(4, 3, 2, 3)], (11,), None),
    ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (3, 6, 6), [weight(4, 3, 3, 3)], (11,), None),
    ("Conv", {"group": 3, "dilations": [2, 1]}, (3, 6, 5), [weight(6, 1, 2, 3), weight(6)], (11,), ["conv"]),
    ("Conv", {}, (3, 9), [weight(4, 3, 3)], (11,), ["conv"]),
    ("Conv", {}, (2, 4, 5, 6), [weight(3, 2, 2, 2, 2)], (11,), ["conv"]),
    ("ConvTranspose", {"strides": [2, 2]}, (3, 4, 5), [weight(3, 4, 2, 2), weight(4)], (11,), ["conv_transpose"]),
    ("ConvTranspose", {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}, (3, 4, 5), [weight(3, 4, 3, 3)], (11,), ["conv_transpose"]),
    ("ConvTranspose", {"strides": [2, 2], "pads": [0, 1, 1, 0]}, (3, 4, 5), [weight(3, 4, 3, 3), weight(4)], (11,), ["conv_transpose", "crop"]),
    ("ConvTranspose", {"group": 2}, (4, 4, 5), [weight(4, 3, 3, 3)], (11,), ["conv_transpose"]),
    ("ConvTranspose", {"strides": [2, 2], "auto_pad": "SAME_UPPER"}, (3, 4, 5), [weight(3, 4, 3, 3)], (11,), None),
    # Pools.
    ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, (3, 6, 5), [], (8, 11, 12), ["max_pool"]),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, (3, 6, 5), [], (12,), ["max_pool"]),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, (3, 6, 8), [], (12,), ["max_pool"]),
    ("MaxPool", {"kernel_shape": [3, 2], "pads": [0, 0, 1, 1]}, (3, 6, 5), [], (12,), ["max_pool"]),
    ("MaxPool", {"kernel_shape": [2, 2], "dilations": [2, 2]}, (3, 6, 5), [], (12,), ["<MaxPool>"]),
    ("MaxPool", {"kernel_shape": [3], "auto_pad": "SAME_UPPER", "strides": [2]}, (3, 7), [], (12,), ["max_pool"]),
    ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, (3, 6, 5), [], (7, 11), ["avg_pool"]),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}, (3, 6, 5), [], (11,), ["avg_pool"]),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, (3, 6, 5), [], (11,), ["avg_pool"]),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 0, 0, 1]}, (3, 6, 5), [], (11,), ["avg_pool"]),
    ("GlobalAveragePool", {}, (3, 6, 5), [], (7,), ["global_avg_pool", "reshape"]),
    ("GlobalMaxPool", {}, (3, 6, 5), [], (7,), ["global_max_pool", "reshape"]),
    ("Upsample", {"mode": "nearest"}, (3, 4, 5), [floats(1, 1, 2, 3)], (9,), ["upsample"]),
    ("Upsample", {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 2.0]}, (3, 4, 5), [], (7,), ["upsample"]),
    ("Resize", {"mode": "nearest"}, (3, 4, 5), [floats(1, 1, 2, 2)], (10,), ["upsample"]),
    ("Resize", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, (3, 4, 5), [floats(), floats(1, 1, 2, 2)], (11, 13, 18), ["upsample"]),
    ("Resize", {"mode": "nearest"}, (3, 4, 5), [floats(), floats(1, 1, 3, 2)], (13,), ["upsample"]),
    ("Resize", {"mode": "linear"}, (3, 4, 5), [floats(), floats(1, 1, 2, 2)], (13,), ["upsample"]),
    ("Resize", {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}, (3, 4, 5), [floats(), floats(1, 1, 2, 2)], (13,), ["upsample"]),
    ("Resize", {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, (3, 4, 5), [floats(), floats(1, 1, 2, 2)], (13,), ["<Resize>"]),
    ("DepthToSpace", {"blocksize": 2}, (8, 3, 4), [], (7, 13), ["reshape", "permute", "reshape"]),
    ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, (8, 3, 4), [], (13,), ["reshape", "permute", "reshape"]),
    ("SpaceToDepth", {"blocksize": 2}, (2, 4, 6), [], (13,), ["reshape", "permute", "reshape"]),
    # Norms.
    ("BatchNormalization", {"epsilon": 1e-3, "momentum": 0.8}, (3, 4, 5), [weight(3, mean=1), weight(3), weight(3), np.abs(weight(3)) + 0.5], (7, 9, 14, 15), ["batch_norm"]),
    ("BatchNormalization", {}, (3,), [weight(3, mean=1), weight(3), weight(3), np.abs(weight(3)) + 0.5], (9,), ["batch_norm"]),
    ("InstanceNormalization", {}, (3, 4, 5), [weight(3, mean=1), weight(3)], (7,), ["group_norm"]),
    ("GroupNormalization", {"num_groups": 2}, (4, 4, 5), [weight(2, mean=1), weight(2)], (18,), ["group_norm"]),
    ("GroupNormalization", {"num_groups": 2}, (4, 4, 5), [weight(4, mean=1), weight(4)], (21,), ["group_norm"]),
    ("LayerNormalization", {}, (4, 5), [weight(5, mean=1), weight(5)], (17,), ["layer_norm"]),
    ("LayerNormalization", {"axis": 1, "epsilon": 1e-4}, (4, 5), [weight(4, 5, mean=1)], (17,), ["flatten", "layer_norm", "reshape"]),
    ("RMSNormalization", {}, (4, 5), [weight(5, mean=1)], (23,), ["rms_norm"]),
    ("Dropout", {"ratio": 0.3}, (4,), [], (7, 10), ["dropout"]),
    ("Dropout", {}, (4,), [np.asarray(0.3, np.float32)], (13,), ["dropout"]),
    ("Dropout", {"ratio": 0.0}, (4,), [], (10,), ["identity"]),
    # Activations.
    *((op, {}, (4, 3), [], (7, 13), [name]) for op, name in (("Relu", "relu"), ("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("Softsign", "softsign"), ("Softplus", "softplus"), ("Elu", "elu"), ("LeakyRelu", "leaky_relu"), ("Selu", "selu"))),
    ("Celu", {"alpha": 0.7}, (4, 3), [], (12,), ["celu"]),
    ("Elu", {"alpha": 0.7}, (4, 3), [], (7,), ["elu"]),
    ("LeakyRelu", {"alpha": 0.2}, (4, 3), [], (7,), ["leaky_relu"]),
    ("LeakyRelu", {"alpha": -0.2}, (4, 3), [], (7,), ["<LeakyRelu>"]),
    ("Selu", {"alpha": 1.2, "gamma": 1.1}, (4, 3), [], (7,), ["elu", "mul"]),
    ("ThresholdedRelu", {"alpha": 0.4}, (4, 3), [], (10,), ["threshold"]),
    ("HardSigmoid", {}, (4, 3), [], (7,), ["mul", "hard_sigmoid"]),
    ("HardSigmoid", {"alpha": 1 / 6}, (4, 3), [], (7,), ["hard_sigmoid"]),
    ("HardSigmoid", {"alpha": 0.5, "beta": 0.2}, (4, 3), [], (7,), ["mul", "add", "hard_sigmoid"]),
    ("HardSwish", {}, (4, 3), [], (14,), ["hard_swish"]),
    ("Mish", {}, (4, 3), [], (18,), ["mish"]),
    ("Gelu", {}, (4, 3), [], (20,), ["gelu"]),
    ("Gelu", {"approximate": "tanh"}, (4, 3), [], (20,), ["gelu"]),
    ("PRelu", {}, (4, 3), [weight(4, 1)], (7, 9, 16), ["prelu"]),
    ("PRelu", {}, (4, 3, 2), [weight(1)], (9,), ["prelu"]),
    ("Clip", {"min": 0.0, "max": 6.0}, (4, 3), [], (7,), ["relu6"]),
    ("Clip", {}, (4, 3), [np.asarray(0, np.float32), np.asarray(6, np.float32)], (11, 13), ["relu6"]),
    ("Clip", {"min": -1.0, "max": 0.5}, (4, 3), [], (7,), ["maximum", "minimum"]),
    ("Clip", {"min": 0.0}, (4, 3), [], (7,), ["relu"]),
    ("Softmax", {}, (4,), [], (7, 11, 13), ["softmax"]),
    ("Softmax", {}, (4, 3), [], (11,), ["flatten", "softmax", "reshape"]),
    ("Softmax", {}, (4, 3), [], (13,), ["softmax"]),
    ("Softmax", {"axis": 1}, (4, 3), [], (13,), ["permute", "softmax", "permute"]),
    ("LogSoftmax", {"axis": 2}, (4, 3), [], (11, 13), ["log_softmax"]),
    # Moves.
    ("Flatten", {}, (2, 3, 4), [], (7, 13), ["flatten"]),
    ("Reshape", {}, (2, 6), [ints(0, 3, 4)], (7, 13), ["reshape"]),
    ("Reshape", {}, (2, 6), [ints(-1, 12)], (13,), ["flatten"]),
    ("Reshape", {}, (2, 6), [ints(0, -1)], (13,), ["flatten"]),
    ("Squeeze", {"axes": [2]}, (3, 1, 4), [], (7, 11), ["reshape"]),
    ("Squeeze", {}, (3, 1, 4), [ints(2)], (13,), ["reshape"]),
    ("Unsqueeze", {"axes": [1]}, (3, 4), [], (7, 11), ["reshape"]),
    ("Unsqueeze", {}, (3, 4), [ints(-1)], (13,), ["reshape"]),
    ("Transpose", {"perm": [0, 2, 1]}, (3, 4), [], (7,), ["permute"]),
    ("Slice", {"starts": [1], "ends": [3], "axes": [2]}, (3, 4), [], (7, 9), ["within"]),
    ("Slice", {}, (3, 4), [ints(-3, 0), ints(2**60, 2), ints(2, 1)], (10, 13), ["within", "within"]),
    ("Slice", {}, (3, 7), [ints(1), ints(7), ints(2), ints(3)], (13,), ["within", "step"]),
    ("Slice", {}, (3, 7), [ints(-1), ints(-8), ints(2), ints(-1)], (13,), ["<Slice>"]),
    ("Gather", {"axis": 2}, (3, 4), [np.asarray(1)], (7, 13), ["within", "flatten"]),
    ("Gather", {"axis": 1}, (5, 4), [ints(1, 3)], (13,), ["within", "step"]),
    ("Gather", {"axis": 1}, (5, 4), [ints(3, 0)], (13,), ["<Gather>"]),
    ("Pad", {"pads": [0, 0, 1, 2, 0, 0, 0, 1]}, (2, 3, 4), [], (7,), ["zero_pad"]),
    ("Pad", {}, (2, 3, 4), [ints(0, 0, 1, 2, 0, 0, 0, 1)], (11, 13), ["zero_pad"]),
    ("Pad", {}, (2, 3), [ints(0, 1, 0, 0, 0, 2)], (13,), ["surround"]),
    ("Pad", {}, (2, 3, 4), [ints(0, 0, 1, -1, 0, 0, 0, 1)], (13,), ["within", "zero_pad"]),
    ("Pad", {"mode": "reflect"}, (2, 3, 4), [ints(0, 0, 1, 2, 0, 0, 0, 1)], (13,), ["<Pad>"]),
    ("Pad", {}, (2, 3, 4), [ints(0, 0, 1, 2, 0, 0, 0, 1), ONE], (13,), ["<Pad>"]),
    ("Pad", {}, (2, 3, 4), [ints(1, 1), np.asarray(0, np.float32), ints(2)], (18,), ["zero_pad"]),
    ("Tile", {}, (3, 1), [ints(1, 1, 5)], (7,), ["widen"]),
    ("Tile", {}, (3, 2), [ints(1, 1, 5)], (7,), ["<Tile>"]),
    ("Expand", {}, (3, 1), [ints(1, 1, 5)], (8,), ["widen"]),
    ("Identity", {}, (3, 1), [], (7,), ["identity"]),
    # Arithmetic.
    ("Add", {}, (3, 4, 5), [weight(3, 1, 1)], (7, 13), ["shift"]),
    ("Mul", {}, (3, 4, 5), [weight(1, 3, 1, 1)], (7, 13), ["scale"]),
    ("Sub", {}, (3, 4), [weight(4)], (7,), ["shift"]),
    ("Div", {}, (3, 4), [weight(4, mean=3)], (7,), ["scale"]),
    ("Add", {}, (3, 4), [np.asarray(2, np.float32)], (7,), ["add"]),
    ("Mul", {}, (3, 4), [floats(2)], (7,), ["mul"]),
    ("Mul", {}, (3, 4), [floats(1)], (7,), ["identity"]),
    ("Sub", {}, (3, 4), [floats(2)], (7,), ["add"]),
    ("Div", {}, (3, 4), [floats(2)], (7,), ["mul"]),
    ("Div", {}, (3, 4), [floats(3)], (7,), ["div"]),
    ("Max", {}, (3, 4), [floats(0.5)], (8, 13), ["maximum"]),
    ("Min", {}, (3, 4), [floats(0.5)], (8, 13), ["minimum"]),
    ("Pow", {}, (3, 4), [floats(2)], (7, 13), ["mul"]),
    ("Pow", {}, (3, 4), [floats(3)], (7,), ["mul", "mul"]),
    *((op, {}, (3, 4), [], (13,), [name]) for op, name in (("Neg", "neg"), ("Exp", "exp"), ("Abs", "abs"), ("Erf", "erf"), ("Sign", "sign"), ("Floor", "floor"), ("Cos", "cos"), ("Reciprocal", "reciprocal"))),
    ("Sin", {}, (3, 4), [], (7,), ["add", "cos"]),
    ("ReduceMean", {"axes": [2, 3]}, (3, 4, 5), [], (7, 13), ["global_avg_pool", "reshape"]),
    ("ReduceMean", {"axes": [-1, -2], "keepdims": 0}, (3, 4, 5), [], (11, 13), ["global_avg_pool"]),
    ("ReduceMean", {"keepdims": 0}, (3, 4, 5), [ints(2, 3)], (18,), ["global_avg_pool"]),
    ("ReduceMean", {"axes": [1]}, (3, 4), [], (13,), ["reduce_mean", "reshape"]),
    ("ReduceSum", {"axes": [1], "keepdims": 0}, (3, 4), [], (7, 11), ["reduce_sum"]),
    ("ReduceSum", {}, (3, 4), [ints(1)], (13,), ["reduce_sum", "reshape"]),
    ("ReduceMax", {"axes": [2, 3], "keepdims": 0}, (3, 4, 5), [], (13,), ["global_max_pool"]),
    ("ReduceMax", {"axes": [1]}, (3, 4), [], (13,), ["permute", "global_max_pool", "reshape"]),
    ("ReduceSumSquare", {"axes": [2], "keepdims": 0}, (3, 4), [], (13,), ["mul", "reduce_sum"]),
    ("ReduceL2", {"axes": [1], "keepdims": 0}, (3, 4), [], (13,), ["mul", "reduce_sum", "sqrt"]),
]  # fmt: skip

CASES = [
    pytest.param(op, attributes, row, others, opset, layers, id=f"{op}-{number}-{opset}")
    for number, (op, attributes, row, others, opsets, layers) in enumerate(SAMPLES)
    for opset in opsets
]


def made(op: str, attributes: dict[str, Any], row: Any, others: Any, opset: int) -> onnx.ModelProto:
    weights = {f"w{i}": w for i, w in enumerate(others)}
    stored = "constant" if opset % 2 else "initializer"
    one = node(op, ["x", *weights], ["y"], name="the_node", **attributes)
    return graph([one], row, weights, opset=opset, stored=stored)


@pytest.mark.parametrize(("op", "attributes", "row", "others", "opset", "layers"), CASES)
def test_an_operator(
    op: str, attributes: Any, row: Any, others: Any, opset: int, layers: list[str] | None
) -> None:
    agree(made(op, attributes, row, others, opset), row, expected=layers)


# Those with a test of their own.
ELSEWHERE = {
    "Concat", "Split", "Cast", "Where", "ArgMax", "Mean", "Sum", "Log", "Sqrt", "Greater", "Less",
    "Equal", "LSTM", "GRU", "Swish", "SimplifiedLayerNormalization", "Dense", "LayerNorm",
    "RmsNorm", "Repeat",
}  # fmt: skip


def test_every_converter_is_tried() -> None:
    tried = {op for op, *_ in SAMPLES} | ELSEWHERE
    standard = {n.removeprefix("deepdsl.") for n in CONVERTERS if "com.microsoft" not in n}
    assert standard == tried
    assert len(kinds(piece(made("Relu", {}, (3,), [], 13), (3,)))) == 1
