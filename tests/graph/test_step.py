"""The graphs of a training: what goes in, what comes out, and what each is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from workbench import Training, near, opened, training_file

from deepdsl.graph import verify
from deepdsl.graph.emit import emit

NETWORK = "input x[4]\n dense 8 | batch_norm | relu | dropout 30% | dense 3 | softmax"


def made(rows: str = "", model: str = NETWORK, data: str = "") -> Training:
    return Training(training_file(model, f"loss cross_entropy; metric accuracy; {rows}", data))


def test_the_three_graphs_are_well_formed() -> None:
    whole = made("optimizer adamw; clip global_norm=1; schedule exponential", data="scale 0.5")
    for graph in (whole.graph, whole.evaluation, whole.inference):
        verify(graph)
        emit(graph, "m").check()
    emit(whole.inference, "m", whole.state).check()


def test_what_goes_in_and_out() -> None:
    whole = made("optimizer sgd momentum=0.9")
    assert [v.name for v in whole.graph.inputs] == ["x", "target"]
    assert list(whole.graph.outputs) == ["loss", "accuracy", "lr", "all_finite"]
    assert list(whole.evaluation.outputs) == ["loss", "accuracy", "output"]
    assert not whole.evaluation.updates
    assert [v.name for v in whole.inference.inputs] == ["x"]
    assert not [p for p in whole.inference.params if p.role in ("slot", "counter")]


def test_every_trained_tensor_statistic_and_slot_is_updated() -> None:
    whole = made("optimizer adam")
    updated = {p.name for p in whole.graph.updates}
    trained = {p.name for p in whole.graph.params if p.trainable}
    assert len(trained) == 6
    slots = {f"optimizer.{s}.{p}" for s in ("first_moment", "second_moment") for p in trained}
    statistics = {f"batch_norm_1.running_{s}" for s in ("mean", "variance")}
    assert updated == trained | slots | statistics | {"step"}


@pytest.mark.parametrize(
    "optimizer",
    [
        "sgd",
        "sgd momentum=0.9",
        "adam",
        "adamw",
        "amsgrad",
        "nadam",
        "lion",
        "rmsprop momentum=0.9",
    ],
)
def test_the_state_is_no_larger_than_the_optimizer_needs(optimizer: str) -> None:
    whole = made(f"optimizer {optimizer}")
    slots = [p for p in whole.graph.params if p.role == "slot"]
    assert len(slots) == 6 * len(whole.task.training.optimizer.slots())


def test_dropout_and_batch_statistics_are_of_the_step_alone() -> None:
    whole = made()
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((9, 4)).astype(np.float32), rng.integers(0, 3, 9)
    first = whole.evaluate(x=x, target=target)
    again = whole.evaluate(x=x, target=target)
    assert np.array_equal(first["output"], again["output"])
    near(first["output"], whole.infer(x=x), 1e-6)
    near(first["output"].sum(1), np.ones(9), 1e-6)
    # The random numbers are gone from both.
    for graph in (whole.evaluation, whole.inference):
        assert "uniform_like" not in [n.op.title for n in graph.nodes]
        assert "step" not in [p.name for p in graph.params]


def test_transforms_are_in_the_step_and_in_the_exported_graph() -> None:
    plain, scaled = made(), made(data="scale 0.25")
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    target = np.zeros(5, np.int64)
    near(scaled.infer(x=4 * x), plain.infer(x=x), 1e-6)
    first, second = scaled.step(x=4 * x, target=target), plain.step(x=x, target=target)
    near(first["loss"], second["loss"], 1e-6)


def test_a_model_that_learns_its_input() -> None:
    text = training_file(
        "input x[2 2]\n flatten | dense 3 | tanh | dense 4",
        "loss mean_squared_error; optimizer sgd lr=0.1",
        "scale 0.5; target input",
    )
    whole = Training(text)
    assert [v.name for v in whole.graph.inputs] == ["x"]
    x = np.random.default_rng(0).standard_normal((8, 2, 2)).astype(np.float32)
    output = whole.infer(x=x)
    wanted = ((output - 0.5 * x.reshape(8, 4)) ** 2).mean()
    near(whole.evaluate(x=x)["loss"], wanted, 1e-6)
    losses = [float(whole.step(x=x)["loss"]) for _ in range(30)]
    near(losses[0], wanted, 1e-6)
    assert losses[-1] < losses[0]


def test_a_step_lowers_the_loss_by_the_square_of_the_gradient() -> None:
    """To first order: loss(w - r g) = loss(w) - r |g|^2."""
    rate = 1e-4
    text = training_file(
        "input x[4]\n dense 8 | tanh | dense 3 | softmax",
        f"loss cross_entropy; optimizer sgd lr={rate}",
    )
    whole = Training(text)
    rng = np.random.default_rng(0)
    batch: dict[str, Any] = {
        "x": (4 * rng.standard_normal((16, 4))).astype(np.float32),
        "target": rng.integers(0, 3, 16),
    }
    square = sum(float((g.astype(np.float64) ** 2).sum()) for g in whole.gradient(**batch).values())
    before = float(whole.step(**batch)["loss"])
    after = float(whole.evaluate(**batch)["loss"])
    assert (before - after) / rate == pytest.approx(square, rel=0.05)


def test_one_row_and_no_more() -> None:
    whole = made("optimizer adam; clip norm=1")
    result = whole.step(x=np.ones((1, 4), np.float32), target=np.zeros(1, np.int64))
    assert result["all_finite"]
    assert all(np.isfinite(v).all() for v in whole.state.values())


def test_names_of_inner_values_keep_apart_from_those_of_inputs() -> None:
    text = training_file("input relu_1[3]\n dense 2 | relu", "loss mean_squared_error")
    whole = Training(text)
    whole.step(relu_1=np.ones((2, 3), np.float32), target=np.zeros((2, 2), np.float32))


def test_the_manifest_tells_what_feeds_what() -> None:
    text = """
    data d { train builtin digits; take 100; scale (1 / 16) }
    model m { input image[8 8]; flatten | dense 10 | softmax }
    train m on d { loss cross_entropy; optimizer sgd momentum=0.9; batch 32 }
    """
    job, artifacts = opened(text)
    manifest = artifacts.manifest
    outputs = {o.name for o in artifacts.step.proto.graph.output}
    inputs = {i.name for i in artifacts.step.proto.graph.input}
    for state in manifest["state"]:
        assert state["name"] in inputs
        assert state["next"] in outputs
    assert job.steps_per_epoch == manifest["steps_per_epoch"] == 4
    assert {i["name"] for i in manifest["step"]["inputs"]} == {"image", "target"}
    assert manifest["parameters"]["trainable"] == 650


def test_the_manifest_tells_of_updates_and_the_plateau() -> None:
    text = """
    data d { train builtin digits; take 100; valid first=20 }
    model m { input image[8 8]; flatten | dense 10 | softmax }
    train m on d { loss cross_entropy; metric accuracy; %s }
    """
    plain = opened(text % "schedule cosine")[1].manifest
    assert (plain["accumulate"], plain["plateau"]) == (1, None)
    rows = "accumulate 2; schedule plateau patience=3 on=valid.accuracy min_lr=1e-3"
    told = opened(text % rows)[1].manifest
    assert told["accumulate"] == 2
    assert told["plateau"]["best"] == "max"
    assert told["plateau"]["lowest"] == pytest.approx(0.1)
    (state,) = [s for s in told["state"] if s["name"] == told["plateau"]["state"]]
    assert state["next"] is None
