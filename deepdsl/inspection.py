"""What a model is made of: layers, parameters, memory, work."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from deepdsl.analysis import Call, Model, Training
from deepdsl.data.request import DataSpec
from deepdsl.initializers import Initializer
from deepdsl.ir import Node, by_times
from deepdsl.ops.linear import Gemm
from deepdsl.step import inference_graph

BYTES = 4  # of a float32


@dataclass(frozen=True)
class Row:
    """One use of a layer; `params` counts a shared tensor at its first use only."""

    path: str
    kind: str
    output: tuple[int, ...]
    params: int
    detail: str
    shared: bool


@dataclass(frozen=True)
class Inspection:
    model: str
    rows: tuple[Row, ...]
    total: int
    trainable: int
    flops_per_row: int
    activation_bytes_per_row: int
    state_bytes: int

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "layers": [
                {
                    "path": r.path,
                    "kind": r.kind,
                    "output": list(r.output),
                    "params": r.params,
                    "detail": r.detail,
                    "shared": r.shared,
                }
                for r in self.rows
            ],
            "params": {
                "total": self.total,
                "trainable": self.trainable,
                "non_trainable": self.total - self.trainable,
            },
            "memory": {
                "parameters_bytes": self.total * BYTES,
                "training_state_bytes": self.state_bytes,
                "activations_bytes_per_row": self.activation_bytes_per_row,
            },
            "flops_per_row": self.flops_per_row,
        }


def inspect_model(model: Model, data: DataSpec | None, training: Training | None) -> Inspection:
    """Counts read off the typed model and its inference graph; nothing is allocated."""
    seen: set[str] = set()
    rows = []
    for call in model.calls:
        fresh = [p for p in call.params if p.name not in seen]
        shared = bool(call.params) and not fresh
        seen.update(p.name for p in call.params)
        count = sum(p.type.count or 0 for p in fresh)
        output = tuple(d for d in call.type.shape[1:] if isinstance(d, int))
        rows.append(Row(call.path, call.layer.name, output, count, _detail(call), shared))
    total = sum(p.type.count or 0 for p in model.params)
    trainable = sum(p.type.count or 0 for p in model.params if p.trainable)
    graph = inference_graph(model, data)
    slots = len(training.optimizer.slots()) if training else 0
    # The state is kept twice, and each trainable tensor has its slots.
    state = 2 * BYTES * (total + slots * trainable)
    activations = sum(BYTES * prod(r.output) for r in rows)
    flops = sum(_flops(node) for node in graph.nodes)
    return Inspection(model.name, tuple(rows), total, trainable, flops, activations, state)


def _flops(node: Node) -> int:
    """Floating-point operations for one row: two for each product of a matrix, one for each element
    else.
    """
    shape = [d for d in node.outputs[0].type.shape if isinstance(d, int)]
    if isinstance(node.op, Gemm):
        inner = node.inputs[1].type.shape[1 if node.op.transpose_b else 0]
        assert isinstance(inner, int)
        return 2 * inner * prod(shape)
    return prod(shape) if node.inputs else 0


def _detail(call: Call) -> str:
    """The options that matter to a reader: how weights begin, and what is not default."""
    told = []
    for s in call.layer.signature():
        value = getattr(call.layer, s.name)
        if isinstance(value, Initializer) and s.name in ("init",):
            told.append(value.show())
        elif not s.positional and value != s.default:
            told.append(f"{s.name}={s.shown(value)}")
    return " ".join(told)


def table_rows(found: Inspection) -> list[list[str]]:
    lines = [["layer", "kind", "output", "parameters", ""]]
    for row in found.rows:
        count = "shared" if row.shared else (f"{row.params:,}" if row.params else "")
        lines.append([row.path, row.kind, by_times(row.output), count, row.detail])
    return lines
