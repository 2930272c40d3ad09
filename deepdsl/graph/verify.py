"""Checks that a graph is well formed: run between passes in the tests."""

from __future__ import annotations

from deepdsl.graph.graph import Graph, Value


class BrokenGraph(AssertionError):
    """A pass made a graph that breaks a rule of the representation."""


def verify(graph: Graph) -> Graph:
    """The graph itself, or BrokenGraph.

    Names are unique; each value is made before it is read; each node's types are what its operation
    infers; an update has its parameter's type.
    """
    known: set[Value] = {*graph.inputs, *graph.params}
    names = [v.name for v in known]
    for node in graph.nodes:
        for value in node.inputs:
            if value not in known:
                raise BrokenGraph(f"{node.op} reads {value} before it is made")
        types = node.op.infer(*(v.type for v in node.inputs))
        types = types if isinstance(types, tuple) else (types,)
        if types != tuple(v.type for v in node.outputs):
            raise BrokenGraph(f"{node.op} makes {types}, not {node.outputs}")
        known.update(node.outputs)
        names += [v.name for v in node.outputs]
    if len(names) != len(set(names)):
        raise BrokenGraph(f"names stand twice: {sorted({n for n in names if names.count(n) > 1})}")
    for value in graph.results:
        if value not in known:
            raise BrokenGraph(f"result {value} is never made")
    for param, value in graph.updates.items():
        if param not in graph.params or param.type != value.type:
            raise BrokenGraph(f"{param} cannot become {value}")
    return graph
