"""Matrix products: Gemm, MatMul and their sums with a bias."""

from __future__ import annotations

from math import prod

import numpy as np

from deepdsl.graph.arithmetic import Add
from deepdsl.graph.gemm import Gemm
from deepdsl.graph.matmul import MatMul, Transpose
from deepdsl.nn.layers.activations.relu_variants import Relu
from deepdsl.nn.layers.dense import Dense
from deepdsl.transfer.onnx_import.conversion import Conversion, Weight, converts
from deepdsl.transfer.onnx_import.dims import is_rows, sized
from deepdsl.transfer.onnx_import.graph import OnnxNode
from deepdsl.transfer.onnx_import.layers import Product


def dense(at: Conversion, x: int, weight: Weight, bias: Weight | None) -> int:
    """x @ weight [+ bias] along the last axis, whatever axes are before it."""
    rows = [axis for axis, n in enumerate(_sizes(at, x)) if is_rows(n)]
    if rows[0]:
        # The rows first, as the layer has them; permutations in a row are one.
        order = (rows[0], *(a for a in range(at.type(x).rank) if a != rows[0]))
        made = dense(at, at.permute(x, order), weight, bias)
        return at.permute(made, [order.index(a) for a in range(len(order))])
    given = at.type(x)
    inputs, units = weight.array.shape
    assert given.shape[-1] == inputs
    weights = {"weight": weight} | ({"bias": bias} if bias else {})
    if given.rank == 2:
        return at.layer(Dense(units, bias=bias is not None), x, weights=weights)
    sizes = _sizes(at, x)
    per = Dense(units, bias=bias is not None, per="position")
    if given.rank == 3:
        return at.layer(per, x, weights=weights)
    joined = at.reshape(x, (sizes[0], prod(sizes[1:-1]), inputs))
    return at.reshape(at.layer(per, joined, weights=weights), (*sizes[:-1], units))


def _sizes(at: Conversion, x: int) -> tuple[int, ...]:
    return sized(at.type(x).shape)


@converts("Gemm", "com.microsoft.FusedGemm")
def gemm(at: Conversion, node: OnnxNode) -> bool:
    """alpha op(A) op(B) + beta C; constant factors become part of the weights."""
    a, b, c = (node.input(n) for n in range(3))
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    if node.get("activation", "") not in ("", "Relu"):
        return False
    if not at.flows(a) or at.flows(b) or (c and at.flows(c)):
        return _flowing_gemm(at, node)
    x = at.number(a)
    if node.get("transA", 0):
        x = at.permute(x, (1, 0))
    weight = at.array(b).T if node.get("transB", 0) else at.array(b)
    units = weight.shape[1]
    factor = weight if alpha == 1 else np.float32(alpha) * weight
    bias, behind = None, None
    if c:
        added = at.array(c) if beta == 1 else np.float32(beta) * at.array(c)
        if prod(added.shape[:-1]) == 1:
            bias = at.weight(c, np.broadcast_to(added.reshape(-1), (units,)))
        else:
            behind = at.weight(c, added)
    made = dense(at, x, at.weight(b, factor), bias)
    if behind is not None:
        made = at.with_weight(Add(), made, behind, "bias")
    return at.give(node, at.layer(Relu(), made) if node.get("activation", "") else made)


def _flowing_gemm(at: Conversion, node: OnnxNode) -> bool:
    """Both factors flow, or what is added does."""
    a, b, c = (node.input(n) for n in range(3))
    if node.get("alpha", 1.0) != 1 or (c and node.get("beta", 1.0) != 1) or node.domain:
        return False
    if at.flows(a) and not at.flows(b) and c and at.flows(c) and not node.get("transA", 0):
        weight = at.array(b).T if node.get("transB", 0) else at.array(b)
        made = dense(at, at.number(a), at.weight(b, weight), None)
        return at.give(node, at.compute(Add(), made, at.number(c)))
    if not (at.flows(a) and at.flows(b)):
        return False
    op = Gemm(bool(node.get("transA", 0)), bool(node.get("transB", 0)))
    inputs = [at.number(n) for n in (a, b, c) if n and at.flows(n)]
    if c and not at.flows(c):
        return False
    return at.give(node, at.compute(op, *inputs))


@converts("MatMul", "com.microsoft.FusedMatMul")
def mat_mul(at: Conversion, node: OnnxNode) -> bool:
    a, b = node.inputs[:2]
    if node.domain and (
        node.get("alpha", 1.0) != 1 or node.get("transBatchA", 0) or node.get("transBatchB", 0)
    ):
        return False
    turn_a, turn_b = node.get("transA", 0), node.get("transB", 0)
    if at.flows(a) and at.flows(b):
        x, y = at.number(a), at.number(b)
        x, y = (_turned(at, v) if turn else v for v, turn in ((x, turn_a), (y, turn_b)))
        same = at.type(x).rank == at.type(y).rank > 2
        if same and at.type(x).shape[:-2] == at.type(y).shape[:-2]:
            return at.give(node, at.compute(MatMul(), x, y))
        return at.give(node, at.compute(Product(), x, y))
    if at.flows(a):
        array = at.array(b)
        array = np.swapaxes(array, -1, -2) if turn_b else array
        x = _turned(at, at.number(a)) if turn_a else at.number(a)
        if array.ndim == 2:
            return at.give(node, dense(at, x, at.weight(b, array), None))
        if array.ndim == 1:
            made = dense(at, x, at.weight(b, array[:, None]), None)
            return at.give(node, at.reshape(made, at.sizes(node.outputs[0])))
        return at.give(node, at.with_weight(Product(), x, at.weight(b, array)))
    if turn_a or turn_b or at.array(a).ndim < 2:
        return False
    made = at.with_weight(Product(), at.number(b), at.weight(a), first=True)
    return at.give(node, made)


def _turned(at: Conversion, x: int) -> int:
    rank = at.type(x).rank
    order = (*range(rank - 2), rank - 1, rank - 2)
    return at.permute(x, order) if order[0] == 0 else at.compute(Transpose(order), x)


@converts("deepdsl.Dense")
def summed_product(at: Conversion, node: OnnxNode) -> bool:
    """MatMul and Add: x, the weights, the bias."""
    x, w, b = node.inputs
    weight, bias = at.array(w), at.array(b)
    given = at.weight(b, np.broadcast_to(bias.reshape(-1), (weight.shape[1],)))
    return at.give(node, dense(at, at.number(x), at.weight(w), given))
