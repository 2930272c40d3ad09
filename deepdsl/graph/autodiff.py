"""Reverse-mode differentiation: from a scalar back to the parameters, over the operations' own
rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.graph import Builder, Value
from deepdsl.graph.arithmetic import add


def gradients(b: Builder, loss: Value, wanted: Sequence[Value]) -> dict[Value, Value]:
    """The gradient of a scalar with respect to each wanted value.

    Only what lies between the wanted values and the loss is differentiated, so nothing is computed
    below a frozen prefix.  A wanted value that the loss does not depend on is left out of the
    result.
    """
    nodes = b.nodes
    on_path = set(wanted)
    for node in nodes:
        if any(v in on_path for v in node.inputs):
            on_path.update(node.outputs)
    partial: dict[Value, Value] = {loss: b.constant(1.0, loss.type.dtype)}
    for node in reversed(nodes):
        grads = tuple(partial.get(out) for out in node.outputs)
        if all(g is None for g in grads) or not any(v in on_path for v in node.inputs):
            continue
        stem = node.outputs[0].name.rpartition("/")[0]
        with b.at(f"gradient/{stem}" if stem else "gradient", node.span):
            flows = node.op.vjps(b, grads, node.outputs, node.inputs)
            for value, flow in zip(node.inputs, flows, strict=True):
                if flow is None or value not in on_path:
                    continue
                assert flow.type == value.type, f"{node.op}: gradient {flow} of {value}"
                known = partial.get(value)
                partial[value] = flow if known is None else add(b, known, flow)
    return {value: partial[value] for value in wanted if value in partial}
