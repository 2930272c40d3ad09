"""Weights in eight bits: each number is a whole one from -127 to 127, times a scale of its output
channel.

With s = max |w| / 127 over the weights into one unit or filter, w is round(w / s) * s: no number is
off by more than half a step, s / 2.  What the graph then computes is Cast(q) * s before the
layer, in operations that every runtime has.  DequantizeLinear says the same in one node, but
onnxruntime computes that again in each run, in case a kernel for whole numbers takes it in: at one
row, four layers of 1024 × 1024 took 7.8 ms with it and 0.9 ms with Cast and Mul, which are computed
once when the file is loaded, as 0.8 ms without quantization (onnxruntime 1.31, one core).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.graph import Graph, Node, Op, Param, Type, Value
from deepdsl.graph.arithmetic import Cast, Mul
from deepdsl.graph.convolution import Convolution
from deepdsl.graph.gemm import Gemm
from deepdsl.nn.layers.embedding import TakeRows

Array = NDArray[Any]

LARGEST = 127
_FOLDED = re.compile(r"\.folded_weight(_\d+)?$")
# What two nodes, their types and a second tensor take in the file.
OVERHEAD = 400


def quantize_weights(
    graph: Graph, weights: Mapping[str, Array], keep: Collection[str] = ()
) -> tuple[Graph, dict[str, Array], tuple[str, ...]]:
    """The graph and weights with weights in int8, and the paths of those that are.

    `keep` are paths of tensors, layers and parts that stay as they are.  Biases and what norms
    multiply with stay too, and so does what would not get smaller.
    """
    values, nodes, swap = dict(weights), [], dict[Value, Value]()
    params = {p.name: p for p in graph.params}
    for param, axis in _matrices(graph).items():
        whole, scale = in_eight_bits(weights[param.name], axis)
        saved = 3 * whole.size - scale.nbytes
        if saved <= OVERHEAD or is_kept(param.name, keep):
            continue
        stored = replace(param, name=f"{param.name}:int8", type=param.type.with_dtype("i8"))
        factor = replace(param, name=f"{param.name}:scale", type=Type(scale.shape))
        del params[param.name], values[param.name]
        for made, array in ((stored, whole), (factor, scale)):
            params[made.name], values[made.name] = made, array
        number = Value(f"{param.name}:cast", param.type)
        swap[param] = Value(f"{param.name}:dequantized", param.type)
        nodes.append(Node(Cast(param.type.dtype), (stored,), (number,), param.span))
        nodes.append(Node(Mul(), (number, factor), (swap[param],), param.span))
    nodes += [
        replace(node, inputs=tuple(swap.get(v, v) for v in node.inputs)) for node in graph.nodes
    ]
    made_graph = replace(graph, params=tuple(params.values()), nodes=tuple(nodes))
    return made_graph, values, tuple(p.name for p in swap)


def in_eight_bits(weights: Array, axis: int) -> tuple[Array, Array]:
    """Whole numbers, and the scale of each place of the axis, in a shape that multiplies them."""
    others = tuple(n for n in range(weights.ndim) if n != axis)
    scale = np.abs(weights.astype(np.float64)).max(others, keepdims=True) / LARGEST
    # A channel of zeros has no step.
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    whole = np.clip(np.round(weights / scale), -LARGEST, LARGEST)
    return whole.astype(np.int8), scale


def is_kept(name: str, keep: Collection[str]) -> bool:
    """Whether a tensor is one of these, or in one of these layers and parts."""
    # One into which a batch norm was folded goes by the name that it had.
    name = _FOLDED.sub(".weight", name)
    return any(name == path or name.startswith(f"{path}.") for path in keep)


def _matrices(graph: Graph) -> dict[Param, int]:
    """The weights that layers multiply with, and their axis of outputs, by the first use."""
    found: dict[Param, int] = {}
    for node in graph.nodes:
        for value in node.inputs:
            if isinstance(value, Param) and value.role == "weight" and value.type.rank > 1:
                found.setdefault(value, _outputs(node.op, value))
    return found


def _outputs(op: Op, weight: Param) -> int:
    """The axis along which each place is a unit or filter of its own."""
    match op:
        case Gemm(transpose_b=True) | Convolution() | TakeRows():
            return 0
        case _:
            return 1 if weight.type.rank > 2 else weight.type.rank - 1
