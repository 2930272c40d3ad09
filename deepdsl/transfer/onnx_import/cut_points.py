"""The places at which a graph can be cut: tensors through which everything flows."""

from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import Any

import onnx

from deepdsl.core.record import record
from deepdsl.transfer.onnx_import.graph import FileShape, OnnxGraph, OnnxNode, captured

# Numbers of paths are compared modulo this prime.
_PRIME = 2**61 - 1
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
    """
    flowing = _flowing(graph)
    nodes = [n for n in graph.nodes if any(name in flowing for name in n.outputs)]
    to, depth = _from_inputs(graph, nodes, flowing)
    back: dict[str, int] = defaultdict(int)
    for name in graph.outputs:
        back[name] += name in flowing
    for node in reversed(nodes):
        through = sum(back[name] for name in node.outputs if name) % _PRIME
        for name in _ins(node, flowing):
            back[name] = (back[name] + through) % _PRIME
    total = sum(to[name] * back[name] for name in graph.inputs if name in flowing) % _PRIME
    makers, counted, weights = graph.makers(), set[str](), 0
    found = []
    for node in nodes:
        for name in node.outputs:
            if not name or not total or to[name] * back[name] % _PRIME != total:
                continue
            weights += _parameters(graph, name, makers, counted)
            info = graph.infos.get(name)
            shape = info.shape if info else None
            found.append(CutPoint(name, shape, depth[name], weights, node.operator, node.name))
    return tuple(found)


def _flowing(graph: OnnxGraph) -> set[str]:
    """The tensors that hold what came in, and not only its size, on the way to an output."""
    found = set(graph.inputs)
    for node in graph.nodes:
        if node.op not in _SIZES and any(n in found for n in (*node.read, *captured(node))):
            found.update(name for name in node.outputs if name)
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if any(name in needed for name in node.outputs):
            needed.update((*node.read, *captured(node)))
    return found & needed


def _ins(node: OnnxNode, flowing: set[str]) -> list[str]:
    if node.op in _SIZES:
        return []
    return [name for name in (*node.read, *captured(node)) if name in flowing]


def _from_inputs(
    graph: OnnxGraph, nodes: list[OnnxNode], flowing: set[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """For each tensor the number of ways to it, and the length of the longest."""
    ways: dict[str, int] = defaultdict(int, {name: int(name in flowing) for name in graph.inputs})
    depth: dict[str, int] = defaultdict(int)
    for node in nodes:
        ins = _ins(node, flowing)
        for name in node.outputs:
            ways[name] = sum(ways[i] for i in ins) % _PRIME
            depth[name] = 1 + max((depth[i] for i in ins), default=0)
    return ways, depth


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
