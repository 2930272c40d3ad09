"""What a model is made of: layers, parameters, memory, work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from deepdsl.compiler.training_step import decays, inference_graph
from deepdsl.core.record import record
from deepdsl.core.registry import Registered
from deepdsl.data.spec import DataSpec
from deepdsl.graph import Node, by_times, conv_lowering
from deepdsl.graph.convolution import Convolution, Sliding
from deepdsl.language.analysis import LayerCall, Model, Training
from deepdsl.nn.initializers import Initializer

BYTES = 4  # of a float32


@record
class SummaryRow:
    """One use of a layer; `params` counts a shared tensor at its first use only."""

    path: str
    kind: str
    output: tuple[int, ...]
    params: int
    detail: str
    shared: bool


@record
class Inspection:
    model: str
    rows: tuple[SummaryRow, ...]
    total: int
    trainable: int
    flops_per_row: int
    activation_bytes_per_row: int
    state_bytes: int
    training: Mapping[str, Any] | None = None

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
            "training": self.training,
        }


def inspect_model(model: Model, data: DataSpec | None, training: Training | None) -> Inspection:
    """Counts read off the typed model and its inference graph; nothing is allocated."""
    rows = layer_rows(model)
    total = sum(p.type.count or 0 for p in model.params)
    trainable = sum(p.type.count or 0 for p in model.params if p.trainable)
    graph = inference_graph(model, data)
    slots = len(training.optimizer.slots()) + (training.accumulate > 1) if training else 0
    # The state is kept twice, and each trainable tensor has its slots.
    state = 2 * BYTES * (total + slots * trainable)
    activations = sum(BYTES * prod(r.output) for r in rows)
    flops = sum(_flops(node) for node in graph.nodes)
    told = training_settings(model, training) if training else None
    return Inspection(model.name, rows, total, trainable, flops, activations, state, told)


def training_settings(model: Model, training: Training) -> dict[str, Any]:
    """How a model is trained, with every default written out and every tensor that decays."""
    trained = [p for p in model.params if p.trainable]
    decay = getattr(training.optimizer, "weight_decay", 0.0)
    return {
        "data": training.data,
        "loss": training.loss.show(),
        "optimizer": _named(training.optimizer),
        "schedule": _named(training.schedule),
        "clip": _named(training.clip)["options"] if training.clip else None,
        "batch": training.batch,
        "accumulate": training.accumulate,
        "epochs": training.epochs,
        "seed": training.seed,
        "weight_decay": {
            "value": decay,
            "on": [p.name for p in trained if decay and decays(p)],
            "not_on": [p.name for p in trained if not (decay and decays(p))],
        },
    }


def _named(entry: Registered) -> dict[str, Any]:
    return {
        "name": entry.name,
        "options": {s.name: getattr(entry, s.name) for s in entry.signature()},
    }


def layer_rows(model: Model) -> tuple[SummaryRow, ...]:
    """One row for each use of a layer, in the order of computation."""
    seen: set[str] = set()
    rows = []
    sources = {t: r.path for r in model.reused for t in r.kept}
    for call in model.calls:
        fresh = [p for p in call.params if p.name not in seen]
        shared = bool(call.params) and not fresh
        seen.update(p.name for p in call.params)
        count = sum(p.type.count or 0 for p in fresh)
        output = call.type.row
        source = next((sources[p.name] for p in fresh if p.name in sources), "")
        detail = _detail(call, source)
        rows.append(SummaryRow(call.path, call.layer.name, output, count, detail, shared))
    return tuple(rows)


def _flops(node: Node) -> int:
    """Floating-point operations for one row."""
    return node.op.flops(node.outputs[0].type, *(v.type for v in node.inputs))


def convolution_rows(model: Model) -> list[list[str]]:
    """Each convolution with its pads written out, its work, and how the training's three passes are
    computed; nothing where there is none.
    """
    lines = []
    for node in inference_graph(model).nodes:
        if not isinstance(node.op, Sliding):
            continue
        g = node.op.seen(node.outputs[0].type, *(v.type for v in node.inputs))
        forward = "conv"
        back, weights = conv_lowering.input_gradient(g), conv_lowering.weight_gradient(g)
        if not isinstance(node.op, Convolution):
            forward, back = back, forward
        sides = " ".join(f"{b}/{e}" for b, e in zip(g.begins, g.ends, strict=True))
        path = node.outputs[0].name.rpartition("/")[0]
        sizes = [by_times(g.kernel), by_times(g.strides), sides, f"{g.work / 1e6:,.3g}"]
        lines.append([path, *sizes, forward, back, weights])
    if not lines:
        return []
    head = ["convolution", "kernel", "stride", "pads", "MFLOP", "forward", "to input", "to weights"]
    return [head, *lines]


# What the column of the output's shape says already.
_SIZES = ("units", "filters", "shape")


def _detail(call: LayerCall, source: str = "") -> str:
    """How weights begin, and every option with its value, default or not, but for what is off.

    `source` is what they are reused from.
    """
    told = [f"from {source}"] if source else []
    for s in call.layer.signature():
        value = getattr(call.layer, s.name)
        off = value == s.default and (value is None or value is True or value == 0)
        if s.name == "init" and isinstance(value, Initializer):
            told += [] if source else [value.show()]
        elif s.name == "tie" and value is not None:
            told.append(f"tied to {value}")
        elif s.name not in _SIZES and not off:
            told.append(f"{s.name}={s.shown(value)}")
    return " ".join(told)


def table_rows(rows: Iterable[SummaryRow]) -> list[list[str]]:
    lines = [["layer", "kind", "output", "parameters", ""]]
    for row in rows:
        count = "shared" if row.shared else (f"{row.params:,}" if row.params else "")
        lines.append([row.path, row.kind, by_times(row.output), count, row.detail])
    return lines
