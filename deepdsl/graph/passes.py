"""Passes: plain functions from graph to graph that leave what it computes alone and make it
smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from deepdsl.graph import Constant, Graph, Node, Op, Value
from deepdsl.graph.arithmetic import Add, Cast, Div, Mul, Neg, Pow, Sqrt, Sub
from deepdsl.graph.reshaping import BroadcastLike, Reshape

Pass = Callable[[Graph], Graph]


def rewrite(graph: Graph, nodes: Iterable[Node], swap: dict[Value, Value]) -> Graph:
    """The graph with other nodes, where each value in `swap` is replaced wherever it is a
    result.
    """

    def now(value: Value) -> Value:
        return swap.get(value, value)

    return replace(
        graph,
        nodes=tuple(nodes),
        outputs={k: now(v) for k, v in graph.outputs.items()},
        updates={p: now(v) for p, v in graph.updates.items()},
    )


def simplify(graph: Graph) -> Graph:
    """Removes operations that change nothing and computes those whose operands are all constant
    scalars.
    """
    swap: dict[Value, Value] = {}
    constants: dict[Value, Any] = {}
    made: dict[Value, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(swap.get(v, v) for v in node.inputs)
        node = replace(node, inputs=inputs)
        same = _same_as(node, constants, made)
        if same is not None:
            swap[node.outputs[0]] = same
            continue
        folded = _folded(node, constants)
        if folded is not None:
            node = replace(node, op=folded, inputs=())
        if isinstance(node.op, Constant):
            constants[node.outputs[0]] = node.op.value
        for out in node.outputs:
            made[out] = node
        nodes.append(node)
    return rewrite(graph, nodes, swap)


def _same_as(node: Node, constants: dict[Value, Any], made: dict[Value, Node]) -> Value | None:
    """The operand that a node's result equals, if it does."""
    if not node.inputs or len(node.outputs) > 1:
        return None
    x, out = node.inputs[0], node.outputs[0]
    other = node.inputs[1] if len(node.inputs) > 1 else None
    number = constants.get(other) if other is not None else None
    match node.op:
        case Reshape() | Cast() | BroadcastLike() if x.type == out.type:
            return x
        case Reshape() if isinstance(made[x].op if x in made else None, Reshape):
            before = made[x].inputs[0]
            return before if before.type == out.type else None
        case Mul() | Div() if number == 1 and x.type == out.type:
            return x
        case Mul() if constants.get(x) == 1 and other is not None and other.type == out.type:
            return other
        case Add() | Sub() if number == 0 and x.type == out.type:
            return x
    return None


_FOLDS: dict[type[Op], Callable[..., float]] = {
    Add: lambda x, y: x + y,
    Sub: lambda x, y: x - y,
    Mul: lambda x, y: x * y,
    Div: lambda x, y: x / y,
    Neg: lambda x: -x,
    Pow: lambda x, y: x**y,
    Sqrt: lambda x: x**0.5,
    Cast: lambda x: x,
}


def _folded(node: Node, constants: dict[Value, Any]) -> Constant | None:
    fold = _FOLDS.get(type(node.op))
    operands = [constants.get(v) for v in node.inputs]
    dtype = node.outputs[0].type.dtype
    if (
        fold is None
        or dtype not in ("f32", "f64")
        or not all(isinstance(o, float) for o in operands)
    ):
        return None
    try:
        number = fold(*operands)
    except (ZeroDivisionError, OverflowError):
        return None
    # In Python the root of a negative number is complex; in a graph it is NaN.
    return Constant(number, dtype) if isinstance(number, float) else None


def share(graph: Graph) -> Graph:
    """Computes once what is computed twice from the same operands."""
    swap: dict[Value, Value] = {}
    seen: dict[tuple[Any, ...], Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(swap.get(v, v) for v in node.inputs))
        first = seen.setdefault((_identity(node.op), node.inputs), node)
        if first is not node:
            swap.update(zip(node.outputs, first.outputs, strict=True))
        else:
            nodes.append(node)
    return rewrite(graph, nodes, swap)


def _identity(op: Op) -> Any:
    # 1 and 1.0 and True are equal in Python, and 0.0 equals -0.0; as constants they are not.
    return (repr(op.value), op.dtype) if isinstance(op, Constant) else op


def prune(graph: Graph) -> Graph:
    """Removes what no result needs: the gradient of the inputs, above all."""
    needed = set(graph.results)
    nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if any(out in needed for out in node.outputs):
            nodes.append(node)
            needed.update(node.inputs)
    kept = tuple(p for p in graph.params if p in needed or p in graph.updates)
    return replace(graph, nodes=tuple(reversed(nodes)), params=kept)


PIPELINE: tuple[Pass, ...] = (simplify, share, simplify, prune)


def optimize(graph: Graph, check: Pass | None = None) -> Graph:
    """All passes in order; `check` (ir.verify) runs after each where it is given."""
    for step in PIPELINE:
        graph = step(graph)
        if check is not None:
            check(graph)
    return graph
