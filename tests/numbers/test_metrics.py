"""Metrics: formulas, ties, and sums that come out the same however rows are cut into batches."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import METRICS, MetricSample
from workbench import Memory, Training, near, on_runtime, opened, program, reference, run

from deepdsl.backend import open_backend
from deepdsl.compiler import build, open_job
from deepdsl.emit import NUMPY
from deepdsl.ir import Builder, Graph, Type
from deepdsl.losses import Target
from deepdsl.metrics import Auc
from deepdsl.trainer import Trainer

Array = np.ndarray[Any, Any]

rows = pytest.mark.parametrize("sample", METRICS, ids=lambda s: f"{s.metric.name} {s.kind}")


def graph(sample: MetricSample) -> Graph:
    b = Builder()
    x = b.input("x", Type(sample.output.shape))
    target = b.input("target", Type(sample.target.shape, sample.target.dtype or "f32"))
    made = sample.metric.expand(b, x, target, Target(sample.kind, target.type))
    return b.graph({"out": made})


def draw(sample: MetricSample) -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    x, target = sample.output.values(rng), sample.target.values(rng)
    return x.astype(np.float32), np.asarray(target, NUMPY[sample.target.dtype or "f32"])


def value(sample: MetricSample, x: Array, target: Array, sizes: tuple[int, ...]) -> float:
    """The metric over all rows, taken in batches of these sizes."""
    made = graph(sample)
    starts = np.cumsum((0, *sizes))
    parts = [
        on_runtime(made, {"x": x[a:b], "target": target[a:b]})["out"] for a, b in pairwise(starts)
    ]
    if sample.metric.collects:
        return sample.metric.value(np.concatenate(parts), target)
    return float(sum(parts) / len(x))


@rows
def test_formula_in_any_batches(sample: MetricSample) -> None:
    x, target = draw(sample)
    wanted = float(sample.formula(x.astype(np.float64), target))
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
    found = Auc().value(scores, positive.astype(np.float32)[:, None])
    if positive.all() or not positive.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(area(scores, positive), abs=1e-12)


def test_area_of_many_rows_loses_no_digits() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 3000).astype(np.float32)
    positive = rng.random(3000) < 0.3
    found = Auc().value(scores, positive.astype(np.float32))
    assert found == pytest.approx(area(scores, positive), abs=1e-12)


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
    import tempfile
    from pathlib import Path

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
