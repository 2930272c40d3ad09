"""Metrics: formulas, ties, and sums that come out the same however rows are cut into batches."""

from __future__ import annotations

import json
import runpy
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import EXAMPLES
from samples import METRICS, MetricSample
from workbench import (
    Memory,
    Training,
    near,
    on_runtime,
    opened,
    program,
    reference,
    run,
    training_file,
)

from deepdsl.compiler.build import build
from deepdsl.compiler.job import open_job
from deepdsl.graph import Builder, Graph, Type, verify
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import NUMPY
from deepdsl.graph.passes import optimize
from deepdsl.nn.losses import Target
from deepdsl.nn.metrics import F1, R2, Auc, ConfusionMatrix, Figure, Metric, Precision, Recall
from deepdsl.training.callbacks import NullCallback
from deepdsl.training.metric_sums import MetricAccumulator
from deepdsl.training.trainer import Trainer

Array = np.ndarray[Any, Any]

rows = pytest.mark.parametrize(
    "sample", METRICS, ids=lambda s: f"{s.metric.show()} {s.kind} {list(s.output.shape)}"
)


def graph(sample: MetricSample) -> Graph:
    b = Builder()
    x = b.input("x", Type(sample.output.shape))
    target = b.input("target", Type(sample.target.shape, sample.target.dtype or "f32"))
    classes = sample.output.shape[-1] if sample.kind in ("index", "one_hot") else None
    assert classes is None or isinstance(classes, int)
    made = sample.metric.expand(b, x, target, Target(sample.kind, target.type, classes))
    return b.graph({"out": made})


def draw(sample: MetricSample) -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    x, target = sample.output.values(rng), sample.target.values(rng)
    return x.astype(np.float32), np.asarray(target, NUMPY[sample.target.dtype or "f32"])


def value(sample: MetricSample, x: Array, target: Array, sizes: tuple[int, ...]) -> Figure:
    """The metric over all rows, taken in batches of these sizes."""
    made = optimize(graph(sample), verify)
    starts = np.cumsum((0, *sizes))
    tally = MetricAccumulator([sample.metric])
    for a, b in pairwise(starts):
        found = on_runtime(made, {"x": x[a:b], "target": target[a:b]})["out"]
        tally.add({"loss": np.float32(0), sample.metric.name: found}, b - a, target[a:b])
    return tally.figures(len(x))[sample.metric.name]


@rows
def test_formula_in_any_batches(sample: MetricSample) -> None:
    x, target = draw(sample)
    wanted = sample.formula(x.astype(np.float64), target)
    for sizes in ((5,), (2, 2, 1), (4, 1)):
        near(value(sample, x, target, sizes), wanted, 1e-6)


@rows
def test_reference_agrees(sample: MetricSample) -> None:
    x, target = draw(sample)
    feeds = {"x": x, "target": target}
    near(on_runtime(graph(sample), feeds)["out"], reference(graph(sample), feeds)["out"], 1e-6)


def area(scores: Array, positive: Array) -> float:
    """Each positive row against each negative one; a tie is half."""
    ahead = scores[positive][:, None] - scores[~positive][None, :].astype(np.float64)
    return float(((np.sign(ahead) + 1) / 2).mean())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=40))
def test_area_with_ties(pairs: list[tuple[int, bool]]) -> None:
    scores = np.array([p[0] for p in pairs], np.float32)
    positive = np.array([p[1] for p in pairs])
    found = Auc().value_of_scores(scores, positive.astype(np.float32)[:, None])
    if positive.all() or not positive.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(area(scores, positive), abs=1e-12)


def test_area_of_many_rows_loses_no_digits() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 3000).astype(np.float32)
    positive = rng.random(3000) < 0.3
    found = Auc().value_of_scores(scores, positive.astype(np.float32))
    assert found == pytest.approx(area(scores, positive), abs=1e-12)


def test_area_of_several_outputs_is_the_mean_of_their_own() -> None:
    """An output that knows all beside one that knows nothing, and one without positive rows."""
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < 0.3).astype(np.float32)
    scores = rng.standard_normal((200, 3)).astype(np.float32)
    scores[:, 0] = 100 + targets[:, 0]
    targets[:, 2] = 0
    own = [area(scores[:, i], targets[:, i] > 0) for i in (0, 1)]
    assert own[0] == 1.0
    found = Auc().value_of_scores(scores, targets)
    assert found == pytest.approx((own[0] + own[1]) / 2, abs=1e-12)
    # As scikit-learn's roc_auc_score, on its page's scores for two labels.
    truth = np.array([[0, 1], [0, 0], [1, 1], [1, 0]], np.float32)
    told = np.array([[0.1, 0.9], [0.4, 0.2], [0.35, 0.8], [0.8, 0.3]], np.float32)
    assert Auc().value_of_scores(told, truth) == pytest.approx((0.75 + 1.0) / 2)
    assert np.isnan(Auc().value_of_scores(scores[:, 2:], targets[:, 2:]))


