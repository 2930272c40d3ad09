"""Which rows train, validate and test: partitions, shares, dependence on the seed alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepdsl.data import (
    Builtin,
    Csv,
    DataSpec,
    HeldOut,
    NormalizeTransform,
    Npy,
    Npz,
    Placed,
    Scale,
    Standardize,
    Take,
    TargetRow,
    TargetSpec,
    View,
    count_train_rows,
    epoch_order,
    fit_transforms,
    from_arrays,
    load,
)
from deepdsl.data.order import random_order, stratified
from deepdsl.data.statistics import TrainingInput
from deepdsl.diagnostics import DnnError

IMAGE = {"image": (8, 8)}
TEN = {"target": TargetSpec("index", 10)}
DIGITS = Placed(Builtin("digits"))
ROW = st.one_of(
    st.builds(HeldOut, first=st.integers(1, 1500)),
    st.builds(HeldOut, last=st.integers(1, 1500)),
    st.builds(HeldOut, split=st.floats(0.001, 0.999, exclude_min=True), stratify=st.booleans()),
)


def digits(seed: int = 0, select=("train", "valid"), **rows):
    placed = {name: Placed(row) for name, row in rows.items() if row is not None}
    spec = DataSpec("digits", DIGITS, **placed)
    return load(spec, Path(), IMAGE, TEN, seed, select), count_train_rows(spec, Path(), IMAGE)


@given(ROW, st.one_of(st.none(), st.integers(1, 1437)), st.integers(0, 2**64))
@settings(max_examples=60, deadline=None)
def test_splits_partition_the_rows(held: HeldOut, take: int | None, seed: int) -> None:
    try:
        splits, counted = digits(seed, valid=held, take=Take(take) if take else None)
    except DnnError as error:
        if error.diagnostics[0].code not in {"E443", "E445", "E446"}:
            raise
        return
    train, valid = splits.train.rows, splits.valid.rows
    both = np.concatenate([train, valid])
    assert len(np.unique(both)) == len(both) == (take or 1437)
    assert len(train) == counted
    assert (np.diff(train) > 0).all()
    assert (np.diff(valid) > 0).all()
    if held.first:
        assert valid.max() < train.min()
    if held.last:
        assert valid.min() > train.max()


@given(st.integers(0, 1000), st.floats(0.05, 0.9))
@settings(max_examples=40, deadline=None)
def test_stratified_parts_keep_the_shares(seed: int, share: float) -> None:
    splits, _ = digits(seed, valid=HeldOut(split=share, stratify=True))
    whole, _ = digits(seed)
    exact = np.bincount(whole.train.labels()) * len(splits.valid) / len(whole.train)
    found = np.bincount(splits.valid.labels())
    assert (np.abs(found - exact) < 1).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.data())
@settings(max_examples=100, deadline=None)
def test_largest_remainder(labels: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(labels)))
    array = np.array(labels)
    quotas, rows = stratified(random_order(0, "t", len(labels)), array, count)
    assert quotas.sum() == count == len(np.unique(rows))
    sizes = np.bincount(array)
    assert (quotas <= sizes).all()
    assert (np.abs(quotas - sizes * count / len(labels)) < 1).all()


def test_draws_depend_on_the_seed_alone() -> None:
    first, _ = digits(5, valid=HeldOut(split=0.1))
    only_valid, _ = digits(5, select=("valid",), valid=HeldOut(split=0.1))
    other, _ = digits(6, valid=HeldOut(split=0.1))
    assert (first.valid.rows == only_valid.valid.rows).all()
    assert only_valid.train is None
    assert (first.valid.rows != other.valid.rows).any()
    small, large = (set(digits(5, take=Take(n))[0].train.rows) for n in (10, 50))
    assert small < large


@given(st.integers(0, 2**63), st.integers(0, 10_000), st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_an_epochs_order_is_a_pure_permutation(seed: int, epoch: int, rows: int) -> None:
    order = epoch_order(seed, epoch, rows)
    assert order.dtype == np.int64
    assert (np.sort(order) == np.arange(rows)).all()
    assert (order == epoch_order(seed, epoch, rows)).all()


def test_the_order_never_changes() -> None:
    """These numbers are what other machines and versions must give too."""
    assert epoch_order(42, 0, 8).tolist() == [2, 3, 5, 4, 0, 7, 1, 6]
    assert epoch_order(42, 1, 8).tolist() == [4, 7, 6, 0, 5, 3, 2, 1]


def test_a_split_that_is_not_asked_for_is_not_opened() -> None:
    missing = Placed(Npz("missing.npz"))
    spec = DataSpec("d", DIGITS, test=missing)
    load(spec, Path(), IMAGE, TEN, 0)
    spec = DataSpec("d", missing, test=DIGITS)
    splits = load(spec, Path(), IMAGE, TEN, 0, select=("test",))
    assert splits.train is None
    assert len(splits.test) == 360
    assert splits.classes == tuple("0123456789")


def test_builtin_parts() -> None:
    parts = {}
    for part in ("train", "test", "all"):
        spec = DataSpec("d", Placed(Builtin("digits", part=part)))
        parts[part] = load(spec, Path(), {"x": (1, 8, 8)}, TEN, 0).train
    assert [len(view) for view in parts.values()] == [1437, 360, 1797]
    assert np.bincount(parts["test"].labels()).min() >= 35


def test_a_test_set_takes_its_class_numbers_from_train(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,label\n" + "1,cat\n2,dog\n3,eel\n")
    (tmp_path / "test.csv").write_text("a,label\n" + "1,eel\n2,dog\n")
    train, test = (Placed(Csv(f"{n}.csv", target=("label",))) for n in ("train", "test"))
    spec = DataSpec("d", train, test=test)
    targets = {"target": TargetSpec("index", 3)}
    splits = load(spec, tmp_path, {"x": (1,)}, targets, 0, select=("test",))
    assert splits.test.labels().tolist() == [2, 1]
    assert splits.classes == ("cat", "dog", "eel")
    (tmp_path / "train.csv").unlink()
    names = ("dog", "eel", "fox")
    splits = load(spec, tmp_path, {"x": (1,)}, targets, 0, select=("test",), classes=names)
    assert splits.test.labels().tolist() == [1, 0]


def test_target_input_needs_no_target(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 3), np.float32))
    spec = DataSpec("d", Placed(Npy("x.npy")), target=Placed(TargetRow("input")))
    targets = {"target": TargetSpec("value", shape=(3,))}
    assert load(spec, tmp_path, {"x": (3,)}, targets, 0).train.table.targets == {}


def test_standardize_follows_the_transforms_before_it() -> None:
    random = np.random.default_rng(0)
    x = (random.normal(1000, 3, (5000, 7))).astype(np.float32)
    x[:, 3] = 0.1
    view = View(from_arrays(x), np.arange(1000, 5000))
    rows = (Scale(0.5), Standardize(), NormalizeTransform(mean=(1.0,), std=(2.0,)))
    fitted = fit_transforms(DataSpec("d", transforms=tuple(map(Placed, rows))), view)
    part = x[1000:].astype(np.float64) * 0.5
    mean, std = fitted[1]["x"]["mean"], fitted[1]["x"]["std"]
    np.testing.assert_allclose(mean, part.mean(0), rtol=1e-6)
    expected = part.std(0)
    expected[3] = 1
    np.testing.assert_allclose(std, expected, rtol=1e-4)
    assert std[3] == 1
    assert mean.dtype == std.dtype == np.float32
    done = rows[1].apply(rows[0].apply(x[1000:], {}), fitted[1]["x"])
    np.testing.assert_allclose(done.mean(0), 0, atol=1e-3)
    assert fitted[0] == {"x": {}}
    assert fitted[2]["x"]["mean"].shape == (1,)


def test_normalize_goes_by_channels() -> None:
    view = View(from_arrays(np.zeros((2, 3, 4, 5), np.uint8)), np.arange(2))
    row = NormalizeTransform(mean=(1.0, 2.0, 3.0), std=(1.0,))
    constants = row.fit(TrainingInput(view, "x"))
    assert constants["mean"].shape == (3, 1, 1)
    assert constants["std"].shape == (1, 1, 1)


def test_statistics_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(from_arrays(np.random.default_rng(1).normal(size=(1000, 5))), np.arange(1000))
    whole = Standardize().fit(TrainingInput(view, "x"))
    monkeypatch.setattr("deepdsl.data.statistics._CHUNK", 35)
    parts = Standardize().fit(TrainingInput(view, "x"))
    for name in whole:
        np.testing.assert_allclose(whole[name], parts[name], rtol=1e-6)


def test_declarations_import_no_numpy() -> None:
    code = "import sys, deepdsl.data; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
