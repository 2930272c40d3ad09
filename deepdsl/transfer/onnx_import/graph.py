"""An ONNX graph as it is worked with: nodes in order, and what is known of each tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper

from deepdsl.core.record import record

# A dimension of the file: a number, or None where it is free.
FileShape = tuple[int | None, ...]


@dataclass(eq=False)
class OnnxNode:
    """An operator applied.  `version` is the opset of its domain; an empty input is left out.
    `group` are the operators that one means.
    """

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    version: int = 13
    domain: str = ""
    name: str = ""
    proto: onnx.NodeProto | None = None
    group: tuple[OnnxNode, ...] = ()

    @property
    def operator(self) -> str:
        """As messages write it."""
        return f"{self.domain}.{self.op}" if self.domain else self.op

    @property
    def read(self) -> list[str]:
        """The tensors that it reads."""
        return [name for name in self.inputs if name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def input(self, number: int) -> str:
        """The name of an input, empty where it is left out."""
        return self.inputs[number] if number < len(self.inputs) else ""


@record
class Info:
    """What the file says of a tensor: ONNX's code of its element type, and its shape if known."""

    dtype: int
    shape: FileShape | None


@dataclass
class OnnxGraph:
    """`constants` are tensors of the file by name, read when they are asked for."""

    nodes: list[OnnxNode]
    inputs: dict[str, Info]
    outputs: list[str]
    constants: dict[str, Any]
    infos: dict[str, Info]
    versions: dict[str, int]

    def makers(self) -> dict[str, OnnxNode]:
        return {name: node for node in self.nodes for name in node.outputs if name}

    def depending(self) -> set[str]:
        """The tensors that an input flows into, the inputs themselves included."""
        found = set(self.inputs)
        for node in self.nodes:
            if any(name in found for name in (*node.read, *captured(node))):
                found.update(name for name in node.outputs if name)
        return found


def graph_of(model: onnx.ModelProto) -> OnnxGraph:
    """The graph of a model, its own functions put in their places."""
    if model.functions:
        model = inliner.inline_local_functions(model)
    versions = {o.domain if o.domain != "ai.onnx" else "": o.version for o in model.opset_import}
    versions.setdefault("", 1)
    proto = model.graph
    constants: dict[str, Any] = {t.name: t for t in proto.initializer}
    constants.update({s.values.name: s for s in proto.sparse_initializer})
    infos = {v.name: info_of(v) for v in (*proto.input, *proto.value_info, *proto.output)}
    inputs = {v.name: info_of(v) for v in proto.input if v.name not in constants}
    nodes: list[OnnxNode] = []
    for each in proto.node:
        node = node_of(each, versions)
        value = constant_of(node)
        if value is not None:
            constants[node.outputs[0]] = value
        else:
            nodes.append(node)
    outputs = [v.name for v in proto.output]
    return OnnxGraph(nodes, inputs, outputs, constants, infos, versions)


def node_of(proto: onnx.NodeProto, versions: Mapping[str, int]) -> OnnxNode:
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    attributes: dict[str, Any] = {}
    for attribute in proto.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        attributes[attribute.name] = value
    return OnnxNode(
        proto.op_type,
        list(proto.input),
        list(proto.output),
        attributes,
        versions.get(domain, 1),
        domain,
        proto.name,
        proto,
    )


def constant_of(node: OnnxNode) -> Any:
    """What a Constant node holds: a tensor of the file, or an array; None for other nodes."""
    if node.op != "Constant" or node.domain:
        return None
    for name, value in node.attributes.items():
        if name in ("value", "sparse_value"):
            return value
        if name.startswith("value_"):
            dtype = {"f": np.float32, "i": np.int64, "s": np.str_}[name[6]]
            return np.asarray(value, dtype)
    return None


def info_of(value: onnx.ValueInfoProto) -> Info:
    tensor = value.type.tensor_type
    shape: FileShape | None = None
    if tensor.HasField("shape"):
        shape = tuple(
            d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
            for d in tensor.shape.dim
        )
    return Info(tensor.elem_type, shape)


def captured(node: OnnxNode) -> Iterator[str]:
    """Tensors of the graph around that the bodies of a node read."""
    for value in node.attributes.values():
        for graph in value if isinstance(value, list) else [value]:
            if isinstance(graph, onnx.GraphProto):
                yield from _free(graph)


def _free(graph: onnx.GraphProto) -> Iterator[str]:
    known = {v.name for v in graph.input} | {t.name for t in graph.initializer} | {""}
    for proto in graph.node:
        yield from (name for name in proto.input if name not in known)
        for attribute in proto.attribute:
            inner = [*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs]
            for each in inner:
                yield from (name for name in _free(each) if name not in known)
        known.update(proto.output)
    yield from (v.name for v in graph.output if v.name not in known)


def array_of_constant(value: Any) -> Any:
    """A constant's numbers; `value` is no external tensor."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.SparseTensorProto):
        shape = tuple(value.dims)
        values, places = numpy_helper.to_array(value.values), numpy_helper.to_array(value.indices)
        dense = np.zeros(shape, values.dtype)
        if places.ndim == 1:
            dense.reshape(-1)[places] = values
        else:
            dense[tuple(places.T)] = values
        return dense
    return value
