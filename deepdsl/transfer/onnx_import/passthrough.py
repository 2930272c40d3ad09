"""Operators without a layer here, which the runtime runs as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference, version_converter

from deepdsl.core.record import record
from deepdsl.core.registry import snake_case
from deepdsl.graph import Builder, Emitter, Op, Type, Value
from deepdsl.graph import Node as IrNode
from deepdsl.graph.types import OPSET
from deepdsl.nn.initializers import Zeros
from deepdsl.nn.layers.layer import Scope
from deepdsl.transfer.onnx_import.dims import typed
from deepdsl.transfer.onnx_import.graph import OnnxNode, captured
from deepdsl.transfer.onnx_import.inference import Array, Flow, Uncertain, proto_of
from deepdsl.transfer.onnx_import.layers import Unnamed

# Constants of up to this many numbers are in the graph; larger ones are part of its state.
FEW = 64


@record
class Foreign(Unnamed, abstract=True):
    """An operator of an ONNX file for which there is not a layer: it runs as it is, and nothing
    can be trained through it.

    `node` is its name in the file and `tensor` what it makes.  `graph` is an ONNX graph of it, and
    perhaps others that belong to it, with the inputs `in:0`, `in:1` … and an output; `weights` are
    those of its inputs that are constants, which come last.
    """

    operator: str
    node: str
    tensor: str
    domain: str
    graph: bytes
    versions: tuple[tuple[str, int], ...]
    result: Type
    weights: tuple[Type, ...] = ()

    differentiable = False

    @property
    def title(self) -> str:
        return snake_case(self.operator.rpartition(".")[2])

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Those of the operator."""
        nodes = _parsed(self.graph).node
        own = next((n for n in nodes if self.operator.endswith(n.op_type)), None)
        return {} if own is None else {a.name: helper.get_attribute_value(a) for a in own.attribute}

    def show(self) -> str:
        return f"{self.operator} (as it is)"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        stored = []
        for number, type_ in enumerate(self.weights, 1):
            name = "weight" if len(self.weights) == 1 else f"weight_{number}"
            stored.append(scope.param(name, _whole(type_), Zeros(), "constant", None, type_.dtype))
        op = AsItIs(self.operator, self.node, self.tensor, self.graph, self.versions, self.result)
        return scope.builder.add(op, *inputs, *stored)


@record
class AsItIs(Op):
    """The operation of `Foreign`."""

    operator: str
    node: str
    tensor: str
    graph: bytes
    versions: tuple[tuple[str, int], ...]
    result: Type

    @property
    def title(self) -> str:
        return snake_case(self.operator.rpartition(".")[2])

    @property
    def domains(self) -> Mapping[str, int]:
        return dict(self.versions)

    def __str__(self) -> str:
        return f"{self.operator}(node={self.node!r})"

    def infer(self, *inputs: Type) -> Type:
        return self.result

    def lower(self, onnx: Emitter, node: IrNode, *inputs: str) -> str:
        graph = _parsed(self.graph)
        names = {f"in:{i}": name for i, name in enumerate(inputs)}
        for tensor in graph.initializer:
            names[tensor.name] = onnx.node("Constant", value=tensor)
        for each in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in each.attribute}
            if each.domain:
                attributes["domain"] = each.domain
            given = [names[n] if n else "" for n in each.input]
            made = onnx.nodes(each.op_type, *given, outputs=len(each.output), **attributes)
            names.update(zip(each.output, made, strict=True))
        return names[graph.output[0].name]

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value | None, ...]:
        raise NotImplementedError(
            f"{self.operator} (node `{self.node}`, which makes `{self.tensor}`) has no gradient"
        )


def _parsed(data: bytes) -> onnx.GraphProto:
    graph: onnx.GraphProto = onnx.GraphProto.FromString(data)
    return graph


# From a file --------------------------------------------------------------------------------------