def test_area_of_outputs_over_axes() -> None:
    """An output of shape (rows, 2, 3) has six areas."""
    b = Builder()
    x = b.input("x", Type(("N", 2, 3)))
    target = b.input("target", x.type)
    made = b.graph({"auc": Auc().expand(b, x, target, Target("binary", x.type))})
    assert made.outputs["auc"].type.shape == ("N", 6)
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((30, 2, 3)).astype(np.float32)
    targets = (rng.random((30, 2, 3)) < 0.5).astype(np.float32)
    found = on_runtime(made, {"x": scores, "target": targets})["auc"]
    own = [area(scores[:, i, j], targets[:, i, j] > 0) for i in (0, 1) for j in (0, 1, 2)]
    assert Auc().value_of_scores(found, targets) == pytest.approx(np.mean(own), abs=1e-12)


# Counts -------------------------------------------------------------------------------------------


def counts(truth: list[int], told: list[int], classes: int) -> Array:
    return np.asarray(np.eye(classes)[truth].T @ np.eye(classes)[told])


@pytest.mark.parametrize(
    ("metric", "wanted"),
    [
        (Precision(), 2 / 9),
        (Precision(average="micro"), 1 / 3),
        (Precision(average="weighted"), 2 / 9),
        (Recall(), 1 / 3),
        (Recall(average="micro"), 1 / 3),
        (Recall(average="weighted"), 1 / 3),
        (F1(), 4 / 15),
        (F1(average="micro"), 1 / 3),
        (F1(average="weighted"), 4 / 15),
    ],
    ids=lambda v: v.show() if isinstance(v, Metric) else None,
)
def test_the_example_of_scikit_learn(metric: Metric, wanted: float) -> None:
    """Of the pages of precision_score, recall_score and f1_score."""
    totals = counts([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], classes=3)
    near(metric.value(totals, 6), wanted, 1e-12)


def test_what_divides_by_nothing_is_zero() -> None:
    nothing_found = np.array([[[5.0, 0.0], [3.0, 0.0]]])
    nothing_there = np.array([[[5.0, 3.0], [0.0, 0.0]]])
    neither = np.array([[[8.0, 0.0], [0.0, 0.0]]])
    for average in ("macro", "weighted", "micro"):
        for metric in (Precision(average=average), Recall(average=average), F1(average=average)):
            for totals in (nothing_found, nothing_there, neither):
                assert metric.value(totals, 8) == 0.0


def test_a_class_that_is_neither_there_nor_told_does_not_count() -> None:
    few = counts([0, 0, 1], [0, 1, 1], classes=2)
    among_many = counts([0, 0, 1], [0, 1, 1], classes=9)
    for metric in (Precision(), Recall(), F1(), F1(average="weighted"), F1(average="micro")):
        assert metric.value(among_many, 3) == metric.value(few, 3)
    # But one that is only told does: its precision is 0.
    near(Precision().value(counts([0, 0, 1], [0, 2, 1], classes=9), 3), 2 / 3, 1e-12)


def test_metrics_of_counts_count_once() -> None:
    """However many are asked for, the graph has one product and one row for each class."""
    names = "precision recall f1(average=weighted) confusion_matrix"
    text = "input x[4]\n dense 3 | softmax"
    sizes = []
    for metrics in ("confusion_matrix", names):
        made = Training(training_file(text, f"loss cross_entropy; metric {metrics}"))
        sizes.append((len(made.graph.nodes), len(made.evaluation.nodes)))
        first, *others = (made.graph.outputs[m.name] for m in made.task.training.metrics)
        assert all(other is first for other in others)
    assert sizes[0] == sizes[1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30),
    st.lists(st.integers(1, 30), max_size=5),
)
def test_counts_do_not_depend_on_the_batches(pairs: list[tuple[int, int]], cuts: list[int]) -> None:
    truth, told = np.array(pairs).T
    whole = counts(list(truth), list(told), classes=3)
    for metric in (ConfusionMatrix(), Precision(), F1(average="weighted")):
        tally = MetricAccumulator([metric])
        for part in np.split(np.arange(len(pairs)), sorted(c for c in cuts if c < len(pairs))):
            found = counts(list(truth[part]), list(told[part]), classes=3).astype(np.float32)
            tally.add({"loss": np.float32(0), metric.name: found}, len(part))
        assert tally.figures(len(pairs))[metric.name] == metric.value(whole, len(pairs))


