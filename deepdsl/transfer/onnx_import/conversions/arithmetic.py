"""Arithmetic: sums and products of what flows, and with numbers and tensors of the file."""

from __future__ import annotations

import math

import numpy as np

from deepdsl.graph import Op, Role
from deepdsl.graph import arithmetic as ops
from deepdsl.graph.reductions import ArgMax, ReduceMean
from deepdsl.graph.reshaping import ReduceSum
from deepdsl.nn.layers.merging import Mean, Multiply
from deepdsl.nn.layers.pooling import GlobalAvgPool, GlobalMaxPool
from deepdsl.nn.layers.reshaping import AddLayer
from deepdsl.transfer.onnx_import.conversion import Array, Conversion, converts
from deepdsl.transfer.onnx_import.dims import is_rows, sized
from deepdsl.transfer.onnx_import.graph import OnnxNode
from deepdsl.transfer.onnx_import.layers import Choice, Reciprocal

_BINARY: dict[str, Op] = {
    "Add": ops.Add(),
    "Sub": ops.Sub(),
    "Mul": ops.Mul(),
    "Div": ops.Div(),
    "Max": ops.Maximum(),
    "Min": ops.Minimum(),
    "Greater": ops.Greater(),
    "Less": ops.Less(),
    "Equal": ops.Equal(),
}


@converts("Add", "Sub", "Mul", "Div", "Max", "Min", "Greater", "Less", "Equal", "Sum")
def binary(at: Conversion, node: OnnxNode) -> bool:
    """Two or more operands, from the left."""
    if node.version < 7 and node.get("broadcast", 0) and node.op in ("Add", "Sub", "Mul", "Div"):
        return False
    first, *others = node.inputs
    if not others:
        return at.give(node, at.number(first))
    op = "Add" if node.op == "Sum" else node.op
    made = first if at.flows(first) else ""
    if not made:
        # What flows comes first where the order does not matter.
        flowing = next(n for n in others if at.flows(n))
        if op in ("Add", "Mul", "Max", "Min", "Equal"):
            others.remove(flowing)
            others.insert(0, first)
            made = flowing
        else:
            return at.give(node, _constant_first(at, op, first, flowing))
    x = at.number(made)
    for name in others:
        x = _two(at, op, x, at.number(name)) if at.flows(name) else _with(at, op, x, name)
    return at.give(node, x)


def _two(at: Conversion, op: str, x: int, y: int) -> int:
    """Two values that flow: a layer of the language where it takes them."""
    a, b = at.type(x), at.type(y)
    if a.dtype == "f32" and at.type(0).shape[0] == a.shape[0] == b.shape[0]:
        if op == "Add" and a.shape == b.shape:
            return at.layer(AddLayer(), x, y)
        if op == "Mul" and a.rank == b.rank and a.rank > 1:
            gates = [
                s
                for s, w in ((a, b), (b, a))
                if all(g in (d, 1) for g, d in zip(s.shape, w.shape, strict=True))
            ]
            if gates:
                return at.layer(Multiply(), x, y)
    return at.compute(_BINARY[op], x, y)


def _with(at: Conversion, op: str, x: int, name: str) -> int:
    """A value and a constant of the file after it."""
    array = at.array(name)
    if array.size == 1 and array.ndim <= at.type(x).rank and array.dtype == np.float32:
        number = float(array.reshape(-1)[0])
        if (op, number) in (("Mul", 1.0), ("Div", 1.0), ("Add", 0.0), ("Sub", 0.0)):
            return x
        if op == "Sub":
            return at.with_number(ops.Add(), x, -number)
        if op == "Div" and abs(math.frexp(number)[0]) == 0.5:  # a power of 2: the same bits
            return at.with_number(ops.Mul(), x, 1 / number)
        return at.with_number(_BINARY[op], x, number)
    weight, role = at.weight(name), _role(op, array)
    if op == "Add" and role == "constant":
        weight = at.weight(name, _bounded(array))
    if op == "Sub":
        return at.with_weight(ops.Add(), x, at.weight(name, -array), role)
    if op == "Div" and array.dtype == np.float32 and np.abs(array).min(initial=1) > 0:
        return at.with_weight(ops.Mul(), x, at.weight(name, 1 / array), role)
    return at.with_weight(_BINARY[op], x, weight, role)


