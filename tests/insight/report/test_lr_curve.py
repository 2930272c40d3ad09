"""The search for a learning rate: what is run, and what is read from its curve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdsl.compiler.build import build
from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.job import Job, open_job
from deepdsl.core.source import Source
from deepdsl.data.order import epoch_order
from deepdsl.graph.backend import Backend, open_backend
from deepdsl.training.lr_finder import Search, find_rate, read_curve, steps_of

SPEC = """
data digits {{ train builtin digits; valid split=10%; scale (1 / 16) }}
model net {{ input image[8 8]; flatten | {layers}dense 10 | softmax }}
train net on digits {{ loss cross_entropy; batch {batch}; seed 3; {rows} }}
"""


def job_of(
    rows: str = "optimizer sgd lr=0.1", layers: str = "dense 32 | relu | ", batch: int = 64
) -> Job:
    text = SPEC.format(rows=rows, layers=layers, batch=batch)
    program, _ = load_program(Source("net.dnn", text))
    (training,) = program.trainings
    return open_job(program, training, Path(), ("train",))


class Watched:
    """A backend that keeps the steppers that it made."""

    def __init__(self) -> None:
        self.inner = open_backend("cpu", 1)
        self.name = self.inner.name
        self.steppers: list[Any] = []
        self.given: list[Mapping[str, Any]] = []

    def runner(self, onnx: bytes) -> Any:
        return self.inner.runner(onnx)

    def stepper(self, model: Any, state: Mapping[str, Any]) -> Any:
        self.given.append({k: v.copy() for k, v in state.items()})
        self.steppers.append(self.inner.stepper(model, state))
        return self.steppers[-1]


def test_the_search_is_what_numpy_makes_of_it() -> None:
    """Softmax regression by hand: the same rates, the same losses, batch after batch."""
    job = job_of(layers="")
    backend = Watched()
    found = find_rate(job, backend, 1e-3, 1.0, 40)  # type: ignore[arg-type]
    assert found.rates == pytest.approx(1e-3 * (1e3 ** (np.arange(40) / 39)), rel=1e-6)
    view = job.splits.train
    assert view is not None
    data = {
        "image": np.empty((len(view), 8, 8), np.float32),
        "target": np.empty(len(view), np.int64),
    }
    view.read(np.arange(len(view)), data)
    x, y = data["image"].reshape(len(view), 64).astype(np.float64) / 16, data["target"]
    w, b = (backend.given[0][f"dense_1.{k}"].astype(np.float64) for k in ("weight", "bias"))
    order = np.concatenate([epoch_order(3, e, len(view)) for e in range(3)])
    sizes = [64] * (len(view) // 64) + [len(view) % 64] * (len(view) % 64 > 0)
    ends = np.cumsum(sizes * 3)
    for at, rate in enumerate(found.rates):
        rows = order[ends[at] - (sizes * 3)[at] : ends[at]]
        z = x[rows] @ w + b
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(len(rows)), y[rows]]).mean()
        assert found.losses[at] == pytest.approx(loss, rel=2e-4), at
        p[np.arange(len(rows)), y[rows]] -= 1
        w -= rate * x[rows].T @ p / len(rows)
        b -= rate * p.mean(axis=0)


@pytest.mark.parametrize("rows", ["optimizer sgd lr=0.1 momentum=0.9", "optimizer adam lr=1e-3"])
def test_the_weights_are_restored_bit_for_bit(rows: str) -> None:
    job = job_of(rows, layers="dense 32 | batch_norm | relu | dropout 20% | ")
    backend = Watched()
    find_rate(job, backend)  # type: ignore[arg-type]
    (stepper,), (given,) = backend.steppers, backend.given
    after, before = stepper.state(), stepper.before()
    assert set(after) == set(given)
    for name, value in given.items():
        assert after[name].tobytes() == value.tobytes(), name
    # It was trained in between.
    assert before["dense_1.weight"].tobytes() != given["dense_1.weight"].tobytes()
    # What a training begins with is not touched either.
    fresh = build(job).state
    assert all(fresh[k].tobytes() == v.tobytes() for k, v in given.items())


@pytest.mark.parametrize(
    ("rows", "least", "most"),
    [
        ("optimizer sgd lr=0.1", 0.01, 0.5),
        ("optimizer sgd lr=0.1 momentum=0.9", 0.003, 0.2),
        ("optimizer adam lr=1e-3", 3e-4, 0.02),
        ("optimizer adam lr=1e-3; clip global_norm=1", 3e-4, 0.02),
        ("optimizer sgd lr=0.1; schedule piecewise 0:5 1:7", 0.01, 0.5),
    ],
)
def test_the_suggestion_is_sane(rows: str, least: float, most: float) -> None:
    found = find_rate(job_of(rows), open_backend("cpu", 1))
    assert found.suggestion is not None, found.reason
    assert least <= found.suggestion <= most
    assert found.steepest is not None
    assert least <= found.steepest <= 10 * most
    assert found.losses[0] == pytest.approx(found.smoothed[0], rel=0.1)


def test_how_many_steps() -> None:
    assert [steps_of(n) for n in (1, 41, 100, 640, 1000, 50_000)] == [
        *(100, 100, 100, 640, 1000, 1000),
    ]
    assert len(find_rate(job_of(), open_backend("cpu", 1), 1e-6, 1e-3).rates) == 100
    assert len(find_rate(job_of(batch=1), open_backend("cpu", 1), 1e-6, 1e-5).rates) == 1000
    assert len(find_rate(job_of(), open_backend("cpu", 1), 1e-6, 1e-3, 7).rates) == 7


def test_several_batches_make_one_step() -> None:
    """The rate grows with each update, and the losses of its batches are one."""
    job = job_of("optimizer sgd lr=0.1; accumulate 4", batch=16)
    found = find_rate(job, open_backend("cpu", 1), 1e-5, 1.0, 50)
    assert found.rates == pytest.approx(list(np.geomspace(1e-5, 1, 50)), rel=1e-5)
    # Four batches of 16 are one of 64, but for the ends of epochs: that has the same gradient.
    other = find_rate(job_of(), open_backend("cpu", 1), 1e-5, 1.0, 50)
    assert found.losses[:20] == pytest.approx(other.losses[:20], rel=1e-4)


def test_a_rate_that_breaks_everything() -> None:
    """The loss is infinite or NaN after a step or two."""
    job = job_of("optimizer sgd lr=0.1", layers="dense 32 | relu | dense 32 | relu | ")
    backend = Watched()
    found = find_rate(job, backend, 1e25, 1e38)  # type: ignore[arg-type]
    assert found.suggestion is None
    assert "begin with a smaller rate (--from)" in found.reason
    assert found.diverged_at == found.rates[-1]
    assert len(found.rates) < 10
    for name, value in backend.given[0].items():
        assert backend.steppers[0].state()[name].tobytes() == value.tobytes()


# Reading a curve ----------------------------------------------------------------------------------

RATES = list(np.geomspace(1e-6, 10, 200))


def read(losses: Any, diverged: bool = False) -> Search:
    return read_curve(RATES[: len(losses)], [float(v) for v in losses], diverged)


def valley(noise: float = 0.0) -> np.ndarray[Any, Any]:
    """Flat at 2.3, down to 0.8 at a rate of 0.1, up again; steepest at 0.01."""
    t = np.log10(RATES)
    down = 2.3 - 1.5 / (1 + np.exp(-4 * (t + 2)))
    up = np.where(t > -1, 3 * (t + 1) ** 2, 0)
    return down + up + noise * np.random.default_rng(1).normal(size=len(t))


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
def test_a_valley(noise: float) -> None:
    found = read(valley(noise))
    assert found.steepest == pytest.approx(0.01, rel=0.6)
    assert found.tenth == pytest.approx(0.01, rel=0.8)
    assert found.suggestion == found.tenth
    assert found.reason.startswith("a tenth of the rate at which the smoothed loss is lowest")


def test_a_curve_that_still_falls() -> None:
    found = read(valley()[:140])
    assert found.suggestion == found.steepest
    assert "raise --to" in found.reason


def test_nothing_usable() -> None:
    noise = np.random.default_rng(0).normal(size=200)
    for losses in (np.full(200, 2.3), 2.3 + 0.2 * noise, 2.3 + np.linspace(0, 1, 200)):
        found = read(losses)
        assert found.suggestion is None
        assert "no usable curve" in found.reason


def test_not_finite() -> None:
    nan = read([float("nan")], diverged=True)
    assert (nan.suggestion, nan.diverged_at) == (None, RATES[0])
    assert "not finite in the first step" in nan.reason
    tail = [*valley()[:170], float("inf")]
    found = read(tail, diverged=True)
    assert found.suggestion == read(valley()[:170]).suggestion
    assert found.diverged_at == RATES[170]
    assert np.isnan(found.smoothed[-1])


def test_an_explosion_at_the_end_moves_nothing() -> None:
    calm = read(valley()[:160])
    wild = read([*valley()[:160], 1e3, 1e9, 1e30], diverged=True)
    assert wild.suggestion == pytest.approx(calm.tenth, rel=0.3)
    assert wild.ceiling < 50


def test_smoothing_does_not_lag() -> None:
    """A straight line stays where it is, but for its ends."""
    line = np.linspace(3, 1, 200)
    found = read(line)
    np.testing.assert_allclose(found.smoothed[40:-40], line[40:-40], atol=0.01)


def test_a_loss_below_nothing() -> None:
    """Likelihoods may be negative: divergence is judged by the way that the loss has come."""
    found = read(valley() - 5)
    assert found.suggestion == pytest.approx(read(valley()).suggestion, rel=0.2)


def test_backends_are_asked_for_a_step_only() -> None:
    backend: Backend = open_backend("cpu", 1)
    assert find_rate(job_of(), backend, 1e-4, 1e-3, 5).diverged_at is None
