"""What one operator makes: its numbers where all that it reads is known, else the types of its
results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from deepdsl.graph.types import ONNX_CODES
from deepdsl.transfer.onnx_import.graph import OnnxNode

Array = NDArray[Any]
# A type while a graph is looked at: ONNX's code of the element type, and sizes with dims.ROWS.
Flow = tuple[int, tuple[int, ...]]

FLOAT, UINT8, INT8, INT32, INT64, BOOL, UINT32 = (
    ONNX_CODES[dtype] for dtype in ("f32", "u8", "i8", "i32", "i64", "bool", "u32")
)
# All numbers with fractions are float32 here.
_FRACTIONS = {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}

# Results larger than this are not made part of a network as constants.
MOST_NUMBERS = 2**27
# What can make much of little.
_GROWING = frozenset(
    {"ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Upsample", "Pad", "OneHot", "EyeLike"}
)
_QUANTIZING = frozenset({"QuantizeLinear", "DequantizeLinear"})


class Uncertain(Exception):
    """What an operator makes cannot be told; the text says why."""


class NotTaken(Uncertain):
    """An operator does not take operands of such shapes."""


def single(code: int) -> int:
    """The code of the element type that means it here."""
    return FLOAT if code in _FRACTIONS else code


def singled(array: Array) -> Array:
    """An array in the element type that means its own here."""
    if array.dtype.kind in "fV" and array.dtype != np.float32:
        return array.astype(np.float32)
    if "bfloat16" in str(array.dtype) or str(array.dtype).startswith("float8"):
        return array.astype(np.float32)
    return array


def proto_of(
    node: OnnxNode, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None
) -> onnx.NodeProto:
    """The node as ONNX writes it, perhaps with other names; float32 for the other fractions."""
    made = helper.make_node(
        node.op,
        list(node.inputs if inputs is None else inputs),
        list(node.outputs if outputs is None else outputs),
        node.name,
        domain=node.domain,
    )
    kept = {a.name: a for a in node.proto.attribute} if node.proto is not None else {}
    for key, value in node.attributes.items():
        if key in ("to", "dtype", "saturate") and isinstance(value, int):
            made.attribute.append(helper.make_attribute(key, single(value)))
        elif key in kept and helper.get_attribute_value(kept[key]) == value:
            made.attribute.append(kept[key])
        elif isinstance(value, str) or value != []:
            made.attribute.append(helper.make_attribute(key, value))
    return made


def evaluated(node: OnnxNode, arrays: Mapping[str, Array]) -> list[Array]:
    """The results of an operator whose operands are all known; Uncertain where that fails."""
    if node.op in _GROWING and not node.domain:
        for _, sizes in inferred(node, {}, arrays):
            if prod(sizes) > MOST_NUMBERS:
                raise Uncertain(f"it makes {prod(sizes):,} numbers of constants")
    names = list(dict.fromkeys(node.read))
    graph = helper.make_graph(
        [proto_of(node)],
        "one",
        [
            helper.make_tensor_value_info(
                n, helper.np_dtype_to_tensor_dtype(arrays[n].dtype), arrays[n].shape
            )
            for n in names
        ],
        [onnx.ValueInfoProto(name=n) for n in node.outputs if n],
    )
    # The evaluator knows these from opset 19 on; what they were before means the same there.
    version = max(node.version, 19) if node.op in _QUANTIZING else node.version
    opsets = [helper.make_opsetid(node.domain, version)]
    try:
        # Damaged numbers may overflow; what comes of them is looked at, not how.
        with np.errstate(all="ignore"):
            run = ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets))
            made = run.run(None, {n: arrays[n] for n in names})
    except Exception as error:  # any code of the evaluator may stumble over what the file says
        raise Uncertain(f"what it makes of constants cannot be calculated ({_line(error)})") from (
            error
        )
    return [singled(np.asarray(array)) for array in made]


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]


# Operators that onnx gives no types for, whose result is as their first operand.
_LIKE_FIRST = frozenset(
    {
        "GroupNormalization",
        "SimplifiedLayerNormalization",
        "com.microsoft.BiasGelu",
        "com.microsoft.FastGelu",
        "com.microsoft.Gelu",
        "com.microsoft.QuickGelu",
        "com.microsoft.SkipLayerNormalization",
    }
)
# Fused operators of onnxruntime, by the one that begins them.
_FUSED = {"com.microsoft.FusedConv": "Conv", "com.microsoft.FusedGemm": "Gemm"}


def inferred(node: OnnxNode, flows: Mapping[str, Flow], arrays: Mapping[str, Array]) -> list[Flow]:
    """The types of an operator's results, by ONNX's own inference; Uncertain where they depend on
    more than the types of what it reads.
    """
    outputs = [n for n in node.outputs if n]
    if node.operator in _LIKE_FIRST and len(outputs) == 1 and node.inputs[0] in flows:
        return [flows[node.inputs[0]]]
    if node.operator == "com.microsoft.FusedMatMul":
        return [_product(node, flows, arrays)]
    if node.operator in _FUSED:
        node = _unfused(node, _FUSED[node.operator])
    return _by_onnx(node, flows, arrays)


def _product(node: OnnxNode, flows: Mapping[str, Flow], arrays: Mapping[str, Array]) -> Flow:
    """The type of a matrix product whose operands may be transposed."""
    a, b = (list(flows[n][1] if n in flows else arrays[n].shape) for n in node.inputs[:2])
    if node.get("transA", 0):
        a[-1], a[-2] = a[-2], a[-1]
    if node.get("transB", 0):
        b[-1], b[-2] = b[-2], b[-1]
    return FLOAT, (*np.broadcast_shapes(tuple(a[:-2]), tuple(b[:-2])), a[-2], b[-1])


def _unfused(node: OnnxNode, op: str) -> OnnxNode:
    schema = onnx.defs.get_schema(op, 13)
    kept = {k: v for k, v in node.attributes.items() if k in schema.attributes}
    inputs = node.inputs[:3]
    return replace(node, op=op, domain="", version=13, attributes=kept, inputs=inputs)


def _by_onnx(node: OnnxNode, flows: Mapping[str, Flow], arrays: Mapping[str, Array]) -> list[Flow]:
    inputs, stored = [], []
    for name in dict.fromkeys(node.read):
        if name in flows:
            code, sizes = flows[name]
            inputs.append(helper.make_tensor_value_info(name, code, sizes))
        elif (array := arrays[name]).size <= 4096:
            stored.append(numpy_helper.from_array(np.asarray(array), name))
        else:
            code = helper.np_dtype_to_tensor_dtype(array.dtype)
            inputs.append(helper.make_tensor_value_info(name, code, array.shape))
    outputs = [onnx.ValueInfoProto(name=n) for n in node.outputs if n]
    graph = helper.make_graph([proto_of(node)], "one", inputs, outputs, stored)
    opsets = [helper.make_opsetid(node.domain, node.version)]
    model = helper.make_model(graph, opset_imports=opsets)
    try:
        model = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise NotTaken(f"it does not take what flows in ({_line(error)})") from error
    found = []
    for value in model.graph.output:
        tensor = value.type.tensor_type
        dims = tensor.shape.dim
        if not tensor.elem_type or not tensor.HasField("shape"):
            raise Uncertain("what it makes is not known before it is run")
        if not all(d.HasField("dim_value") for d in dims):
            raise Uncertain("the size of what it makes is not known before it is run")
        found.append((single(tensor.elem_type), tuple(d.dim_value for d in dims)))
    return found