def _constant_first(at: Conversion, op: str, name: str, flowing: str) -> int:
    x, array = at.number(flowing), at.array(name)
    if array.size == 1 and array.ndim <= at.type(x).rank and array.dtype == np.float32:
        number = float(array.reshape(-1)[0])
        if op == "Div" and number == 1:
            return at.compute(Reciprocal(), x)
        return at.with_number(_BINARY[op], x, number, first=True)
    return at.with_weight(_BINARY[op], x, at.weight(name), _role(op, array), first=True)


def _role(op: str, array: Array) -> Role:
    """Decay leaves factors of channels and what is added alone; a mask is not trained."""
    if op not in ("Add", "Sub", "Mul", "Div") or _is_mask(op, array):
        return "constant"
    return "bias" if op in ("Add", "Sub") else "norm"


def _is_mask(op: str, array: Array) -> bool:
    """Whether what is added closes places of an attention: with -inf, or a number like -10000."""
    return op == "Add" and array.dtype == np.float32 and bool(array.min(initial=0) <= _CLOSED)


_CLOSED = -9999.0


@converts("Mean")
def mean(at: Conversion, node: OnnxNode) -> bool:
    inputs = [at.number(n) for n in node.inputs]
    return at.give(node, inputs[0] if len(inputs) == 1 else at.layer(Mean(), *inputs))


_UNARY: dict[str, Op] = {
    "Neg": ops.Neg(),
    "Exp": ops.Exp(),
    "Log": ops.Log(),
    "Sqrt": ops.Sqrt(),
    "Erf": ops.Erf(),
    "Abs": ops.Abs(),
    "Sign": ops.Sign(),
    "Floor": ops.Floor(),
    "Cos": ops.Cos(),
    "Reciprocal": Reciprocal(),
}


def _unary(at: Conversion, node: OnnxNode) -> bool:
    if at.folding.flows[node.inputs[0]][0] != 1:
        return False
    return at.give(node, at.compute(_UNARY[node.op], at.number(node.inputs[0])))


for _name in _UNARY:
    converts(_name)(_unary)


@converts("Sin")
def sine(at: Conversion, node: OnnxNode) -> bool:
    """sin(x) = cos(x - pi / 2)."""
    turned = at.with_number(ops.Add(), at.number(node.inputs[0]), -math.pi / 2)
    return at.give(node, at.compute(ops.Cos(), turned))


@converts("Pow")
def power(at: Conversion, node: OnnxNode) -> bool:
    """Squares and roots; other powers of numbers that are not positive have no gradient here."""
    exponent, x = at.constant(node, 1), at.number(node.inputs[0])
    if exponent is None or exponent.size != 1 or at.type(x).dtype != "f32":
        return False
    number = float(exponent.reshape(-1)[0])
    if number == 1:
        return at.give(node, x)
    if number == 2:
        return at.give(node, at.compute(ops.Mul(), x, x))
    if number == 3:
        return at.give(node, at.compute(ops.Mul(), at.compute(ops.Mul(), x, x), x))
    if number == -1:
        return at.give(node, at.compute(Reciprocal(), x))
    if number == 0.5:
        return at.give(node, at.compute(ops.Sqrt(), x))
    if number == -0.5:
        return at.give(node, at.compute(Reciprocal(), at.compute(ops.Sqrt(), x)))
    return False


