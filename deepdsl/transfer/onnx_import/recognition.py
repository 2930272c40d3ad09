"""Recognizes activations and norms that a graph has written out, by what they calculate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.transfer.onnx_import.dims import ROWS, is_rows
from deepdsl.transfer.onnx_import.folding import OURS, Folding
from deepdsl.transfer.onnx_import.graph import OnnxNode
from deepdsl.transfer.onnx_import.inference import FLOAT

Numbers = NDArray[np.float64]

# At most this many operators are one activation or norm.
LARGEST = 24
# What takes the mean away: it, its shape, and a difference.
_CENTERING = 4
# Rows of numbers on which a norm is calculated.
_SAMPLES = 6


def _erf(x: Numbers) -> Numbers:
    return np.vectorize(math.erf, otypes=[np.float64])(x)  # type: ignore[no-any-return]


def _sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))


_ONE: dict[str, Callable[[Numbers], Numbers]] = {
    "Erf": _erf,
    "Tanh": np.tanh,
    "Sigmoid": _sigmoid,
    "Exp": np.exp,
    "Log": np.log,
    "Sqrt": np.sqrt,
    "Neg": np.negative,
    "Abs": np.abs,
    "Reciprocal": lambda x: 1 / x,
    "Relu": lambda x: np.maximum(x, 0),
    "Softplus": lambda x: np.logaddexp(x, 0),
}
_TWO: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Max": np.maximum,
    "Min": np.minimum,
}
_REDUCING: dict[str, Callable[..., Any]] = {
    "ReduceMean": np.mean,
    "ReduceSum": np.sum,
    "ReduceMax": np.max,
}
_REDUCED = frozenset(_REDUCING)
_SHAPED = frozenset({"Reshape", "Unsqueeze", "Squeeze", "Expand"})
# The operators that groups end with.
CALCULATED = frozenset(_TWO) | {"Clip", "HardSigmoid"}
_KNOWN = frozenset(_ONE) | CALCULATED | _REDUCED | _SHAPED


@dataclass
class Cone:
    """Operators between one value and another, and the one that means them."""

    node: OnnxNode
    inside: list[OnnxNode]


def recognized(
    folding: Folding, makers: Mapping[str, OnnxNode], node: OnnxNode, uses: Counter[str]
) -> Cone | None:
    """The largest group that ends with a node and is an activation or norm that has a layer; of two
    norms in a row, which make what one of them makes, the second.
    """
    order = {id(n): i for i, n in enumerate(folding.nodes)}
    inside, frontier = [node], set(_flowing(folding, node))
    best: Cone | None = None
    while len(inside) <= LARGEST:
        if len(frontier) == 1:
            (x,) = frontier
            found = _named(folding, node, inside, x)
            if found is not None and _is_better(found, inside, best):
                best = Cone(replace(found, group=tuple(inside[::-1])), list(inside))
        known = [n for n in frontier if _goes_on(makers.get(n)) and id(makers[n]) in order]
        if not known:
            break
        last = max(known, key=lambda n: order[id(makers[n])])
        inside.append(makers[last])
        frontier.remove(last)
        frontier.update(_flowing(folding, makers[last]))
    return best


def _is_better(found: OnnxNode, inside: list[OnnxNode], best: Cone | None) -> bool:
    """Whether a larger group is one thing and not two."""
    norms = ("LayerNorm", "RmsNorm")
    if best is None or best.node.op not in norms or found.op not in norms:
        return True
    # A layer norm is an rms norm of what is centered, by a mean and a difference.
    return best.node.op != found.op and len(inside) - len(best.inside) <= _CENTERING


def _goes_on(node: OnnxNode | None) -> bool:
    return node is not None and node.op in _KNOWN and node.domain in ("", OURS)


def _flowing(folding: Folding, node: OnnxNode) -> list[str]:
    return [n for n in node.read if n in folding.flows]


def _named(folding: Folding, out: OnnxNode, inside: list[OnnxNode], x: str) -> OnnxNode | None:
    """The operator that the group is."""
    code, _ = folding.flows[x]
    if code != FLOAT or len(inside) < 2 or folding.flows[out.outputs[0]] != folding.flows[x]:
        return None
    if any(n.op in _REDUCED for n in inside):
        return _of_rows(folding, out, inside, x)
    if any(folding.array(n).size > 1 for node in inside for n in _constants(folding, node)):
        return None
    return _of_numbers(folding, out, inside, x)


def _constants(folding: Folding, node: OnnxNode) -> list[str]:
    shapes = node.op in _SHAPED or node.op in _REDUCED
    return [] if shapes else [n for n in node.read if n not in folding.flows]


# Calculating --------------------------------------------------------------------------------------


def _calculated(folding: Folding, inside: list[OnnxNode], x: str, given: Numbers) -> Numbers:
    """What a group makes of numbers; the batch has as many rows as they have."""
    values: dict[str, Numbers] = {x: given}

    def value(name: str) -> Numbers:
        if name not in values:
            values[name] = np.asarray(folding.array(name), np.float64)
        return values[name]

    for node in reversed(inside):
        values[node.outputs[0]] = _applied(folding, node, value, len(given))
    return values[inside[0].outputs[0]]


def _applied(
    folding: Folding, node: OnnxNode, value: Callable[[str], Numbers], rows: int
) -> Numbers:
    first = value(node.inputs[0])
    if node.op in _ONE:
        return _ONE[node.op](first)
    if node.op in _TWO:
        made = first
        for name in node.inputs[1:]:
            made = _TWO[node.op](made, value(name))
        return made
    if node.op == "HardSigmoid":
        alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
        return np.asarray(np.clip(alpha * first + beta, 0, 1))
    if node.op == "Clip":
        low, high = (
            node.get(n) if n in node.attributes else value(node.input(i)) if node.input(i) else None
            for i, n in ((1, "min"), (2, "max"))
        )
        return np.asarray(np.clip(first, low, high))
    sizes = tuple(rows if is_rows(n) else n for n in folding.flows[node.outputs[0]][1])
    if node.op == "Expand":
        return np.broadcast_to(first, sizes)
    if node.op in _SHAPED:
        return first.reshape(sizes)
    given = node.get("axes")
    if given is None and node.input(1):
        given = value(node.inputs[1]).astype(int).reshape(-1).tolist()
    axes = tuple(range(first.ndim)) if given is None else tuple(given)
    made = _REDUCING[node.op](first, axis=axes, keepdims=bool(node.get("keepdims", 1)))
    return np.asarray(made, np.float64)


# Number by number ---------------------------------------------------------------------------------

_GRID: Numbers = np.concatenate([np.linspace(-9, 9, 73), np.asarray([-30.0, -0.01, 0.01, 30.0])])


def _swish(x: Numbers, beta: float = 1.0) -> Numbers:
    return x * _sigmoid(beta * x)


_FUNCTIONS: tuple[tuple[str, dict[str, object], Callable[[Numbers], Numbers]], ...] = (
    ("HardSwish", {}, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    ("Swish", {"alpha": 1.0}, _swish),
    ("Gelu", {}, lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2),
    (
        "Gelu",
        {"approximate": "tanh"},
        lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    ),
    ("Mish", {}, lambda x: x * np.tanh(np.logaddexp(x, 0))),
    ("Softplus", {}, lambda x: np.logaddexp(x, 0)),
    ("Softsign", {}, lambda x: x / (1 + np.abs(x))),
    ("Sigmoid", {}, _sigmoid),
    ("Relu", {}, lambda x: np.maximum(x, 0)),
    ("Clip", {"min": 0.0, "max": 6.0}, lambda x: np.clip(x, 0, 6)),
)


def _of_numbers(folding: Folding, out: OnnxNode, inside: list[OnnxNode], x: str) -> OnnxNode | None:
    if not folding.flows[x][1] or any(n.op in _SHAPED for n in inside):
        return None
    grid = _GRID.reshape(-1, *(1,) * (len(folding.flows[x][1]) - 1))
    with np.errstate(all="ignore"):
        made = _calculated(folding, inside, x, grid)
        if made.shape != grid.shape:
            return None
        made = made.reshape(-1)
        for name, attributes, function in _FUNCTIONS:
            if _alike(made, function(_GRID)):
                return _node(name, out, [x], dict(attributes))
        return _steeper(made, out, x)


def _steeper(made: Numbers, out: OnnxNode, x: str) -> OnnxNode | None:
    """swish with another beta: f(1) = sigmoid(beta)."""
    at_one = float(np.interp(1.0, _GRID[:73], made[:73]))
    if not 0.5 < at_one < 0.9999:
        return None
    beta = float(f"{math.log(at_one / (1 - at_one)):.6g}")
    return _node("Swish", out, [x], {"alpha": beta}) if _alike(made, _swish(_GRID, beta)) else None


def _alike(made: Numbers, wanted: Numbers) -> bool:
    # Constants of the file are float32, so that 1 / sqrt(2) has seven digits.
    return bool(np.all(np.abs(made - wanted) <= 2e-6 + 1e-6 * np.abs(wanted)))


def _node(name: str, out: OnnxNode, inputs: list[str], attributes: dict[str, object]) -> OnnxNode:
    domain = OURS if name in ("LayerNorm", "RmsNorm") else ""
    return OnnxNode(name, inputs, out.outputs, attributes, 20, domain, out.name)


# Row by row ---------------------------------------------------------------------------------------


def _of_rows(folding: Folding, out: OnnxNode, inside: list[OnnxNode], x: str) -> OnnxNode | None:
    """A softmax or a norm along the last axis."""
    sizes = folding.flows[x][1]
    if len(sizes) < 2 or sizes[-1] < 2 or sizes[0] != ROWS:
        return None
    # A shape with the whole batch in it has to be calculated whole; a few rows are enough.
    rows = 2 if len(sizes) > 2 else _SAMPLES
    rng = np.random.default_rng(0)
    given = rng.normal(0.3, 1.5, (rows, *sizes[1:]))
    if given.size > 2_000_000:
        return None
    with np.errstate(all="ignore"):
        try:
            made = _calculated(folding, inside, x, given)
        except (ValueError, IndexError):
            return None
        if made.shape != given.shape:
            return None
        shifted = np.exp(given - given.max(-1, keepdims=True))
        if _alike(made, shifted / shifted.sum(-1, keepdims=True)):
            return _node("Softmax", out, [x], {"axis": -1})
        return _norm(folding, out, inside, x, given, made)


def _norm(
    folding: Folding, out: OnnxNode, inside: list[OnnxNode], x: str, given: Numbers, made: Numbers
) -> OnnxNode | None:
    names = list(dict.fromkeys(n for node in inside for n in _constants(folding, node)))
    arrays = {n: np.asarray(folding.array(n), np.float64) for n in names}
    size = given.shape[-1]
    vectors = [n for n in names if arrays[n].size == size]
    small = [float(a.reshape(-1)[0]) for a in arrays.values() if a.size == 1]
    square = np.mean(given**2, -1, keepdims=True)
    variance = np.var(given, -1, keepdims=True)
    for epsilon in [e for e in small if 0 < e <= 0.1]:
        for name, centered, spread in (
            ("LayerNorm", given - given.mean(-1, keepdims=True), variance),
            ("RmsNorm", given, square),
        ):
            z = centered / np.sqrt(spread + epsilon)
            affine = _affine(arrays, vectors, z, made, name == "LayerNorm")
            if affine is not None:
                inputs = [x, affine[0] or "", affine[1] or ""]
                while not inputs[-1]:
                    inputs.pop()
                return _node(name, out, inputs, {"epsilon": epsilon, "axis": -1})
    return None


def _affine(
    arrays: Mapping[str, Numbers], vectors: list[str], z: Numbers, made: Numbers, shifts: bool
) -> tuple[str, str] | None:
    """The constants with which a norm is multiplied, and which are added."""
    for gamma in ["", *vectors]:
        scaled = z * (arrays[gamma].reshape(-1) if gamma else 1.0)
        for beta in ["", *vectors] if shifts else [""]:
            if beta and beta == gamma:
                continue
            wanted = scaled + (arrays[beta].reshape(-1) if beta else 0.0)
            if np.all(np.abs(made - wanted) <= 1e-5 + 1e-5 * np.abs(wanted)):
                return gamma, beta
    return None
