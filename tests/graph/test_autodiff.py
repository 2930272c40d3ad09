"""Reverse mode: sums over readers, what is left out, whole models against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from samples import LOSSES
from workbench import near, reference, task, training_file

from deepdsl.compiler.forward import Forward
from deepdsl.graph import Builder, Graph, Type, Value, verify
from deepdsl.graph.arithmetic import Exp, add, mul
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.concatenation import Split
from deepdsl.graph.reductions import ArgMax
from deepdsl.graph.reshaping import sum_all
from deepdsl.nn.initializers import Ones, stream
from deepdsl.nn.layers.activations.base import Tanh
from deepdsl.nn.layers.activations.relu_variants import Relu
from deepdsl.nn.layers.layer import Scope

Array = np.ndarray[Any, Any]
STEP = 1e-5


def scalar(b: Builder) -> Value:
    return b.input("x", Type((), "f64"))


def test_a_value_read_more_than_once_gets_the_sum() -> None:
    b = Builder()
    x = scalar(b)
    # y = x exp(x) + x^2, y' = (1 + x) exp(x) + 2 x
    y = add(b, mul(b, x, b.add(Exp(), x)), mul(b, x, x))
    grads = gradients(b, y, [x])
    found = reference(b.graph({"g": grads[x]}), {"x": np.array(0.7)})
    near(float(found["g"]), 1.7 * np.exp(0.7) + 1.4, 1e-12)


def test_a_value_that_the_loss_does_not_reach_is_left_out() -> None:
    b = Builder()
    x, other = scalar(b), b.input("other", Type((), "f64"))
    b.add(Exp(), other)
    assert set(gradients(b, mul(b, x, x), [x, other])) == {x}


def test_the_loss_itself_has_gradient_one() -> None:
    b = Builder()
    x = scalar(b)
    found = reference(b.graph({"g": gradients(b, x, [x])[x]}), {"x": np.array(3.0)})
    assert found["g"] == 1


def test_nothing_is_computed_below_what_is_wanted() -> None:
    b = Builder()
    x = b.input("x", Type(("N", 3)))
    h = b.add(Tanh(), b.add(Relu(), x))
    w = b.param("w", Type((3,)), Ones())
    before = len(b.nodes)
    gradients(b, sum_all(b, mul(b, h, w)), [w])
    made = b.nodes[before:]
    assert not [n for n in made if n.op.title in ("where", "cast", "greater")]


def test_an_operation_without_a_gradient_on_the_way_says_its_name() -> None:
    b = Builder()
    x = b.input("x", Type(("N", 3)))
    index = b.add(ArgMax(1), x)
    with pytest.raises(NotImplementedError, match="ArgMax has no gradient"):
        gradients(b, sum_all(b, index), [x])


def test_a_piece_that_nothing_reads_has_gradient_zero() -> None:
    b = Builder()
    x = b.input("x", Type((4,), "f64"))
    first, _, last = b.apply(Split(0, (1, 2, 1)), x)
    y = sum_all(b, mul(b, first, last))
    found = reference(
        b.graph({"g": gradients(b, y, [x])[x]}), {"x": np.array([2.0, 3.0, 4.0, 5.0])}
    )
    near(found["g"], [5.0, 0.0, 0.0, 2.0], 1e-12)


MODELS = {
    "chain": "input x[4]\n dense 5 | elu | dense 4 | tanh | dense 3",
    "batch norm before": "input x[4]\n dense 5 bias=false | batch_norm | selu | dense 3",
    "batch norm after": "input x[4]\n dense 5 | sigmoid | batch_norm | dense 3",
    "images": "input x[2 2]\n reshape [2 2 1] | batch_norm | flatten | dense 3 | leaky_relu 0.3",
    "residual": "input x[4]\n h = dense 4 | tanh\n h + x | softmax | dense 3",
    "shared": """input x[4]
        part tower { dense 4 | batch_norm | elu }
        h = x | tower | tower
        concat h x | dense 3""",
    "dropout": "input x[4]\n dropout 25% | dense 6 | tanh | dropout 50% | dense 3",
    "repeat": "input x[4]\n repeat 3 { dense 4 | elu }\n dense 3",
}


def in_float64(text: str) -> tuple[Forward, Value, Value]:
    """A model's training graph in float64, with the mean squared error of its output."""
    of = task(training_file(text, "loss mean_squared_error"))
    b = Builder()
    values = [b.input(i.name, Type(i.type.shape, "f64")) for i in of.model.inputs]
    for call in of.model.calls:
        with b.at(call.path):
            scope = Scope(b, call.path, True, 0)
            values.append(call.layer.expand(scope, *(values[n] for n in call.inputs)))
    out = values[of.model.outputs["output"]]
    target = b.input("target", Type(out.type.shape, "f64"))
    loss = LOSSES[-1].loss.expand(b, out, target)
    return Forward(b, values, {"output": out}), loss, target


@pytest.mark.parametrize("name", MODELS)
def test_whole_models_against_finite_differences(name: str) -> None:
    made, loss, _ = in_float64(MODELS[name])
    b = made.builder
    params = [p for p in b.params if p.trainable]
    (x,) = [v for v in made.values if v.name == "x"]
    before = Graph(tuple(b._inputs.values()), b.params, b.nodes, {"loss": loss})
    grads = gradients(b, loss, [x, *params])
    assert set(grads) == {x, *params}
    whole = verify(b.graph({f"d:{v.name}": g for v, g in grads.items()}))
    rng = np.random.default_rng(1)
    feeds: dict[str, Array] = {"target": rng.standard_normal((6, 3)), "step": np.array(3)}
    feeds["x"] = rng.standard_normal((6, *[int(d) for d in x.type.shape[1:]]))
    for p in b.params:
        if p.type.dtype == "f64":
            shape = tuple(int(d) for d in p.type.shape)
            start = p.init.sample(shape, p.fans or (1, 1), stream(2, p.name))
            feeds[p.name] = start + 0.1 * rng.standard_normal(shape)
    feeds = {k: v for k, v in feeds.items() if k in {i.name for i in (*whole.inputs, *b.params)}}
    back = reference(whole, feeds)
    for v in (x, *params):
        along = rng.standard_normal(feeds[v.name].shape)
        up, down = (
            float(reference(before, {**feeds, v.name: feeds[v.name] + h * along})["loss"])
            for h in (STEP, -STEP)
        )
        near((up - down) / (2 * STEP), (back[f"d:{v.name}"] * along).sum(), 1e-6)
