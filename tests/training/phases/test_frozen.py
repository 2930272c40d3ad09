"""Frozen layers stand still in every sense, and the others learn as if they stood alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Memory, Training, opened, program, run, training_file

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.graph.backend import open_backend
from deepdsl.training.callbacks import NullCallback
from deepdsl.training.trainer import Trainer

RNG = np.random.default_rng(3)
X = RNG.standard_normal((32, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 32)

NET = """
input x[6]
part low { dense 8 bias=false l2=0.1 | batch_norm | relu | dropout 50% }
part high { dense 5 | elu }
part head { dense 3 | softmax }
"""


def made(rows: str, net: str = NET) -> Training:
    return Training(training_file(net, f"loss cross_entropy; seed 1; {rows}"))


def stepped(rows: str, steps: int = 3, net: str = NET) -> Training:
    training = made(rows, net)
    for _ in range(steps):
        training.step(x=X, target=Y)
    return training


def test_what_is_frozen_is_in_no_update_and_has_no_slot() -> None:
    training = made("optimizer adam; freeze low")
    updated = {p.name for p in training.graph.updates}
    assert not any("low." in name for name in updated)
    assert {"high.dense_1.weight", "head.dense_1.bias"} <= updated
    assert not any("low." in p.name for p in training.graph.params if p.role == "slot")
    # No gradient is computed below the first layer that is trained.
    made_for = {v.name for n in training.graph.nodes for v in n.outputs}
    assert not any(name.startswith("gradient/low") for name in made_for)
    assert any(name.startswith("gradient/high") for name in made_for)


def test_frozen_layers_work_as_at_inference() -> None:
    """Dropout is off and batch norm uses its running values: the loss of a step is the loss of the
    evaluation.
    """
    training = made("freeze low")
    training.state["low.batch_norm_1.running_mean"] += 0.3
    expected = training.evaluate(x=X, target=Y)["loss"]
    before = {k: v.copy() for k, v in training.state.items()}
    assert training.step(x=X, target=Y)["loss"] == pytest.approx(float(expected), rel=1e-6)
    for name, value in before.items():
        assert np.array_equal(value, training.state[name]) == (
            name.startswith("low.") or name in ("high.none",)
        ), name


def test_moving_statistics_of_a_frozen_layer() -> None:
    training = stepped("freeze low batch_norm=update")
    first = made("")
    for name in ("low.dense_1.weight", "low.batch_norm_1.gamma", "low.batch_norm_1.beta"):
        assert np.array_equal(training.state[name], first.state[name])
    for name in ("running_mean", "running_variance"):
        path = f"low.batch_norm_1.{name}"
        assert not np.array_equal(training.state[path], first.state[path])


def test_frozen_tensors_count_in_no_norm_and_no_penalty() -> None:
    """The head learns as one that stands behind constants."""
    net = "input x[6]\npart low { dense 8 l2=9 | tanh }\npart head { dense 3 l1=0.01 | softmax }"
    training = made("optimizer sgd lr=0.5; clip global_norm=0.05; freeze low", net)
    hidden = np.tanh(
        X @ training.weight("low.dense_1.weight") + training.weight("low.dense_1.bias")
    )
    alone = Training(
        training_file(
            "input x[8]\npart head { dense 3 l1=0.01 | softmax }",
            "loss cross_entropy; seed 1; optimizer sgd lr=0.5; clip global_norm=0.05",
        )
    )
    for name in ("head.dense_1.weight", "head.dense_1.bias"):
        alone.state[name] = training.state[name].copy()
    for _ in range(3):
        training.step(x=X, target=Y)
        alone.step(x=hidden, target=Y)
    for name in ("head.dense_1.weight", "head.dense_1.bias"):
        np.testing.assert_allclose(training.state[name], alone.state[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", "rmsprop", "nadam", "adamax", "lion", "amsgrad"]
)
def test_a_slower_layer_moves_by_its_share(optimizer: str) -> None:
    """The first step of any optimizer is proportional to the rate."""
    start = made(f"optimizer {optimizer}")
    plain = stepped(f"optimizer {optimizer}", 1)
    slow = stepped(f"optimizer {optimizer}; lr_mult high=0.25", 1)
    path = "high.dense_1.weight"
    whole = plain.state[path] - start.state[path]
    np.testing.assert_allclose(
        slow.state[path] - start.state[path], 0.25 * whole, rtol=2e-2, atol=1e-7
    )
    other = "head.dense_1.weight"
    np.testing.assert_allclose(slow.state[other], plain.state[other], rtol=1e-6)


def test_a_slower_layer_is_one_with_a_lower_rate() -> None:
    """Over several steps, weight decay with it."""
    slow = stepped("optimizer adamw lr=1e-2 weight_decay=0.1; lr_mult high=0.1 low=0.1 head=0.1", 6)
    low = stepped("optimizer adamw lr=1e-3 weight_decay=0.1", 6)
    for name in low.state:
        if not name.startswith("optimizer"):
            np.testing.assert_allclose(slow.state[name], low.state[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("row", "frozen"),
    [
        ("freeze low", {"low.dense_1.weight", "low.batch_norm_1.gamma", "low.batch_norm_1.beta"}),
        ("freeze low.dense_1", {"low.dense_1.weight"}),
        ("freeze low.batch_norm_1.gamma", {"low.batch_norm_1.gamma"}),
        ('freeze "*.bias"', {"high.dense_1.bias", "head.dense_1.bias"}),
        ('freeze "*.dense_1"', {
            "low.dense_1.weight",
            "high.dense_1.weight", "high.dense_1.bias",
            "head.dense_1.weight", "head.dense_1.bias",
        }),
        ('freeze "h*"; unfreeze head', {"high.dense_1.weight", "high.dense_1.bias"}),
        ("freeze low high; unfreeze low.dense_1", {
            "low.batch_norm_1.gamma", "low.batch_norm_1.beta",
            "high.dense_1.weight", "high.dense_1.bias",
        }),
    ],
)  # fmt: skip
def test_patterns(row: str, frozen: set[str]) -> None:
    training = made(row)
    trained = {p.name for p in training.graph.updates if p.trainable}
    assert {p.name for p in training.task.model.params if p.trainable} - trained == frozen


def test_single_tensors_leave_their_layer_at_work() -> None:
    """Dropout and batch norm of a layer of which only a tensor is frozen go on."""
    training = stepped("freeze low.batch_norm_1.gamma", 1)
    path = "low.batch_norm_1.running_mean"
    assert not np.array_equal(training.state[path], made("").state[path])


DIGITS = """
data digits { train builtin digits; take 300; valid split=20%; scale (1 / 16) }
model net {
  input image[8 8]
  part body { flatten | dense 32 | relu }
  part head { dense 10 | softmax }
}
train net on digits { loss cross_entropy; seed 2; batch 32; ROWS }
"""


def test_until_thaws_and_both_are_proved() -> None:
    told: list[str] = []

    class Told(NullCallback):
        def stage_begins(self, training: Any, notes: Any) -> None:
            told.extend(notes)

    keeper = Memory()
    done = run(
        DIGITS.replace("ROWS", "optimizer adam; epochs 3; freeze body until=2"),
        keeper=keeper,
        listener=Told(),
    )
    assert [dict(p.unchanged) for p in done.proofs] == [{"body": 2}]
    assert [line for p in done.proofs for line in p.lines()] == ["body: 2 tensors unchanged"]
    start = opened(DIGITS.replace("ROWS", ""))[1].state
    assert not np.array_equal(done.state["body.dense_1.weight"], start["body.dense_1.weight"])
    assert told[0] == "body: frozen (2 tensors)"
    assert told[-1] == "2 tensors unfrozen; their optimizer state starts from scratch"


def test_a_frozen_tensor_that_moved_is_told() -> None:
    job, artifacts = opened(DIGITS.replace("ROWS", "epochs 1; freeze body cache=off"))

    class Meddling(NullCallback):
        def epoch_state(self, record: Any, state: Any) -> None:
            trainer.running.aside["body.dense_1.bias"][0] += 1e-3
            trainer.running.stepper.load(
                {
                    k: v + 1 if k == "body.dense_1.bias" else v
                    for k, v in trainer.running.stepper.state().items()
                }
            )

    trainer = Trainer(job, artifacts, open_backend("cpu", 1), Memory(), Meddling())
    trainer.running.aside["body.dense_1.bias"] = np.zeros(32, np.float32)
    with pytest.raises(DnnError) as caught:
        trainer.run()
    (found,) = caught.value.diagnostics
    assert (found.code, found.tensor) == ("E616", "body.dense_1.bias")  # type: ignore[attr-defined]


def test_a_tied_tensor_that_is_frozen_by_name_stands_still_in_both() -> None:
    net = (
        "input x[6]\npart coder { dense 4 | tanh }\n"
        "part decoder { dense 6 tie=coder.dense_1 | tanh; dense 3 | softmax }"
    )
    training = stepped("freeze coder.dense_1.weight", 2, net)
    start = made("", net)
    assert np.array_equal(
        training.state["coder.dense_1.weight"], start.state["coder.dense_1.weight"]
    )
    assert not np.array_equal(
        training.state["coder.dense_1.bias"], start.state["coder.dense_1.bias"]
    )


def codes(text: str) -> list[str]:
    return [d.code for d in check(Source("test.dnn", text))[1]]


def test_training_through_an_operator_without_a_gradient(tmp_path: Any) -> None:
    """A used graph with an operator that the language lacks."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(RNG.standard_normal((6, 4)).astype(np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node("Hardmax", ["h"], ["out"], name="odd"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 4])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "odd.onnx")
    text = 'use "odd.onnx" as odd\n' + training_file(
        "input x[6]\npart body { reuse odd }\ndense 3 | softmax", "loss cross_entropy; seed 1; ROWS"
    )
    source = Source("t.dnn", text.replace("ROWS", ""), str(tmp_path / "t.dnn"))
    (found,) = check(source)[1]
    assert (found.code, found.operator, found.node, found.tensor) == (  # type: ignore[attr-defined]
        "E510", "Hardmax", "odd", "out",
    )  # fmt: skip
    frozen = Source("t.dnn", text.replace("ROWS", "freeze body"), str(tmp_path / "t.dnn"))
    assert [d.code for d in check(frozen)[1]] == []


def test_what_is_frozen_by_a_phase_stays_frozen_in_the_next() -> None:
    text = DIGITS.replace("ROWS", "phase a { freeze body; epochs 1 }; phase b { epochs 1 }")
    (training,) = program(text).trainings
    assert [sorted(s.freezing.told) for s in training.stages] == [["body"], ["body"]]