@converts("Where")
def where(at: Conversion, node: OnnxNode) -> bool:
    """Of two values one at least flows; the other may be a number."""
    condition, *values = node.inputs
    flowing = [at.number(n) for n in values if at.flows(n)]
    if len(flowing) == 2 and at.flows(condition):
        return at.give(node, at.compute(ops.Where(), at.number(condition), *flowing))
    numbers = [None if at.flows(n) else _single(at.array(n)) for n in values]
    known = len(flowing) + sum(n is not None for n in numbers)
    if not flowing or known < 2 or at.type(flowing[0]).dtype != "f32":
        return False
    if at.flows(condition):
        layer = Choice(None, *numbers)
        return at.give(node, at.layer(layer, at.number(condition), *flowing))
    mask = at.weight(condition, at.array(condition).astype(np.float32))
    layer = Choice(mask.array.shape, *numbers)
    return at.give(node, at.layer(layer, *flowing, weights={"weight": mask}))


def _single(array: Array) -> float | None:
    """The number that a constant is everywhere."""
    if array.dtype != np.float32 or not array.size or np.any(array != array.reshape(-1)[0]):
        return None
    return float(_bounded(array.reshape(-1)[0]))


def _bounded(array: Array) -> Array:
    """Numbers of a mask: the lowest of float32 for what is less than all numbers.

    After a softmax both are 0; a weight that is infinite would be taken for a broken one.
    """
    return np.maximum(array, np.finfo(np.float32).min)


# Over axes ----------------------------------------------------------------------------------------


@converts("ReduceMean", "ReduceSum", "ReduceMax", "ReduceSumSquare", "ReduceL2")
def reduce(at: Conversion, node: OnnxNode) -> bool:
    sizes, x = at.sizes(node.inputs[0]), at.number(node.inputs[0])
    given = at.integers(node, 1, "axes")
    if given is None and node.input(1):
        return False
    if not given:
        if node.get("noop_with_empty_axes", 0):
            return at.give(node, x)
        given = list(range(len(sizes)))
    axes = tuple(sorted(a % len(sizes) for a in given))
    if any(is_rows(sizes[a]) for a in axes) or at.type(x).dtype != "f32":
        return False
    out, image = at.sizes(node.outputs[0]), axes == tuple(range(2, len(sizes)))
    image = image and len(sizes) in (3, 4, 5) and is_rows(sizes[0])
    if node.op == "ReduceMean" and image:
        return at.give(node, at.reshape(at.layer(GlobalAvgPool(), x), out))
    if node.op == "ReduceMax":
        if image:
            return at.give(node, at.reshape(at.layer(GlobalMaxPool(), x), out))
        return _largest(at, node, x, axes)
    if node.op in ("ReduceSumSquare", "ReduceL2"):
        x = at.compute(ops.Mul(), x, x)
    op = ReduceMean(axes) if node.op == "ReduceMean" else ReduceSum(axes)
    made = at.compute(op, x)
    if node.op == "ReduceL2":
        made = at.compute(ops.Sqrt(), made)
    return at.give(node, at.reshape(made, out))


def _largest(at: Conversion, node: OnnxNode, x: int, axes: tuple[int, ...]) -> bool:
    """Along one axis, as a pool over a line: [N, all before, the axis] with what is after it
    moved in front.
    """
    sizes = sized(at.type(x).shape)
    if len(axes) != 1 or not is_rows(sizes[0]):
        return False
    (axis,) = axes
    rest = [a for a in range(1, len(sizes)) if a != axis]
    x = at.permute(x, (0, *rest, axis))
    line = at.reshape(x, (sizes[0], int(np.prod([sizes[a] for a in rest])), sizes[axis]))
    made = at.layer(GlobalMaxPool(), line)
    return at.give(node, at.reshape(made, at.sizes(node.outputs[0])))


@converts("ArgMax")
def arg_max(at: Conversion, node: OnnxNode) -> bool:
    sizes = at.sizes(node.inputs[0])
    axis = int(node.get("axis", 0)) % len(sizes)
    if is_rows(sizes[axis]) or node.get("select_last_index", 0):
        return False
    made = at.compute(ArgMax(axis), at.number(node.inputs[0]))
    return at.give(node, at.reshape(made, at.sizes(node.outputs[0])))
