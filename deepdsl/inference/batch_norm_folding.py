"""Folds batch norms into the dense layers and convolutions beside them: the deployed network has
none left where that can be done.

With s = gamma / sqrt(variance + epsilon) and t = beta - mean * s, batch norm is x * s + t per
feature.  After a linear layer, (x W + b) s + t = x (W s) + (b s + t); before one, (x s + t) W + b =
x (s W) + (t W + b).  The second holds for a convolution only where nothing is padded: what is
padded is 0, and would have to be t.

What is folded gets tensors of its own: weights that are used elsewhere too stay as they are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.graph import Graph, Node, Param, Value
from deepdsl.graph.convolution import Convolution, TransposedConvolution
from deepdsl.graph.gemm import Gemm
from deepdsl.graph.passes import prune
from deepdsl.nn.layers.batch_norm import BatchNormInference

Array = NDArray[Any]


@dataclass
class _Folding:
    weights: dict[str, Array]
    params: dict[str, Param]
    made: dict[tuple[Any, ...], tuple[Param, Param]] = field(default_factory=dict)

    def affine(self, norm: Node) -> tuple[Array, Array]:
        """s and t of a batch norm, in float64."""
        assert isinstance(norm.op, BatchNormInference)
        gamma, beta, mean, variance = (
            self.weights[v.name].astype(np.float64) for v in norm.inputs[1:]
        )
        scale = gamma / np.sqrt(variance + norm.op.epsilon)
        return scale, beta - mean * scale

    def parameters(
        self, linear: Node, norm: Node, weight: Array, bias: Array
    ) -> tuple[Param, Param]:
        """New parameters in the place of the linear layer's; a shared part folded twice gets them
        once.
        """
        key = (linear.op, *linear.inputs[1:], *norm.inputs[1:])
        if key not in self.made:
            old = linear.inputs[1]
            assert isinstance(old, Param)
            stem = old.name.removesuffix(".weight")
            self.made[key] = (
                self._param(f"{stem}.folded_weight", old, weight),
                self._param(f"{stem}.folded_bias", old, bias),
            )
        return self.made[key]

    def _param(self, name: str, like: Param, values: Array) -> Param:
        number, free = 2, name
        while free in self.params:
            free, number = f"{name}_{number}", number + 1
        param = Param(
            free, like.type.with_shape(values.shape), like.init, "weight", None, like.span
        )
        self.params[free] = param
        self.weights[free] = values.astype(np.float32)
        return param


def fold_batch_norms(
    graph: Graph, weights: Mapping[str, Array]
) -> tuple[Graph, dict[str, Array], int]:
    """The graph and weights with batch norms folded, and how many were.

    A batch norm is folded into the dense layer or convolution before it when nothing else reads
    that layer, else into the one after it when that is all that reads the batch norm; otherwise it
    stays.
    """
    state = _Folding(dict(weights), {p.name: p for p in graph.params})
    folded = 0
    for merge in (_into_before, _into_after):
        nodes = list(graph.nodes)
        readers = Counter(v for node in nodes for v in node.inputs)
        readers.update(graph.results)
        producers = graph.producers()
        for node in graph.nodes:
            if (pair := merge(node, nodes, producers, readers, state)) is not None:
                old, new = pair
                nodes = [new if n is old[-1] else n for n in nodes if n not in old[:-1]]
                producers.update(dict.fromkeys(new.outputs, new))
                folded += 1
        graph = replace(graph, nodes=tuple(nodes))
    graph = replace(graph, params=tuple(state.params.values()))
    return prune(graph), state.weights, folded


# With weights of its own, and with another layer's transposed.
_DENSE = (Gemm(), Gemm(transpose_b=True))

Merged = tuple[tuple[Node, Node], Node]


def _into_before(
    node: Node,
    nodes: list[Node],
    producers: Mapping[Value, Node],
    readers: Mapping[Value, int],
    state: _Folding,
) -> Merged | None:
    if not isinstance(node.op, BatchNormInference):
        return None
    linear = producers.get(node.inputs[0])
    if linear is None or not _is_linear(linear) or readers[linear.outputs[0]] > 1:
        return None
    weight, bias = _weights(linear, state)
    scale, shift = state.affine(node)
    apart = _apart(linear, weight)
    scaled = apart * scale.reshape(len(apart), 1, -1, 1)
    new = _together(linear, scaled, weight.shape)
    params = state.parameters(linear, node, new, bias * scale + shift)
    return (linear, node), Node(linear.op, (linear.inputs[0], *params), node.outputs, linear.span)


def _into_after(
    node: Node,
    nodes: list[Node],
    producers: Mapping[Value, Node],
    readers: Mapping[Value, int],
    state: _Folding,
) -> Merged | None:
    if not _is_linear(node) or not _takes_shift(node):
        return None
    norm = producers.get(node.inputs[0])
    if norm is None or not isinstance(norm.op, BatchNormInference) or norm not in nodes:
        return None
    if readers[norm.outputs[0]] > 1:
        return None
    weight, bias = _weights(node, state)
    apart = _apart(node, weight)
    scale, shift = (v.reshape(len(apart), -1, 1, 1) for v in state.affine(norm))
    moved = (apart * shift).sum((1, 3)).reshape(-1)
    new = _together(node, apart * scale, weight.shape)
    params = state.parameters(node, norm, new, bias + moved)
    return (norm, node), Node(node.op, (norm.inputs[0], *params), node.outputs, node.span)


def _is_linear(node: Node) -> bool:
    """A dense layer or a convolution: its operands after the first are parameters, the bias one
    row.
    """
    known = node.op in _DENSE or isinstance(node.op, Convolution | TransposedConvolution)
    return known and all(isinstance(v, Param) for v in node.inputs[1:])


def _takes_shift(node: Node) -> bool:
    """Whether a number that is added to a whole feature of the input adds one to a whole feature of
    the output.
    """
    if isinstance(node.op, Convolution):
        return not any(node.op.pads)
    # How many places of a transposed kernel meet differs from place to place.
    return not isinstance(node.op, TransposedConvolution)


def _apart(node: Node, weight: Array) -> Array:
    """Weights as [groups, inputs of each, outputs of each, places of the kernel]."""
    match node.op:
        case Convolution(groups=groups):
            parts = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
            return parts.transpose(0, 2, 1, 3)
        case TransposedConvolution(groups=groups):
            return weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
        case Gemm(transpose_b=True):
            return weight.T[None, :, :, None]
    return weight[None, :, :, None]


def _together(node: Node, apart: Array, shape: tuple[int, ...]) -> Array:
    """The inverse of `_apart`."""
    turned = isinstance(node.op, Convolution) or node.op == Gemm(transpose_b=True)
    return (apart.transpose(0, 2, 1, 3) if turned else apart).reshape(shape)


def _weights(node: Node, state: _Folding) -> tuple[Array, Array]:
    weight = state.weights[node.inputs[1].name].astype(np.float64)
    if len(node.inputs) == 3:
        return weight, state.weights[node.inputs[2].name].astype(np.float64)
    features = node.outputs[0].type.shape[1]
    assert isinstance(features, int)
    return weight, np.zeros(features)
