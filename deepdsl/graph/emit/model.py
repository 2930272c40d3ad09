"""A graph as an ONNX model: nodes through the operations' own `lower`, and the type of every
value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from deepdsl.core.record import record
from deepdsl.core.version import VERSION
from deepdsl.graph import Constant, DType, Emitter, Graph, Node, Shape, Value
from deepdsl.graph.types import ONNX_CODES, OPSET

IR_VERSION = 9

NUMPY: dict[DType, Any] = {
    "f32": np.float32,
    "f64": np.float64,
    "i64": np.int64,
    "i32": np.int32,
    "u32": np.uint32,
    "i8": np.int8,
    "u8": np.uint8,
    "bool": np.bool_,
}
Weights = Mapping[str, NDArray[Any]]


@record
class OnnxModel:
    """An emitted model.  `updates` maps the name of a state input to the output that is its next
    value.
    """

    proto: onnx.ModelProto
    updates: Mapping[str, str]

    def serialize(self) -> bytes:
        data: bytes = self.proto.SerializeToString()
        return data

    def check(self) -> None:
        """Judge the model by ONNX's own checker: its type inference against the types written
        here.
        """
        onnx.checker.check_model(self.proto, full_check=True)

    def annotate(self, metadata: Mapping[str, str]) -> None:
        """Set `metadata_props`, which travel with the file."""
        helper.set_model_props(self.proto, dict(metadata))


class _Writer:
    """Implements ir.Emitter: collects nodes and constants, and names them after the value they
    make.
    """

    def __init__(self) -> None:
        self.written: list[onnx.NodeProto] = []
        self.constants: dict[tuple[Any, ...], onnx.TensorProto] = {}
        self.stem = ""
        self.count = 0

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        return self.nodes(op_type, *inputs, outputs=1, **attributes)[0]

    def nodes(self, op_type: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        self.count += 1
        names = [f"{self.stem}:{self.count}.{i}" for i in range(outputs)]
        label = f"{self.stem}:{op_type}:{self.count}"
        self.written.append(helper.make_node(op_type, inputs, names, label, **attributes))
        return names

    def constant(self, value: Any, dtype: DType, shape: Shape | None = None) -> str:
        array = np.asarray(value, NUMPY[dtype])
        if shape is not None:
            array = np.full(tuple(int(d) for d in shape), array)
        key = (array.tobytes(), array.shape, dtype)
        if key not in self.constants:
            name = f"constant:{len(self.constants)}"
            self.constants[key] = numpy_helper.from_array(array, name)
        found: str = self.constants[key].name
        return found

    def scan(
        self,
        step: Callable[[Emitter, list[str], list[str]], tuple[list[str], list[str]]],
        states: Sequence[str],
        sequences: Sequence[str],
        dtype: DType,
        reverse: bool = False,
    ) -> list[str]:
        self.count += 1
        inner = _Writer()
        inner.stem, inner.constants = f"{self.stem}:{self.count}", self.constants
        given = [f"{inner.stem}:in.{i}" for i in range(len(states) + len(sequences))]
        following, results = step(inner, given[: len(states)], given[len(states) :])
        # An output of a body has a name of its own, though a result may well be the next state.
        outputs: list[str] = []
        for name in (*following, *results):
            outputs.append(inner.node("Identity", name) if name in (*given, *outputs) else name)
        body = helper.make_graph(
            inner.written,
            f"{inner.stem}:step",
            [helper.make_tensor_value_info(name, ONNX_CODES[dtype], None) for name in given],
            [helper.make_tensor_value_info(name, ONNX_CODES[dtype], None) for name in outputs],
        )
        made = self.nodes(
            "Scan",
            *states,
            *sequences,
            outputs=len(outputs),
            body=body,
            num_scan_inputs=len(sequences),
            scan_input_directions=[int(reverse)] * len(sequences),
            scan_output_directions=[int(reverse)] * len(results),
        )
        return made[len(states) :]

    def lower(self, node: Node, names: Mapping[Value, str]) -> None:
        """Write a node's operations; the last ones are renamed to make the node's values under
        their own names.
        """
        before = len(self.written)
        outputs = [names[v] for v in node.outputs]
        self.stem = outputs[0]
        made = node.op.lower(self, node, *(names[v] for v in node.inputs))
        own = {name for proto in self.written[before:] for name in proto.output}
        rename: dict[str, str] = {}
        for name, wanted in zip([made] if isinstance(made, str) else made, outputs, strict=True):
            if name in own and name not in rename:
                rename[name] = wanted
            else:
                self.written.append(helper.make_node("Identity", [name], [wanted], wanted))
        for proto in self.written[before:]:
            for sides in (proto.input, proto.output):
                for i, name in enumerate(sides):
                    if name in rename:
                        sides[i] = rename[name]


def emit(graph: Graph, name: str, weights: Weights | None = None) -> OnnxModel:
    """The graph as an ONNX model.

    A parameter with a weight is an initializer; one without is an input, and its next value an
    output named `next:PATH`.
    """
    writer = _Writer()
    updates = {p.name: f"next:{p.name}" for p in graph.updates}
    results = {**graph.outputs, **{updates[p.name]: v for p, v in graph.updates.items()}}
    names = _names(graph, results)
    for node in graph.nodes:
        if isinstance(node.op, Constant):
            # A constant is an initializer and needs no node.
            names[node.outputs[0]] = writer.constant(node.op.value, node.op.dtype)
        else:
            writer.lower(node, names)
    for key, value in results.items():
        if names[value] != key:
            writer.written.append(helper.make_node("Identity", [names[value]], [key], key))
    inputs = [_info(v, v.name) for v in graph.inputs]
    stored = list(writer.constants.values())
    given = weights or {}
    inputs += [_info(p, p.name) for p in graph.params if p.name not in given]
    stored += [
        _tensor(p.name, given[p.name], p.type.dtype) for p in graph.params if p.name in given
    ]
    inner = [
        v
        for node in graph.nodes
        for v in node.outputs
        if names[v] not in results and not isinstance(node.op, Constant)
    ]
    proto = helper.make_graph(
        writer.written,
        name,
        inputs,
        [_info(value, key) for key, value in results.items()],
        stored,
        value_info=[_info(v, names[v]) for v in inner],
    )
    others = {d: v for node in graph.nodes for d, v in node.op.domains.items()}
    model = helper.make_model(
        proto,
        opset_imports=[helper.make_opsetid(d, v) for d, v in {**others, "": OPSET}.items()],
        ir_version=IR_VERSION,
        producer_name="deepdsl",
        producer_version=VERSION,
    )
    return OnnxModel(model, updates)


def _names(graph: Graph, results: Mapping[str, Value]) -> dict[Value, str]:
    """The ONNX name of each value: its own, or that of the output that it is."""
    names: dict[Value, str] = {v: v.name for v in (*graph.inputs, *graph.params)}
    made = {v for node in graph.nodes for v in node.outputs}
    for key, value in results.items():
        if value in made:
            names.setdefault(value, key)
    for node in graph.nodes:
        for value in node.outputs:
            # A leading slash keeps inner values apart from inputs and outputs, which users name.
            names.setdefault(value, f"/{value.name}")
    return names


def _info(value: Value, name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, ONNX_CODES[value.type.dtype], list(value.type.shape))


def _tensor(name: str, array: NDArray[Any], dtype: DType) -> onnx.TensorProto:
    return numpy_helper.from_array(
        np.ascontiguousarray(array, NUMPY[dtype]).reshape(array.shape), name
    )


def emit_state(state: Weights) -> OnnxModel:
    """`init.onnx`: no inputs; the whole initial state as outputs, each under its path."""
    nodes, outputs, stored = [], [], []
    for path, array in state.items():
        tensor = numpy_helper.from_array(array, f"initial:{path}")
        stored.append(tensor)
        nodes.append(helper.make_node("Identity", [tensor.name], [path], path))
        outputs.append(helper.make_tensor_value_info(path, tensor.data_type, list(array.shape)))
    graph = helper.make_graph(nodes, "init", [], outputs, stored)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="deepdsl",
        producer_version=VERSION,
    )
    return OnnxModel(model, {})
