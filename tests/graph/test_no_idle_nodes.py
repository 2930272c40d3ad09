"""No step computes what it need not: every file, optimizer and schedule, walked node by node."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, numpy_helper
from places import EXAMPLES
from samples import OPTIMIZERS, SCHEDULES
from workbench import Training, training_file

from deepdsl.compiler.build import build
from deepdsl.compiler.front_end import load_program, read_source
from deepdsl.compiler.job import open_job
from deepdsl.graph.emit import OnnxModel, emit

# Those whose data is there.
FILES = ("digits.dnn", "two_moons.dnn")
MODEL = "input x[4]\n dense 8 | batch_norm | tanh | dropout 20% | dense 3"
ROWS = {
    **{f"optimizer {s.optimizer.show()}": "" for s in OPTIMIZERS},
    **{f"schedule {s.schedule.show()}": "" for s in SCHEDULES},
    "optimizer sgd lr=0.1 momentum=0.9; schedule one_cycle": "",
    "optimizer rmsprop momentum=0.9; schedule one_cycle(max=0.1)": "",
    "optimizer nadam; accumulate 4; clip global_norm=1; schedule cosine warmup=1": "",
    "optimizer sgd; accumulate 2; clip value=1 norm=1": "",
    "optimizer adam; clip norm=1": "l1=1e-4",
    "optimizer adamw; clip value=1": "l2=1e-4 max_norm=2",
    "optimizer lion": "l1=1e-4 l2=0.5 max_norm=1",
}


def constants(model: OnnxModel) -> dict[str, Any]:
    """The values of constant tensors by name."""
    found = {t.name: numpy_helper.to_array(t) for t in model.proto.graph.initializer}
    for node in model.proto.graph.node:
        if node.op_type == "Constant":
            (value,) = [a for a in node.attribute if a.name == "value"]
            found[node.output[0]] = numpy_helper.to_array(value.t)
    return found


def what_a_node_is(node: NodeProto) -> tuple[Any, ...]:
    attributes = tuple(sorted(a.SerializeToString(deterministic=True) for a in node.attribute))
    return node.op_type, tuple(node.input), attributes


def idle(model: OnnxModel) -> list[str]:
    """What is wrong, in words."""
    graph = model.proto.graph
    known = constants(model)
    wrong = []
    neutral = {"Mul": (1, 2), "Div": (1, 1), "Add": (0, 2), "Sub": (0, 1), "Pow": (1, 1)}
    results = {o.name for o in graph.output}
    read = {name for node in graph.node for name in node.input} | results
    for node in graph.node:
        # A result that is a constant, such as a constant rate, must be given out by some node.
        given_out = node.input[0] in known and node.output[0] in results if node.input else False
        if node.op_type == "Identity" and not given_out:
            wrong.append(f"{node.name}: Identity")
        if node.op_type in neutral:
            number, places = neutral[node.op_type]
            for name in node.input[2 - places :]:
                if name in known and np.all(known[name] == number):
                    wrong.append(f"{node.output[0]}: {node.op_type} with {number}")
        if not read & set(node.output):
            wrong.append(f"{node.output[0]}: {node.op_type} that nobody reads")
    several = Counter(what_a_node_is(node) for node in graph.node)
    wrong += [f"{count} times {what[:2]}" for what, count in several.items() if count > 1]
    return wrong


@pytest.mark.parametrize("file", FILES)
def test_examples(file: str) -> None:
    program, _ = load_program(read_source(EXAMPLES / file))
    for training in program.trainings:
        artifacts = build(open_job(program, training, EXAMPLES))
        assert idle(artifacts.step) == []
        assert idle(artifacts.evaluate) == []


@pytest.mark.parametrize("rows", ROWS)
def test_optimizers_and_schedules(rows: str) -> None:
    model = MODEL.replace("dense 8", f"dense 8 {ROWS[rows]}")
    text = training_file(model, f"loss mean_squared_error; {rows}", "valid split=10%")
    assert idle(emit(Training(text).graph, "step")) == []


def test_what_is_idle_is_found() -> None:
    """The walk itself, on a graph with one of each fault."""
    from deepdsl.graph import Builder, Type
    from deepdsl.graph.arithmetic import Exp, plus, scaled
    from deepdsl.nn.layers.activations.base import Identity

    b = Builder()
    x = b.input("x", Type((3,)))
    b.add(Exp(), plus(b, scaled(b, 1.0, b.add(Identity(), x)), 0.0))
    found = " ".join(idle(emit(b.graph({"y": b.add(Exp(), x), "z": b.add(Exp(), x)}), "idle")))
    assert "Mul with 1" in found
    assert "Add with 0" in found
    assert "nobody reads" in found
    assert "2 times ('Exp'" in found


# How many nodes a further large tensor costs, and how many numbers are kept beside it.
NODES = {
    "sgd": 2,
    "sgd momentum=0.9": 4,
    "sgd momentum=0.9 nesterov=true": 6,
    "adam": 10,
    "adamw": 11,
    "amsgrad": 11,
    "adamax": 9,
    "nadam": 12,
    "adagrad": 7,
    "rmsprop": 8,
    "rmsprop momentum=0.9": 10,
    "rmsprop centered=true": 11,
    "lion": 7,
    "lion weight_decay=1": 8,
}


@pytest.mark.parametrize("optimizer", NODES)
def test_nodes_of_a_tensor(optimizer: str) -> None:
    def count(layers: int) -> int:
        body = " | ".join(["dense 8 bias=false"] * layers)
        text = training_file(
            f"input x[8]\n {body}", f"loss mean_squared_error; optimizer {optimizer}"
        )
        return sum(n.op.title != "constant" for n in Training(text).graph.nodes)

    # A further layer has three products: forward, and one back for its input and its weights each.
    assert count(4) - count(3) - 3 == NODES[optimizer]
