"""Training on kept outputs of frozen layers gives the bits that training without them gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from frozen import frozen_job, trained, uncached
from workbench import training_file

import deepdsl.training.feature_cache.check
from deepdsl.compiler.job import Job
from deepdsl.data.order import epoch_order
from deepdsl.data.table import Rows
from deepdsl.graph.backend import open_backend
from deepdsl.training.feature_cache.cached_rows import KeptView
from deepdsl.training.feature_cache.job import Cached, Refused, cached_job
from deepdsl.training.feature_cache.maker import Maker

SGD = "optimizer sgd lr=0.05 momentum=0.9; batch 16; epochs 3; seed 3"
CLASSES = f"loss cross_entropy; metric accuracy; {SGD}"

# A model's body, what is frozen, the train section's rows, and the data's.
NETS = {
    "dense": (
        "input x[20]; part body { dense 32 | relu | dense 16 | relu }; dense 5 | softmax",
        "body",
        CLASSES,
        "standardize",
    ),
    "elu, whose last numbers depend on the batch": (
        "input x[20]; part body { dense 37 | elu | dense 21 | elu }; dense 5 | softmax",
        "body",
        CLASSES,
        "standardize",
    ),
    "batch norm on both sides, adam, clipped": (
        "input x[20]; part body { dense 24 | batch_norm | relu };"
        " dense 12 | batch_norm | relu | dense 5 | softmax",
        "body",
        "loss cross_entropy; metric accuracy; optimizer adam lr=0.01; batch 16; epochs 3; seed 3;"
        " clip global_norm=0.5",
        "standardize",
    ),
    "a convolution, dropout behind": (
        "input x[2 8 8]; part body { conv 6 3x3 | batch_norm | relu | max_pool 2x2 };"
        " flatten | dropout 30% | dense 5 | softmax",
        "body",
        CLASSES,
        "scale 0.5",
    ),
    "dropout inside": (
        "input x[20]; part body { dense 32 | relu | dropout 50% | dense 16 };"
        " dropout 20% | dense 5 | softmax",
        "body",
        CLASSES,
        "",
    ),
    "two towers with shared weights": (
        "input left[12]; input right[12]; part tower { dense 16 | tanh | dense 8 };"
        " a = left | tower; b = right | tower; concat a b | dense 6 | relu | dense 1 | sigmoid",
        "tower",
        f"loss binary_cross_entropy; metric accuracy; {SGD}",
        "standardize",
    ),
    "one of two inputs, scaled rows in the rest": (
        "input left[12]; input right[8]; part one { dense 16 | relu };"
        " part two { dense 16 | relu }; a = left | one; b = right | two; a + b | dense 3",
        "one",
        f"loss mean_squared_error; {SGD}; accumulate 2",
        "standardize; scale 0.3",
    ),
    "words": (
        "input words[9] dtype=int64; embedding 30 8 | lstm 12; dense 6 | relu | dense 4 | softmax",
        "embedding_1 lstm_1",
        CLASSES,
        "",
    ),
    "a sequence of features": (
        "input x[6 5]; part body { gru 8 sequence=true };"
        " attention heads=2 | flatten | dense 4 | softmax",
        "body",
        CLASSES,
        "",
    ),
    "penalties and rates": (
        "input x[20]; part body { dense 32 l2=0.01 | relu };"
        " dense 16 l2=0.01 | relu | dense 5 | softmax",
        "body",
        f"{CLASSES}; schedule cosine",
        "",
    ),
}  # fmt: skip


def made(job: Job, state: dict[str, np.ndarray], threads: int, place: Path | None = None) -> object:
    return cached_job(job, job.task.training, state, open_backend("cpu", threads), place)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("body", "frozen", "train", "data"), NETS.values(), ids=NETS)
def test_the_figures_and_weights_are_the_same(
    body: str, frozen: str, train: str, data: str, threads: int
) -> None:
    text = training_file(body, train, f"valid split=20%; {data}")
    job, state = frozen_job(text, *frozen.split(), rows=113)
    cached = made(job, state, threads)
    assert isinstance(cached, Cached), cached
    backend = open_backend("cpu", threads)
    whole, kept = trained(uncached(job), state, backend), trained(cached.job, state, backend)
    assert kept.told == whole.told
    assert set(kept.state) <= set(whole.state)
    still = job.task.training.freezing.tensors
    for name, value in whole.state.items():
        if name in kept.state:
            np.testing.assert_array_equal(kept.state[name], value, err_msg=name)
        else:
            assert name in still or name.startswith("data."), name
            np.testing.assert_array_equal(value, state[name], err_msg=name)


SIZE = "the outputs of the frozen layers would take 9.9 kB, and "
DENSE = "input x[20]; part body { dense 32 | relu }; dense 5 | softmax"
ELU = "input x[20]; part body { dense 37 | elu }; dense 5 | softmax"


def test_the_rows_are_in_their_order() -> None:
    job, state = frozen_job(training_file(DENSE, CLASSES, "valid split=20%"), "body", rows=50)
    cached = made(job, state, 1)
    assert isinstance(cached, Cached)
    before, after = job.splits, cached.job.splits
    assert cached.job.steps_per_epoch == job.steps_per_epoch
    assert after.test is None
    for old, new in ((before.train, after.train), (before.valid, after.valid)):
        assert old is not None
        assert new is not None
        np.testing.assert_array_equal(new.labels(), old.labels())
        assert [new.place(i) for i in range(len(new))] == [old.place(i) for i in range(len(old))]
        assert new.classes == old.classes
        assert not new.slow
    assert cached.job.columns == {}
    assert cached.told.startswith("body: outputs cached for 40 + 10 rows (6.4 kB in memory, ")


def test_the_ragged_batch_is_made_anew_where_it_differs() -> None:
    """One row left over is multiplied by another kernel than a batch is."""
    text = training_file(DENSE, CLASSES)
    for rows, ragged in ((65, 1), (64, 0), (72, 0)):
        job, state = frozen_job(text, "body", rows=rows)
        cached = made(job, state, 1)
        assert isinstance(cached, Cached)
        assert getattr(cached.job.splits.train, "ragged") == ragged  # noqa: B009


def test_fewer_rows_than_a_batch() -> None:
    job, state = frozen_job(training_file(DENSE, CLASSES), "body", rows=5)
    cached = made(job, state, 1)
    assert isinstance(cached, Cached)
    assert trained(cached.job, state).told == trained(uncached(job), state).told


@pytest.mark.parametrize(
    ("body", "compared"),
    [
        ("input x[1 6 1]; part body { conv 4 3x1 | relu }; flatten | dense 5 | softmax", 4),
        ("input x[20]; part body { dense 8 | relu | dense 1 }; dense 5 | softmax", 64),
        ("input x[20]; part body { dense 37 | elu }; dense 5 | softmax", 64),
    ],
)
def test_how_much_is_compared(body: str, compared: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image of one column has single numbers along its last axis, and no product made them."""
    job, state = frozen_job(training_file(body, CLASSES), "body", rows=48)
    asked: list[int] = []
    same = deepdsl.training.feature_cache.check._same

    def counted(made: Maker, kept: KeptView, positions: Rows) -> bool:
        asked.append(len(positions))
        return same(made, kept, positions)

    monkeypatch.setattr(deepdsl.training.feature_cache.check, "_same", counted)
    made(job, state, 1)
    assert len(asked) == compared


