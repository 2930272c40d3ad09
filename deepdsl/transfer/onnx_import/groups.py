"""Operators that together are one: a product and its bias, an activation or a norm that was written
out.

What an activation or a norm is, is not read off its operators, which each exporter has others of:
it is calculated on numbers, and compared with what it may be.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import prod

import numpy as np

from deepdsl.transfer.onnx_import.dims import is_rows
from deepdsl.transfer.onnx_import.folding import OURS, Folding
from deepdsl.transfer.onnx_import.graph import OnnxNode, captured
from deepdsl.transfer.onnx_import.inference import FLOAT
from deepdsl.transfer.onnx_import.recognition import CALCULATED, recognized


def grouped(folding: Folding, output: str) -> list[OnnxNode]:
    """The nodes that the output needs, with groups in one node."""
    groups = _Groups(folding, output)
    groups.run()
    return groups.needed()


class _Groups:
    def __init__(self, folding: Folding, output: str) -> None:
        self.folding, self.output = folding, output
        self.nodes = list(folding.nodes)
        self.makers = {n: node for node in self.nodes for n in node.outputs if n}
        self.nodes = self.needed()
        self.uses = Counter(n for node in self.nodes for n in (*node.read, *captured(node)))
        self.uses[output] += 1

    def run(self) -> None:
        inside: set[int] = set()  # nodes of a group that was found: it is the largest
        for node in reversed(list(self.nodes)):
            if id(node) in inside or len(node.outputs) != 1:
                continue
            found = self._with_bias(node) or self._group_norm(node)
            if found is None and node.op in CALCULATED and not node.domain:
                cone = recognized(self.folding, self.makers, node, self.uses)
                if cone is not None:
                    found = cone.node
                    inside.update(id(each) for each in cone.inside)
            if found is not None:
                self.nodes[self.nodes.index(node)] = found
                self.makers[node.outputs[0]] = found

    def needed(self) -> list[OnnxNode]:
        """The nodes on the ways to the output."""
        wanted, kept = {self.output}, []
        for node in reversed(self.nodes):
            if any(name in wanted for name in node.outputs):
                kept.append(node)
                wanted.update((*node.read, *captured(node)))
        return kept[::-1]

    def _with_bias(self, node: OnnxNode) -> OnnxNode | None:
        """A product or convolution that one sum alone reads, and the constant of that sum."""
        if node.op != "Add" or node.domain:
            return None
        flows = self.folding.flows
        inner = next((n for n in node.inputs if n in flows), "")
        bias = next((n for n in node.inputs if n not in flows), "")
        product = self.makers.get(inner)
        if not bias or product is None or product.domain or self.uses[inner] > 1:
            return None
        if self.folding.flows[inner] != flows[node.outputs[0]] or flows[inner][0] != FLOAT:
            return None
        array, sizes = self.folding.array(bias), flows[inner][1]
        if product.op == "MatMul":
            weight = product.inputs[1]
            if product.inputs[0] not in flows or weight in flows:
                return None
            if self.folding.array(weight).ndim != 2 or array.ndim < 1:
                return None
            if prod(array.shape[:-1]) != 1 or array.shape[-1] not in (1, sizes[-1]):
                return None
            names = [product.inputs[0], weight, bias]
            group = (product, node)
            return OnnxNode("Dense", names, node.outputs, {}, 1, OURS, product.name, group=group)
        if product.op in ("Conv", "ConvTranspose") and len([n for n in product.inputs if n]) == 2:
            wide = array.reshape((1,) * (len(sizes) - array.ndim) + array.shape)
            if wide.ndim != len(sizes) or wide.size != sizes[1] or wide.shape[1] != sizes[1]:
                return None
            given = self.folding.constant(np.ascontiguousarray(wide.reshape(-1)), bias)
            names = [*product.inputs[:2], given]
            return replace(product, inputs=names, outputs=node.outputs, group=(product, node))
        return None

    def _group_norm(self, node: OnnxNode) -> OnnxNode | None:
        """PyTorch's group norm: each group is normalized as a channel, then each channel has a
        factor and a term.  The norm's own, of ones and zeros, are none of the network's weights.
        """
        shift = self._by_channel(node, "Add")
        scale = shift and self._by_channel(self._alone(shift[0], "Mul"), "Mul")
        back = scale and self._alone(scale[0], "Reshape")
        norm = back and self._alone(back.inputs[0], "InstanceNormalization")
        apart = norm and self._alone(norm.inputs[0], "Reshape")
        if not (shift and scale and back and norm and apart):
            return None
        factor, term = (self.folding.array(n) for n in norm.inputs[1:3])
        if np.any(factor != 1) or np.any(term != 0):
            return None
        x, flows = apart.inputs[0], self.folding.flows
        sizes, groups = flows[x][1], flows[norm.inputs[0]][1][1]
        if flows[x] != flows[node.outputs[0]] or flows[norm.inputs[0]][1][0] != sizes[0]:
            return None
        if is_rows(groups) or sizes[1] % groups:
            return None
        given = [x, *(self._vector(constant) for _, constant in (scale, shift))]
        options = {"num_groups": groups, "epsilon": norm.get("epsilon", 1e-5)}
        mul = self.makers[shift[0]]
        group = (apart, norm, back, mul, node)
        name = norm.name
        return OnnxNode(
            "GroupNormalization", given, node.outputs, options, 21, "", name, group=group
        )

    def _alone(self, name: str, op: str) -> OnnxNode | None:
        """The operator that makes a tensor which nothing else reads."""
        node = self.makers.get(name)
        if node is None or node.op != op or node.domain or self.uses[name] > 1:
            return None
        return node

    def _by_channel(self, node: OnnxNode | None, op: str) -> tuple[str, str] | None:
        """What flows into a sum or product with a number for each channel, and the constant."""
        if node is None or node.op != op or node.domain or len(node.inputs) != 2:
            return None
        flows = self.folding.flows
        inner = next((n for n in node.inputs if n in flows), "")
        other = next((n for n in node.inputs if n not in flows), "")
        if not inner or not other or len(flows[inner][1]) < 2:
            return None
        array, sizes = self.folding.array(other), flows[inner][1]
        behind = array.shape[1 - len(sizes) :]
        known = array.ndim in (len(sizes) - 1, len(sizes)) and array.size == sizes[1]
        return (inner, other) if known and behind[0] == sizes[1] else None

    def _vector(self, name: str) -> str:
        array = self.folding.array(name)
        return name if array.ndim == 1 else self.folding.constant(array.reshape(-1), name)
