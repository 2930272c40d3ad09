"""The weights of an ONNX file by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper


def read_weights(path: Path) -> dict[str, tuple[NDArray[Any], bool | None]]:
    """Every initializer and constant, and whether it is a matrix (out, in), or (in, out), where a
    node that takes it says so.

    Raises ValueError where the file is no ONNX model, or its numbers cannot be had.
    """
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except DecodeError as error:
        raise ValueError("it is no ONNX model") from error
    if not model.graph.node and not model.graph.initializer:
        raise ValueError("it is no ONNX model")
    turned = dict(_turned(model.graph.node))
    made = {}
    try:
        for tensor in _tensors(model.graph):
            if tensor.data_type == onnx.TensorProto.STRING:
                continue
            if not isinstance(tensor.name, str):  # what is no UTF-8 comes as bytes
                raise ValueError("a name in it is no text")
            array = numpy_helper.to_array(tensor, str(path.parent))
            made[tensor.name] = (array, turned.get(tensor.name))
    except (TypeError, KeyError, AttributeError, onnx.checker.ValidationError) as error:
        raise ValueError(f"a tensor of it cannot be read ({error})") from error
    return made


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        if node.op_type != "Constant" or not node.output:
            continue
        for attribute in node.attribute:
            if attribute.name == "value":
                named = onnx.TensorProto()
                named.CopyFrom(attribute.t)
                named.name = node.output[0]
                yield named


def _turned(nodes: Any) -> Iterator[tuple[str, bool]]:
    for node in nodes:
        if node.op_type == "MatMul" and len(node.input) > 1:
            yield node.input[1], False
        elif node.op_type == "Gemm" and len(node.input) > 1:
            yield node.input[1], any(a.name == "transB" and a.i for a in node.attribute)
