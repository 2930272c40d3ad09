"""A graph as text, one line a node: for `--emit ir`, golden files and messages about the compiler
itself.
"""

from __future__ import annotations

from deepdsl.graph.graph import Constant, Graph, Value


def show_graph(graph: Graph) -> str:
    """The whole graph: inputs, parameters with role and initializer, nodes, outputs, updates."""
    constants = {
        node.outputs[0]: node.op.value for node in graph.nodes if isinstance(node.op, Constant)
    }

    def name(value: Value) -> str:
        return str(constants[value]) if value in constants else f"%{value.name}"

    lines = [f"input %{v.name}: {v.type}" for v in graph.inputs]
    for p in graph.params:
        start = p.init.show() if hasattr(p.init, "show") else p.init
        lines.append(f"param %{p.name}: {p.type} {p.role} = {start}")
    for node in graph.nodes:
        if isinstance(node.op, Constant):
            continue
        left = ", ".join(f"%{v.name}: {v.type}" for v in node.outputs)
        lines.append(f"{left} = {node.op} {', '.join(map(name, node.inputs))}".rstrip())
    lines += [f"output {key} = {name(v)}" for key, v in graph.outputs.items()]
    lines += [f"update %{p.name} = {name(v)}" for p, v in graph.updates.items()]
    return "\n".join(lines) + "\n"