# Variance -----------------------------------------------------------------------------------------


def explained(output: Array, target: Array, sizes: int) -> Figure:
    """R2 in batches of one size."""
    b = Builder()
    x = b.input("x", Type(("N", *output.shape[1:])))
    wanted = b.input("target", x.type)
    made = b.graph({"r2": R2().expand(b, x, wanted, Target("value", x.type))})
    tally = MetricAccumulator([R2()])
    for start in range(0, len(output), sizes):
        part = slice(start, start + sizes)
        found = on_runtime(made, {"x": output[part], "target": target[part]})
        tally.add({"loss": np.float32(0), **found}, len(output[part]))
    return tally.figures(len(output))["r2"]


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e5])
@pytest.mark.parametrize("sizes", [7, 500])
def test_explained_variance_far_from_zero(mean: float, sizes: int) -> None:
    """In float32 the squares of 100,000 would leave nothing of a spread of 1."""
    rng = np.random.default_rng(0)
    target = (mean + rng.standard_normal((500, 2))).astype(np.float32)
    output = (target + 0.5 * rng.standard_normal((500, 2))).astype(np.float32)
    t, x = target.astype(np.float64), output.astype(np.float64)
    wanted = (1 - ((x - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)).mean()
    near(explained(output, target, sizes), wanted, 1e-5)


def test_explained_variance_of_targets_that_are_all_equal() -> None:
    target = np.full((100, 1), 0.1, np.float32)
    assert explained(target, target, 7) == 1.0
    assert explained(target + np.float32(1), target, 7) == 0.0


# In another host ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sample",
    [s for s in METRICS if not s.metric.collects],
    ids=lambda s: f"{s.metric.show()} {s.kind} {list(s.output.shape)}",
)
def test_a_host_makes_the_same_figure(sample: MetricSample) -> None:
    """Of the totals, by the word that the manifest has for it."""
    host = runpy.run_path(str(EXAMPLES / "run_step.py"))
    x, target = draw(sample)
    totals = on_runtime(graph(sample), {"x": x, "target": target})["out"].astype(np.float64)
    figure = host["figure"](sample.metric.finish, totals, len(x))
    near(figure, sample.formula(x.astype(np.float64), target), 1e-6)


# Taken up again -----------------------------------------------------------------------------------


def test_totals_survive_a_checkpoint() -> None:
    """What a checkpoint keeps is JSON; scores that are collected are not kept."""
    metrics = [F1(), ConfusionMatrix(), Auc()]
    table = np.array([[3, 1], [0, 4]], np.float32)
    first = {"loss": np.float32(0.1), "f1": table, "confusion_matrix": table}
    made = {**first, "auc": np.zeros(8, np.float32)}
    whole, begun = MetricAccumulator(metrics), MetricAccumulator(metrics)
    for _ in range(3):
        whole.add(made, 8, np.zeros((8, 1), np.float32))
    begun.add(made, 8, np.zeros((8, 1), np.float32))
    again = MetricAccumulator(metrics, json.loads(json.dumps(begun.as_json())))
    for _ in range(2):
        again.add(made, 8)
    assert again.figures(24) == {k: v for k, v in whole.figures(24).items() if k != "auc"}
    assert again.figures(24)["confusion_matrix"] == [[9, 3], [0, 12]]
    assert list(again.running(24)) == ["loss", "f1"]