def as_graph(
    nodes: list[OnnxNode], tensor: str, flows: Mapping[str, Flow], arrays: Mapping[str, Array]
) -> tuple[onnx.GraphProto, dict[str, int], list[str], list[str]]:
    """Operators as a graph of the opset that is written here, the opsets of other domains, and the
    names of what flows in and of the constants that do; Uncertain where that cannot be.
    """
    made = {n for node in nodes for n in node.outputs}
    read = [n for n in dict.fromkeys(n for node in nodes for n in node.read) if n not in made]
    flowing = [n for n in read if n in flows]
    stored = [n for n in read if n not in flows and _large(arrays[n])]
    names = {name: f"in:{i}" for i, name in enumerate((*flowing, *stored))}
    names.update({n: f"made:{n}" for n in made if n})
    names.update({n: f"constant:{n}" for n in read if n not in names})
    names[""] = ""
    versions = {node.domain: node.version for node in nodes}
    protos = []
    for node in nodes:
        outside = list(captured(node))
        if any(n in flows for n in outside):
            raise Uncertain("its body reads what flows outside of it")
        proto = proto_of(node, [names[n] for n in node.inputs], [names[n] for n in node.outputs])
        if outside:
            proto = _closed(proto, {n: arrays[n] for n in outside})
        protos.append(proto)
    inputs = [
        helper.make_tensor_value_info(names[n], flows[n][0], typed(flows[n][1])) for n in flowing
    ]
    inputs += [
        helper.make_tensor_value_info(
            names[n], helper.np_dtype_to_tensor_dtype(arrays[n].dtype), arrays[n].shape
        )
        for n in stored
    ]
    few = [n for n in read if n not in flows and n not in stored]
    graph = helper.make_graph(
        protos,
        "as_is",
        inputs,
        [helper.make_tensor_value_info(names[tensor], flows[tensor][0], typed(flows[tensor][1]))],
        [numpy_helper.from_array(np.asarray(arrays[n]), names[n]) for n in few],
    )
    graph, versions = _fitted(graph, versions, nodes[-1])
    return graph, versions, flowing, stored


def _large(array: Array) -> bool:
    """Whether a constant is kept as state: of a type that state has."""
    return array.size > FEW and array.dtype == np.float32


def _closed(proto: onnx.NodeProto, arrays: Mapping[str, Array]) -> onnx.NodeProto:
    """The node with the constants that its bodies read put into them."""
    made = onnx.NodeProto()
    made.CopyFrom(proto)
    for attribute in made.attribute:
        graphs = [*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs]
        for graph in graphs:
            for name, array in arrays.items():
                graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return made


def _fitted(
    graph: onnx.GraphProto, versions: dict[str, int], node: OnnxNode
) -> tuple[onnx.GraphProto, dict[str, int]]:
    """The graph for our opset: as it is where its operators have not changed since, else through
    ONNX's converter.
    """
    others = {d: v for d, v in versions.items() if d}
    version = versions.get("", OPSET)
    if version != OPSET and not all(_unchanged(each, version) for each in graph.node):
        opsets = [helper.make_opsetid(d, v) for d, v in {**others, "": version}.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        try:
            model = version_converter.convert_version(model, OPSET)
        except (RuntimeError, ValueError) as error:
            raise Uncertain(
                f"it is of opset {version}, and is not the same in opset {OPSET}, which is written"
                " here"
            ) from error
        graph = model.graph
    _check(graph, others)
    return graph, others


def _unchanged(proto: onnx.NodeProto, version: int) -> bool:
    """Whether an operator of a version means the same in ours."""
    if proto.domain:
        return True
    try:
        then = onnx.defs.get_schema(proto.op_type, version)
        now = onnx.defs.get_schema(proto.op_type, OPSET)
    except onnx.defs.SchemaError:
        return False
    if then.since_version == now.since_version:
        return True
    if version < OPSET or proto.op_type == "GroupNormalization":
        return False
    # Since then types were added, and attributes that this node may not use.
    return all(a.name in now.attributes for a in proto.attribute) and (
        len(proto.input) <= now.max_input and len(proto.output) <= now.max_output
    )


def _check(graph: onnx.GraphProto, others: Mapping[str, int]) -> None:
    """The types of the result, as onnx works them out in our opset, are those that are known."""
    opsets = [helper.make_opsetid(d, v) for d, v in {**others, "": OPSET}.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    try:
        shape_inference.infer_shapes(model, check_type=True, strict_mode=not others)
    except (shape_inference.InferenceError, RuntimeError, ValueError) as error:
        told = (str(error).strip() or "no reason").splitlines()[0]
        raise Uncertain(f"in opset {OPSET}, which is written here, it is not right: {told}") from (
            error
        )


def _whole(type_: Type) -> tuple[int, ...]:
    return tuple(d for d in type_.shape if isinstance(d, int))
