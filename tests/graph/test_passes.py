"""Passes leave the numbers alone, and leave nothing that computes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbench import Training, near, on_runtime, reference, task, training_file

from deepdsl.compiler.training_step import evaluation_graph, inference_graph, step_with_gradients
from deepdsl.graph import Builder, Constant, Graph, Node, Op, Type, Value, verify
from deepdsl.graph.arithmetic import (
    Add,
    Cast,
    Div,
    Exp,
    Mul,
    Pow,
    Sub,
    add,
    cast,
    div,
    mul,
    plus,
    scaled,
    sub,
)
from deepdsl.graph.passes import PIPELINE, optimize, prune, share, simplify
from deepdsl.graph.reshaping import BroadcastLike, Reshape, sum_all
from deepdsl.nn.initializers import Zeros

Array = np.ndarray[Any, Any]


def ops(graph: Graph) -> list[type[Op]]:
    return [type(n.op) for n in graph.nodes if not isinstance(n.op, Constant)]


def start() -> tuple[Builder, Value]:
    b = Builder()
    return b, b.input("x", Type(("N", 4)))


# One pass at a time -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing",
    [
        lambda b, x: scaled(b, 1.0, x),
        lambda b, x: mul(b, b.like(1.0, x), x),
        lambda b, x: div(b, x, b.like(1.0, x)),
        lambda b, x: plus(b, x, 0.0),
        lambda b, x: sub(b, x, b.like(0.0, x)),
        lambda b, x: b.add(Reshape(("N", 4)), x),
        lambda b, x: b.add(Reshape(("N", 4)), b.add(Reshape(("N", 2, 2)), x)),
        lambda b, x: b.add(Cast("f32"), x),
        lambda b, x: b.add(BroadcastLike(), x, x),
        lambda b, x: scaled(b, 1.0, plus(b, scaled(b, 1.0, x), 0.0)),
        lambda b, x: scaled(b, 0.5, scaled(b, 1.0, x)) and scaled(b, 1.0, x),
    ],
)
def test_what_changes_nothing_goes(nothing: Any) -> None:
    b, x = start()
    before = b.graph({"out": b.add(Exp(), nothing(b, x))})
    assert ops(optimize(before, verify)) == [Exp]


@pytest.mark.parametrize(
    "something",
    [
        lambda b, x: sub(b, b.like(0.0, x), x),
        lambda b, x: div(b, b.like(1.0, x), x),
        lambda b, x: scaled(b, 0.0, x),
        lambda b, x: add(b, x, b.constant((0.0, 0.0, 0.0, 1.0))),
        lambda b, x: add(b, x, x),
        lambda b, x: b.add(Reshape(("N", 2, 2)), x),
        lambda b, x: cast(b, x, "f64"),
        # Here the one has the larger shape.
        lambda b, x: mul(b, b.constant(((1.0,),)), sum_all(b, x)),
    ],
)
def test_what_changes_something_stays(something: Any) -> None:
    b, x = start()
    before = b.graph({"out": something(b, x)})
    after = optimize(before, verify)
    feeds = {"x": np.arange(8, dtype=np.float32).reshape(2, 4) - 3.5}
    near(reference(after, feeds)["out"], reference(before, feeds)["out"], 0)
    assert ops(after)


def test_constants_are_folded() -> None:
    b, x = start()
    number = plus(b, scaled(b, 2.0, b.like(3.0, x)), 0.5)
    b.add(Pow(), number, number)
    out = mul(b, x, number)
    after = optimize(b.graph({"out": out}), verify)
    assert ops(after) == [Mul]
    assert [n.op.value for n in after.nodes if isinstance(n.op, Constant)] == [6.5]


@pytest.mark.parametrize(
    ("op", "x", "y"), [(Div(), 1.0, 0.0), (Pow(), 1e200, 9.0), (Pow(), -1.0, 0.5)]
)
def test_what_python_cannot_fold_is_left_to_the_graph(op: Op, x: float, y: float) -> None:
    b = Builder()
    made = b.add(op, b.constant(x, "f64"), b.constant(y, "f64"))
    after = optimize(b.graph({"out": made}), verify)
    assert ops(after) == [type(op)]


def test_whole_numbers_are_not_folded_as_floats() -> None:
    b = Builder()
    made = div(b, b.constant(7, "i64"), b.constant(2, "i64"))
    after = optimize(b.graph({"out": made}), verify)
    assert on_runtime(after, {})["out"] == 3


def test_equal_work_is_done_once() -> None:
    b, x = start()
    first, second = b.add(Exp(), plus(b, x, 2.0)), b.add(Exp(), plus(b, x, 2.0))
    after = share(b.graph({"out": add(b, first, second)}))
    assert ops(verify(after)) == [Add, Exp, Add]
    left, right = after.nodes[-1].inputs
    assert left is right


def test_sharing_tells_apart_what_only_looks_equal() -> None:
    b, x = start()
    sums = [add(b, x, b.constant(0.5)), add(b, x, b.constant(-0.5)), sub(b, x, b.constant(0.5))]
    after = share(b.graph({str(i): s for i, s in enumerate(sums)}))
    assert ops(after) == [Add, Add, Sub]


def test_dead_nodes_and_params_go() -> None:
    b, x = start()
    unused = b.param("unused", Type((4,)), Zeros())
    kept = b.param("kept", Type((4,)), Zeros())
    moved = b.param("moved", Type((4,)), Zeros())
    add(b, x, unused)
    b.update(moved, b.constant((1.0, 2.0, 3.0, 4.0)))
    after = prune(b.graph({"out": add(b, x, kept)}))
    assert after.params == (kept, moved)
    assert ops(verify(after)) == [Add]


def test_an_output_that_is_an_input_survives() -> None:
    b, x = start()
    w = b.param("w", Type((4,)), Zeros())
    b.update(w, scaled(b, 1.0, w))
    after = optimize(b.graph({"a": scaled(b, 1.0, x), "b": x}), verify)
    feeds = {"x": np.ones((2, 4), np.float32), "w": np.arange(4, dtype=np.float32)}
    found = on_runtime(after, feeds)
    near(found["a"], feeds["x"], 0)
    near(found["b"], feeds["x"], 0)
    near(found["next:w"], feeds["w"], 0)


def test_passes_are_done_when_they_are_done() -> None:
    text = training_file(MODELS[0], "loss cross_entropy; optimizer adam")
    once = Training(text).graph
    again = optimize(once, verify)
    assert len(again.nodes) == len(once.nodes)


# Whole steps --------------------------------------------------------------------------------------

MODELS = (
    "input x[6]\n dense 8 | relu | dense 8 | batch_norm | elu | dropout 20%\n dense 3 | softmax",
    """input x[2 3]
       flatten | dense 6 | identity | tanh | reshape [2 3] | flatten | dense 3 | softmax""",
    """input x[6]
       h = dense 6 | selu
       repeat 2 { skip = dense 6 | leaky_relu 0 | dense 6
       h + skip | relu } | dense 3 | softmax""",
    """input x[6]
       part twice { dense 6 | batch_norm | sigmoid }
       h = x | twice | twice
       concat x h | dense 3 | softmax""",
    "input x[6]\n dense 3 bias=false | softmax",
)
TRAINS = (
    "optimizer sgd",
    "optimizer sgd lr=0.1 momentum=0.9 nesterov=true weight_decay=0.1; clip norm=1",
    "optimizer adam; clip value=1 global_norm=1; schedule exponential factor=0.5 every=2",
    "optimizer adamw; schedule piecewise 0:0.1 2:0.01",
)


def computes_nothing(node: Node, constants: dict[Value, Any]) -> bool:
    """The operations that a reader of the graph would call pointless."""
    if not node.inputs:
        return False
    out = node.outputs[0].type
    same = [v for v in node.inputs if v.type == out]
    if isinstance(node.op, Reshape | Cast | BroadcastLike):
        return node.inputs[0].type == out
    numbers = [constants.get(v) for v in node.inputs]
    if isinstance(node.op, Mul | Div):
        ones = numbers if isinstance(node.op, Mul) else numbers[1:]
        return bool(same) and 1.0 in ones
    if isinstance(node.op, Add | Sub):
        zeros = numbers if isinstance(node.op, Add) else numbers[1:]
        return bool(same) and 0.0 in zeros
    return all(isinstance(n, float) for n in numbers)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("train", TRAINS)
def test_nothing_in_a_step_is_dead_or_pointless(model: str, train: str) -> None:
    of = task(training_file(model, f"loss cross_entropy; metric accuracy; {train}", "scale 0.5"))
    raw, _ = step_with_gradients(of, 10)
    for graph in (optimize(raw), evaluation_graph(of), inference_graph(of.model, of.data)):
        read = {v for n in graph.nodes for v in n.inputs} | set(graph.results)
        constants = {n.outputs[0]: n.op.value for n in graph.nodes if isinstance(n.op, Constant)}
        for node in graph.nodes:
            assert any(v in read for v in node.outputs), f"{node.op} is dead"
            assert not computes_nothing(node, constants), f"{node.op} does nothing"
        assert all(p in read or p in graph.updates for p in graph.params)
        assert "identity" not in [n.op.title for n in graph.nodes]


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_of_the_data_is_not_computed(model: str) -> None:
    of = task(training_file(model, "loss cross_entropy", "scale 0.5"))
    raw, _ = step_with_gradients(of, 10)
    (x,) = of.model.inputs
    for node in optimize(raw).nodes:
        if any(v.name.startswith("gradient/data.") for v in node.outputs):
            pytest.fail(f"{node.outputs} is a gradient of the data")
    # The first dense layer has the gradient of its weights, and no product in the shape of x.
    made = [n for n in optimize(raw).nodes if n.outputs[0].name.startswith("gradient/dense_1/")]
    assert not [n for n in made if n.outputs[0].type.shape == x.type.shape and n.op.title == "gemm"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("train", TRAINS)
def test_a_step_s_numbers_do_not_change(model: str, train: str) -> None:
    text = training_file(model, f"loss cross_entropy; metric accuracy; {train}", "scale 0.5")
    same_numbers(Training(text))


def same_numbers(made: Training) -> None:
    """Each pass in turn leaves every output and every update as it was."""
    rng = np.random.default_rng(0)
    # What no result needs is in the graph before the passes, and has no state.
    feeds: dict[str, Array] = {
        p.name: np.zeros([int(d) for d in p.type.shape], np.float32) for p in made.raw.params
    }
    feeds.update(made.state)
    for value in made.raw.inputs:
        shape = tuple(5 if isinstance(d, str) else d for d in value.type.shape)
        whole = value.type.dtype == "i64"
        feeds[value.name] = (
            rng.integers(0, 3, shape) if whole else rng.standard_normal(shape).astype(np.float32)
        )
    graph = made.raw
    wanted = reference(graph, {k: v for k, v in feeds.items() if k in names(graph)})
    for number, step in enumerate(PIPELINE):
        graph = verify(step(graph))
        found = reference(graph, {k: v for k, v in feeds.items() if k in names(graph)})
        assert found.keys() == wanted.keys(), number
        for name, value in found.items():
            near(value, wanted[name], 1e-6)
    # Adam divides by the size of the gradient, and so makes steps of what is 0 but for rounding.
    compared = graph.outputs if "adam" in made.task.training.optimizer.name else found
    ran = on_runtime(graph, feeds)
    for name in compared:
        near(ran[name], wanted[name], 2e-5)


def names(graph: Graph) -> set[str]:
    return {v.name for v in (*graph.inputs, *graph.params)}


# Any model ----------------------------------------------------------------------------------------

LAYERS = st.sampled_from(
    [
        "dense 4",
        "dense 4 bias=false",
        "relu",
        "leaky_relu 0.1",
        "leaky_relu 1",
        "elu",
        "selu",
        "sigmoid",
        "tanh",
        "identity",
        "softmax",
        "batch_norm",
        "dropout 30%",
        "dropout 0%",
        "flatten",
        "reshape [2 2] | batch_norm | flatten",
        "shared",
        "reshape [4]",
    ]
)
CHAINS = st.lists(LAYERS, min_size=1, max_size=4).map(" | ".join)


@st.composite
def models(draw: Any) -> str:
    """Lines of width 4: layers, sums with values named before, a part with shared weights."""
    lines = ["input x[4]", f"part shared {{ dense 4 | {draw(CHAINS).replace('shared', 'tanh')} }}"]
    values = ["x"]
    for number in range(draw(st.integers(1, 3))):
        first = draw(st.sampled_from(values))
        other = draw(st.sampled_from([None, *values]))
        head = first if other is None else f"{first} + {other}"
        lines.append(f"v{number} = {head} | {draw(CHAINS)}")
        values.append(f"v{number}")
    last = " + ".join(dict.fromkeys(values[-2:]))
    return "\n".join([*lines, f"{last} | dense 3 | softmax"])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(models(), st.sampled_from(TRAINS))
def test_any_model_s_numbers_do_not_change(model: str, train: str) -> None:
    same_numbers(Training(training_file(model, f"loss cross_entropy; metric accuracy; {train}")))


def test_simplify_gives_the_same_graph_where_nothing_is_to_do() -> None:
    b, x = start()
    graph = b.graph({"out": b.add(Exp(), x)})
    assert simplify(graph).outputs == graph.outputs
