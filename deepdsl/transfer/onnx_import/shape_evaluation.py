"""Operators that sizes and constants are made with, which may leave no operator after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from deepdsl.graph import by_times
from deepdsl.transfer.onnx_import.dims import ROWS, is_rows, reshaped, typed
from deepdsl.transfer.onnx_import.folding import OURS, Folding, large
from deepdsl.transfer.onnx_import.graph import OnnxNode, array_of_constant, node_of
from deepdsl.transfer.onnx_import.inference import (
    MOST_NUMBERS,
    Array,
    NotTaken,
    Uncertain,
    single,
    singled,
)


def _identity(at: Folding, node: OnnxNode) -> bool:
    return at.same(node, node.inputs[0])


def _cast(at: Folding, node: OnnxNode) -> bool:
    name = node.inputs[0]
    return name in at.flows and single(node.get("to")) == at.flows[name][0] and at.same(node, name)


def _sizes(at: Folding, name: str) -> tuple[int, ...] | None:
    if name in at.flows:
        return at.flows[name][1]
    if name in at.repeated:
        return (ROWS, *at.array(name).shape[1:])
    return None


def _shape(at: Folding, node: OnnxNode) -> bool:
    sizes = _sizes(at, node.inputs[0])
    if sizes is None:
        return False
    end = node.get("end")
    part = sizes[slice(node.get("start", 0), end)]
    whole = np.asarray(part, np.int64) if node.op == "Shape" else np.asarray(prod(sizes))
    at.arrays[node.outputs[0]] = whole
    if large(whole):
        at.by_rows.add(node.outputs[0])
    return True


def _reshape(at: Folding, node: OnnxNode) -> bool:
    name = node.inputs[0]
    if name in at.repeated:
        name = at.repeat(name)
    if name not in at.flows:
        return False
    code, sizes = at.flows[name]
    if node.version < 5:
        target = list(node.get("shape", []))
    else:
        if not at.is_constant(node.inputs[1]):
            raise Uncertain("its shape is only known when it is run")
        target = [int(n) for n in at.array(node.inputs[1]).reshape(-1)]
    inside = at.inside.get(name, 1)
    made = reshaped(sizes, target, at.batch, bool(node.get("allowzero", 0)), inside)
    if made is None:
        told = by_times(typed(sizes))
        raise NotTaken(f"it cannot make {target} of {told}")
    if made == sizes:
        return at.same(node, name)
    at.keep(replace(node, inputs=[name]), [(code, made)])
    return True


def _expand(at: Folding, node: OnnxNode) -> bool:
    name, shape = node.inputs[0], node.inputs[1]
    if not at.is_constant(shape):
        return False
    target = tuple(int(n) for n in at.array(shape))
    if name in at.flows:
        code, sizes = at.flows[name]
        rank = max(len(sizes), len(target))
        have, want = ((1,) * (rank - len(s)) + s for s in (sizes, target))
        made = tuple(w if h == 1 else h for h, w in zip(have, want, strict=True))
        if made == sizes:
            return at.same(node, name)
        at.keep(replace(node, inputs=[name], domain=OURS), [(code, made)])
        return True
    array = at.array(name)
    if name in at.repeated or not any(map(is_rows, target)):
        return False
    if not is_rows(target[0]):
        # A first state of a recurrent layer, [directions, batch, units].
        once = np.broadcast_shapes(array.shape, tuple(1 if is_rows(n) else n for n in target))
        at.arrays[node.outputs[0]] = np.broadcast_to(array, once)
        at.origin[node.outputs[0]] = at.origin.get(name, name)
        return True
    if target[0] != ROWS:
        raise Uncertain("it makes several rows of each")
    lead = array.reshape((1,) * (len(target) - array.ndim) + array.shape)
    one = np.broadcast_to(lead, np.broadcast_shapes(lead.shape, (1, *target[1:])))
    return _repeats(at, node, one)


def _constant_of_shape(at: Folding, node: OnnxNode) -> bool:
    name = node.inputs[0]
    if name not in at.by_rows:
        return False
    target = [int(n) for n in at.array(name)]
    value = node.get("value")
    filled = np.zeros(1, np.float32) if value is None else array_of_constant(value)
    if target[0] == ROWS:
        return _repeats(at, node, np.full((1, *target[1:]), singled(filled)[0]))
    # A first state of a recurrent layer, [directions, batch, units].
    at.arrays[node.outputs[0]] = np.full([1 if is_rows(n) else n for n in target], filled[0])
    return True


def _repeats(at: Folding, node: OnnxNode, array: Array) -> bool:
    if array.size > MOST_NUMBERS:
        raise Uncertain(f"it makes {array.size:,} numbers of constants")
    at.arrays[node.outputs[0]] = array
    at.repeated.add(node.outputs[0])
    if node.op == "Expand":
        at.origin[node.outputs[0]] = at.origin.get(node.inputs[0], node.inputs[0])
    return True


def _if(at: Folding, node: OnnxNode) -> bool:
    """A condition that is known takes one of the two bodies."""
    if not at.is_constant(node.inputs[0]):
        return False
    body = node.get("then_branch" if bool(at.array(node.inputs[0]).all()) else "else_branch")
    at.knows({t.name: t for t in body.initializer})
    for proto in body.node:
        at.visit(node_of(proto, at.graph.versions))
    for name, value in zip(node.outputs, body.output, strict=True):
        at.stands_for(name, value.name)
    return True


def _concat(at: Folding, node: OnnxNode) -> bool:
    """A constant for one row beside values with rows is one for each."""
    flows = [n for n in node.inputs if n in at.flows]
    if not flows or not is_rows(at.flows[flows[0]][1][0]):
        return False
    axis = node.get("axis", 1)
    for i, name in enumerate(node.inputs):
        if name in at.flows or name in at.repeated:
            continue
        if at.array(name).shape[0] == (at.batch or 1) == 1 and axis != 0:
            node.inputs[i] = at.repeat(name)
    return False


def _slice(at: Folding, node: OnnxNode) -> bool:
    """All rows of a fixed batch are all rows."""
    name = node.inputs[0]
    if name not in at.flows or at.batch is None or node.version < 10 or len(node.inputs) < 4:
        return False
    if not all(at.is_constant(n) for n in node.inputs[1:4]):
        return False
    starts, ends, axes = (at.array(n).reshape(-1) for n in node.inputs[1:4])
    made = ends.copy()
    for i, axis in enumerate(axes):
        rows = is_rows(at.flows[name][1][axis])
        if rows and starts[i] == 0 and ends[i] == at.batch:
            made[i] = np.iinfo(made.dtype).max
    node.inputs[2] = at.constant(made)
    return False


def _resize(at: Folding, node: OnnxNode) -> bool:
    """Sizes become factors, which hold for any batch."""
    name, sizes = node.inputs[0], node.input(3)
    if name not in at.flows or not sizes or not at.is_constant(sizes) or node.get("axes"):
        return False
    if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        return False
    factors = []
    for have, want in zip(at.flows[name][1], at.array(sizes).astype(np.int64), strict=True):
        factor = np.float32(1.0 if is_rows(have) else want / have)
        while not is_rows(have) and int(np.floor(np.float32(have) * factor)) < want:
            factor = np.nextafter(factor, np.float32(np.inf))
        factors.append(factor)
    scales = at.constant(np.asarray(factors, np.float32))
    node.inputs[:] = [name, node.input(1), scales]
    return False


SPECIAL: dict[str, Callable[[Folding, OnnxNode], Any]] = {
    "Identity": _identity,
    "Cast": _cast,
    "Shape": _shape,
    "Size": _shape,
    "Reshape": _reshape,
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
    "If": _if,
    "Concat": _concat,
    "Slice": _slice,
    "Resize": _resize,
}
