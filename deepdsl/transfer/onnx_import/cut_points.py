"""The places at which a graph can be cut: tensors through which everything flows."""

from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import Any

import onnx

from deepdsl.core.record import record
from deepdsl.transfer.onnx_import.graph import FileShape, OnnxGraph, OnnxNode, captured

# What these tell of a tensor is its size: nothing flows through them.
_SIZES = frozenset({"Shape", "Size"})


@record
class CutPoint:
    """A tensor that every path from the input to the outputs goes through.

    `shape` has None for sizes that are free (the batch), and is None where it is not known.
    `depth` is the longest way to it, in operators; `parameters` counts the numbers of the weights
    on the ways to it.  `operator` and `node` make it.
    """

    tensor: str
    shape: FileShape | None
    depth: int
    parameters: int
    operator: str
    node: str


def places(graph: OnnxGraph) -> tuple[CutPoint, ...]:
    """In the order of the flow; none where the graph has several inputs that flow together at
    its end.

    Nodes are in an order in which each follows what it reads.  So everything flows through a tensor
    if it is the only live one, made and still to be read, right after its node.
    """
    flowing = _flowing(graph)
    nodes = [n for n in graph.nodes if any(name in flowing for name in n.outputs)]
    last: dict[str, int] = {}
    for index, node in enumerate(nodes):
        last.update(dict.fromkeys(_ins(node, flowing), index))
    last.update(dict.fromkeys((n for n in graph.outputs if n in flowing), len(nodes)))
    depth = _depths(nodes, flowing)
    live = {name for name in graph.inputs if name in last}
    makers, counted, weights = graph.makers(), set[str](), 0
    found = []
    for index, node in enumerate(nodes):
        made = [name for name in node.outputs if name in last]
        live = {name for name in (*live, *made) if last[name] > index}
        if len(made) == 1 and live == set(made):
            (name,) = made
            weights += _parameters(graph, name, makers, counted)
            info = graph.infos.get(name)
            shape = info.shape if info else None
            found.append(CutPoint(name, shape, depth[name], weights, node.operator, node.name))
    return tuple(found)


def _flowing(graph: OnnxGraph) -> set[str]:
    """The tensors that hold what came in, and not only its size, on the way to an output."""
    found = set(graph.inputs)
    for node in graph.nodes:
        if any(name in found for name in _read(node)):
            found.update(name for name in node.outputs if name)
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if any(name in needed for name in node.outputs):
            needed.update(_read(node))
    return found & needed


def _read(node: OnnxNode) -> tuple[str, ...]:
    """The tensors that flow into a node; none where it asks for a size only."""
    return () if node.op in _SIZES else (*node.read, *captured(node))


def _ins(node: OnnxNode, flowing: set[str]) -> list[str]:
    return [name for name in _read(node) if name in flowing]


def _depths(nodes: list[OnnxNode], flowing: set[str]) -> dict[str, int]:
    """For each tensor the length of the longest way to it, in operators."""
    depth: dict[str, int] = defaultdict(int)
    for node in nodes:
        deepest = max((depth[name] for name in _ins(node, flowing)), default=0)
        depth.update(dict.fromkeys(node.outputs, 1 + deepest))
    return depth


def _parameters(graph: OnnxGraph, name: str, makers: dict[str, OnnxNode], counted: set[str]) -> int:
    """The numbers of the weights after a tensor that have not been counted."""
    total, waiting = 0, [name]
    while waiting:
        at = waiting.pop()
        if at in counted:
            continue
        counted.add(at)
        if at in graph.constants:
            total += _numbers(graph.constants[at])
        elif at in makers:
            waiting += [*makers[at].read, *captured(makers[at])]
    return total


def _numbers(constant: Any) -> int:
    """How many, of numbers with fractions and of quantized ones; single ones are no weights."""
    if not isinstance(constant, onnx.TensorProto) or not constant.dims:
        return 0
    weights = {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.BFLOAT16,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
    }
    return prod(constant.dims) if constant.data_type in weights else 0