class StopAt(NullCallback):
    """Asks for an end after a number of steps, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.trainer: Trainer | None = None

    def step_done(self, *what: Any) -> None:
        self.left -= 1
        if self.left == 0 and self.trainer is not None:
            self.trainer.interrupted = True


def test_an_epoch_in_two_parts_has_the_figures_of_a_whole_one() -> None:
    source = DIGITS.format(rows=200, lr="0.1", batch=32)
    names = "accuracy; metric top5 f1(average=weighted) precision confusion_matrix"
    source = source.replace("metric accuracy", f"metric {names}")
    whole = run(source)
    assert list(whole.train) == ["loss", "accuracy", "top5", "f1", "precision", "confusion_matrix"]
    job, artifacts = opened(source)
    keeper, listener = Memory(), StopAt(7)
    listener.trainer = Trainer(job, artifacts, open_backend("cpu", 1), keeper, listener)
    assert listener.trainer.run().interrupted
    start = keeper.kept["last"]
    assert start.steps_done == 2
    start = replace(start, sums=json.loads(json.dumps(start.sums)))
    resumed = run(source, start=start)
    assert resumed.train["confusion_matrix"] == whole.train["confusion_matrix"]
    assert resumed.valid == whole.valid
    for name in ("loss", "accuracy", "top5", "f1", "precision"):
        assert resumed.train[name] == pytest.approx(whole.train[name], rel=1e-12)
    table = np.array(whole.train["confusion_matrix"])
    assert table.sum() == 150
    assert whole.train["accuracy"] == pytest.approx(table.trace() / 150, abs=1e-12)


def test_a_metric_that_was_not_asked_for_then_is_left_out() -> None:
    tally = MetricAccumulator([F1()], {"loss": 1.5})
    assert list(tally.figures(3)) == ["loss"]


DIGITS = """
data digits {{ train builtin digits; take {rows}; valid first=50; scale (1 / 16) }}
model net {{ input image[8 8]; flatten | dense 16 | tanh | dense 10 | softmax }}
train net on digits {{
  loss cross_entropy; metric accuracy; optimizer sgd lr={lr}; batch {batch}; epochs 2; seed 1
}}
"""


@pytest.mark.parametrize("batch", [7, 50, 150, 1000])
def test_an_epoch_s_figures_do_not_depend_on_the_batch(batch: int) -> None:
    """With a rate of next to nothing the model stays, so every cut of the rows gives one figure."""
    keeper = Memory()
    outcome = run(DIGITS.format(rows=200, lr="1e-30", batch=batch), keeper=keeper)
    job, artifacts = opened(DIGITS.format(rows=200, lr="1e-30", batch=batch))
    trainer = Trainer(job, artifacts, open_backend("cpu", 1), Memory())
    assert job.splits.train is not None
    assert job.splits.valid is not None
    whole = trainer.evaluate(job.splits.train)
    assert len(job.splits.train) == 150
    for record in keeper.records:
        assert record.train["accuracy"] == pytest.approx(whole["accuracy"], abs=1e-9)
        near(record.train["loss"], whole["loss"], 1e-6)
    near(outcome.valid["loss"], trainer.evaluate(job.splits.valid)["loss"], 1e-6)


def test_area_over_an_epoch_of_ragged_batches() -> None:
    """The trainer collects each batch's scores, the last and shorter one with them."""
    text = """
    data d { train npz "d.npz"; valid first=8 }
    model m { input x[3]; dense 1 | sigmoid }
    train m on d {
      loss binary_cross_entropy; metric auc accuracy; optimizer sgd lr=1e-30; batch 7; epochs 1
    }
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3)).astype(np.float32)
    y = (x[:, :1] + 0.5 * rng.standard_normal((40, 1)) > 0).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "d.npz", x=x, y=y)
        whole = program(text)
        job = open_job(whole, whole.trainings[0], Path(folder))
        keeper = Memory()
        outcome = Trainer(job, build(job), open_backend("cpu", 1), keeper).run()
    scores = x.astype(np.float64) @ outcome.state["dense_1.weight"]
    assert outcome.train["auc"] == pytest.approx(area(scores[8:, 0], y[8:, 0] > 0), abs=1e-12)
    assert outcome.valid["auc"] == pytest.approx(area(scores[:8, 0], y[:8, 0] > 0), abs=1e-12)
    assert outcome.train["accuracy"] == pytest.approx(((scores > 0) == (y > 0))[8:].mean())


def test_metrics_of_a_step_are_of_the_model_before_it() -> None:
    text = """
    data d { train npz "none.npz" }
    model m { input x[3]; dense 2 }
    train m on d { loss mean_squared_error; metric mae; optimizer sgd lr=0.5 }
    """
    made = Training(text)
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((4, n)).astype(np.float32) for n in (3, 2))
    before = made.evaluate(x=x, target=y)
    result = made.step(x=x, target=y)
    near(result["mae"], before["mae"], 1e-6)
    near(result["loss"], before["loss"], 1e-6)
    near(
        float(before["mae"]), np.abs(made.infer(x=x) * 0 + before["output"] - y).mean(1).sum(), 1e-5
    )


def test_every_sample_is_of_a_kind_that_the_metric_takes() -> None:
    for sample in METRICS:
        assert sample.kind in sample.metric.targets