def test_what_depends_on_the_place_in_a_batch_is_not_kept() -> None:
    """elu goes through 37 numbers a row, ten rows a batch, by vectors that do not come out even."""
    text = training_file(ELU, CLASSES.replace("batch 16", "batch 10"), "valid split=20%")
    job, state = frozen_job(text, "body", rows=300)
    refused = made(job, state, 1)
    assert isinstance(refused, Refused)
    assert refused.told == (
        "not cached: the last bits of a row depend on the batch in which it is computed; "
        "`cache=ram` or `cache=disk` keeps it nevertheless"
    )
    job, state = frozen_job(text, "body", rows=300, cache="ram")
    kept = made(job, state, 1)
    assert isinstance(kept, Cached)
    assert kept.told.endswith("; their last bits are not those of a run without")
    one, other = trained(uncached(job), state), trained(kept.job, state)
    assert one.told[-1]["valid"]["loss"] == pytest.approx(other.told[-1]["valid"]["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("cache", "data", "reason"),
    [
        ("off", "", "cache=off"),
        ("auto", "augment crop pad=1", "augmentation changes the rows in every epoch"),
        ("ram", "augment crop pad=1", "augmentation changes the rows in every epoch"),
        ("disk", "", f"{SIZE}there is no folder for them"),
    ],
)
def test_why_it_is_not_kept(cache: str, data: str, reason: str) -> None:
    body = "input x[1 5 4]; flatten; part body { dense 32 | relu }; dense 5 | softmax"
    job, state = frozen_job(training_file(body, CLASSES, data), "body", cache=cache)
    refused = made(job, state, 1)
    assert isinstance(refused, Refused)
    assert refused.reason == reason


def test_too_much_for_memory_and_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = training_file(DENSE, CLASSES)
    monkeypatch.setattr("deepdsl.training.feature_cache.job.free_memory", lambda: 1000)
    monkeypatch.setattr("deepdsl.training.feature_cache.job.memory_budget", lambda: 250)
    job, state = frozen_job(text, "body", cache="ram")
    refused = made(job, state, 1, tmp_path)
    assert isinstance(refused, Refused)
    assert refused.reason == f"{SIZE}1.0 kB of memory are free"
    monkeypatch.setattr("deepdsl.training.feature_cache.store.Store.free", lambda _: 9000)
    job, state = frozen_job(text, "body")
    refused = made(job, state, 1, tmp_path)
    assert isinstance(refused, Refused)
    assert refused.reason == f"{SIZE}no more than 4.5 kB of the disk may be taken"
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_slower_than_the_layers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("deepdsl.training.feature_cache.job.memory_budget", lambda: 250)
    job, state = frozen_job(training_file(DENSE, CLASSES), "body")
    for rate, kept in ((1.0, False), (1e15, True)):
        monkeypatch.setattr("deepdsl.training.feature_cache.job.DISK", rate)
        found = made(job, state, 1, tmp_path)
        assert isinstance(found, Cached) == kept
        slow = "and to read them takes longer than to compute them"
        assert kept or (isinstance(found, Refused) and found.reason.endswith(slow))


def test_another_seed_has_another_order(tmp_path: Path) -> None:
    """What is kept is in the order of the file, whatever order it is trained in."""
    job, state = frozen_job(training_file(DENSE, CLASSES), "body", cache="disk")
    first = made(job, state, 1, tmp_path)
    other = replace(job.task.training, seed=4)
    second = cached_job(job, other, state, open_backend("cpu", 1), tmp_path)
    assert isinstance(first, Cached)
    assert isinstance(second, Cached)
    assert "found in" in second.told
    assert (epoch_order(3, 0, 77) != epoch_order(4, 0, 77)).any()
