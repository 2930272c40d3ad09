"""What moves numbers and leaves their values alone."""

from __future__ import annotations

import numpy as np

from deepdsl.graph.arithmetic import Cast
from deepdsl.graph.concatenation import Concatenate
from deepdsl.nn.layers.embedding import Embedding
from deepdsl.nn.layers.image_reshaping import SplitLayer, Surround, Within, ZeroPad
from deepdsl.nn.layers.reshaping import Concat
from deepdsl.transfer.onnx_import.conversion import DTYPES, Conversion, converts, dtype_of, nested
from deepdsl.transfer.onnx_import.dims import is_rows, sized, typed
from deepdsl.transfer.onnx_import.graph import OnnxNode
from deepdsl.transfer.onnx_import.inference import INT64
from deepdsl.transfer.onnx_import.layers import ForEachRow, NumbersForEachRow, Step, Widen


@converts("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(at: Conversion, node: OnnxNode) -> bool:
    return at.give(node, at.reshape(at.number(node.inputs[0]), at.sizes(node.outputs[0])))


@converts("Transpose")
def transpose(at: Conversion, node: OnnxNode) -> bool:
    rank = len(at.sizes(node.inputs[0]))
    order = node.get("perm") or list(range(rank))[::-1]
    return at.give(node, at.permute(at.number(node.inputs[0]), order))


@converts("Identity")
def identity(at: Conversion, node: OnnxNode) -> bool:
    return at.give(node, at.number(node.inputs[0]))


@converts("Cast")
def cast(at: Conversion, node: OnnxNode) -> bool:
    code = at.folding.flows[node.outputs[0]][0]
    return at.give(node, at.compute(Cast(DTYPES[code]), at.number(node.inputs[0])))


@converts("Concat")
def concat(at: Conversion, node: OnnxNode) -> bool:
    inputs = [at.number(n) for n in node.inputs]
    if len(inputs) == 1:
        return at.give(node, inputs[0])
    sizes = at.sizes(node.outputs[0])
    axis = int(node.get("axis", 1)) % len(sizes)
    if is_rows(sizes[axis]):
        return False
    if axis == 1 and is_rows(sizes[0]):
        return at.give(node, at.layer(Concat(), *inputs))
    return at.give(node, at.compute(Concatenate(axis), *inputs))


@converts("Split")
def split(at: Conversion, node: OnnxNode) -> bool:
    sizes = at.sizes(node.inputs[0])
    axis = int(node.get("axis", 0)) % len(sizes)
    if is_rows(sizes[axis]):
        return False
    pieces = tuple(at.sizes(n)[axis] for n in node.outputs if n)
    if len(pieces) != len(node.outputs):
        return False
    x, begin = at.number(node.inputs[0]), 0
    for number, (piece, _) in enumerate(zip(pieces, node.outputs, strict=True)):
        end = sizes[axis] - begin - piece
        if axis == 1 and is_rows(sizes[0]):
            given = len(pieces) if len(set(pieces)) == 1 and len(pieces) > 1 else pieces
            made = at.layer(SplitLayer(given, part=number + 1), x)
        else:
            made = within(at, x, axis, begin, end)
        at.give(node, made, number)
        begin += piece
    return True


def within(at: Conversion, x: int, axis: int, begin: int, end: int) -> int:
    """The value without so much of an axis in front and after."""
    if not begin and not end:
        return x
    rank = at.type(x).rank
    begins, ends = ([n if a == axis else 0 for a in range(rank)] for n in (begin, end))
    return at.compute(Within(tuple(begins), tuple(ends)), x)


@converts("Slice")
def cut(at: Conversion, node: OnnxNode) -> bool:
    sizes = at.sizes(node.inputs[0])
    starts, ends = at.integers(node, 1, "starts"), at.integers(node, 2, "ends")
    if starts is None or ends is None:
        return False
    axes = at.integers(node, 3, "axes")
    axes = list(range(len(starts))) if axes is None else axes
    steps = at.integers(node, 4, "steps") or [1] * len(starts)
    x = at.number(node.inputs[0])
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= len(sizes)
        if step < 1:
            return False
        size = sizes[axis]
        first, last, _ = slice(start, end).indices(size)
        if is_rows(size):
            if (first, step) != (0, 1) or last != size:
                return False
            continue
        x = within(at, x, axis, first, size - last)
        if step > 1:
            x = at.compute(Step(axis, step), x)
    return at.give(node, x)


@converts("Gather")
def gather(at: Conversion, node: OnnxNode) -> bool:
    """A place of an axis, neighbours along it, or the rows of a table."""
    data, indices = node.inputs[:2]
    axis = int(node.get("axis", 0))
    if not at.flows(data):
        return _embedded(at, node) if axis == 0 else False
    if at.flows(indices):
        return False
    sizes, places = at.sizes(data), at.array(indices)
    axis %= len(sizes)
    size = sizes[axis]
    if is_rows(size) or not places.size:
        return False
    flat = [int(n) + size * int(n < 0) for n in places.reshape(-1)]
    step = flat[1] - flat[0] if len(flat) > 1 else 1
    if step < 1 or flat != list(range(flat[0], flat[0] + step * len(flat), step)):
        return False
    x = within(at, at.number(data), axis, flat[0], size - 1 - flat[-1])
    if step > 1:
        x = at.compute(Step(axis, step), x)
    return at.give(node, at.reshape(x, at.sizes(node.outputs[0])))


def _embedded(at: Conversion, node: OnnxNode) -> bool:
    table, indices = at.array(node.inputs[0]), at.number(node.inputs[1])
    if table.ndim != 2 or table.dtype != np.float32:
        return False
    if at.folding.flows[node.inputs[1]][0] != INT64:
        indices = at.compute(Cast("i64"), indices)
    weights = {"weight": at.weight(node.inputs[0])}
    return at.give(node, at.layer(Embedding(*table.shape), indices, weights=weights))


@converts("Pad")
def pad(at: Conversion, node: OnnxNode) -> bool:
    """Zeros; another number, and a mirror, have no layer."""
    value = at.scalar(node, 2, "value", 0.0)
    pads = node.get("paddings") if node.version < 2 else at.integers(node, 1, "pads")
    if node.get("mode", "constant") != "constant" or value != 0 or pads is None:
        return False
    sizes = at.sizes(node.inputs[0])
    rank = len(sizes)
    axes = at.integers(node, 3, "axes") if node.input(3) else list(range(rank))
    if axes is None:
        return False
    begins, ends = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        begins[axis % rank], ends[axis % rank] = pads[i], pads[i + len(axes)]
    if begins[0] or ends[0]:
        return False
    x = at.number(node.inputs[0])
    cuts = [(max(0, -b), max(0, -e)) for b, e in zip(begins, ends, strict=True)]
    for axis, (begin, end) in enumerate(cuts):
        x = within(at, x, axis, begin, end)
    begins, ends = [max(0, b) for b in begins], [max(0, e) for e in ends]
    if not any((*begins, *ends)):
        return at.give(node, x)
    if rank in (3, 4) and not begins[1] and not ends[1] and is_rows(sizes[0]):
        sides = tuple(n for pair in zip(begins[2:], ends[2:], strict=True) for n in pair)
        given = sides[:1] if len(set(sides)) == 1 else sides
        return at.give(node, at.layer(ZeroPad(given), x))
    return at.give(node, at.compute(Surround(tuple(begins), tuple(ends)), x))


@converts("deepdsl.Expand")
def expand(at: Conversion, node: OnnxNode) -> bool:
    have, want = at.sizes(node.inputs[0]), at.sizes(node.outputs[0])
    x = at.number(node.inputs[0])
    if len(have) != len(want):
        x = at.reshape(x, (1,) * (len(want) - len(have)) + have)
    if any(is_rows(n) and n != h for n, h in zip(want, sized(at.type(x).shape), strict=True)):
        return False
    return at.give(node, at.compute(Widen(typed(want)), x))


@converts("Tile")
def tile(at: Conversion, node: OnnxNode) -> bool:
    """Repeats of axes of size 1."""
    have, want = at.sizes(node.inputs[0]), at.sizes(node.outputs[0])
    if any(h not in (1, w) for h, w in zip(have, want, strict=True)):
        return False
    if any(is_rows(w) and w != h for h, w in zip(have, want, strict=True)):
        return False
    x = at.number(node.inputs[0])
    return at.give(node, x if have == want else at.compute(Widen(typed(want)), x))


@converts("deepdsl.Repeat")
def repeat(at: Conversion, node: OnnxNode) -> bool:
    """A constant for each row: a learned token, or the kinds of tokens."""
    weight = at.weight(node.inputs[0])
    if weight.array.dtype != np.float32:
        numbers = NumbersForEachRow(nested(weight.array.tolist()), dtype_of(weight.array))
        return at.give(node, at.layer(numbers, 0))
    layer = ForEachRow(weight.array.shape[1:])
    return at.give(node, at.layer(layer, 0, weights={"weight": weight}))
