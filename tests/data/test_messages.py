"""Every data message is provoked, with its code and its place in the program and the data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from places import TESTS

from deepdsl.core.source import Source, Span
from deepdsl.data import (
    Builtin,
    Csv,
    DataSource,
    DataSpec,
    HeldOut,
    Idx,
    NormalizeTransform,
    Npy,
    Npz,
    OneHotRow,
    Placed,
    Scale,
    Take,
    TargetRow,
    TargetSpec,
    fit_transforms,
    load,
)
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.base import Diagnostic

TEXT = "data pairs { train somewhere }"
SPAN = Span(Source("pairs.dnn", TEXT), TEXT.index("train"), TEXT.index(" }"))
TWO = {"target": TargetSpec("index", 2)}
X = {"x": (4,)}
IMAGE = {"image": (8, 8)}
TEN = {"target": TargetSpec("index", 10)}


def fails(folder: Path, source: DataSource, inputs=X, targets=TWO, **rows) -> Diagnostic:
    placed = {name: Placed(row, SPAN) for name, row in rows.items()}
    spec = DataSpec("pairs", Placed(source, SPAN), **placed)
    with pytest.raises(DnnError) as caught:
        load(spec, folder, inputs, targets, seed=0, select=("train", "valid", "test"))
    assert len(caught.value.diagnostics) == 1
    found = caught.value.diagnostics[0]
    assert found.span == SPAN
    assert found.message
    assert found.help or found.code in {"E420"}
    return found


def idx(file: str) -> Idx:
    return Idx(file, target="labels.gz")


def csv(file: str, **options) -> Csv:
    return Csv(file, target=("label",), **options)


GOOD = Npz("good.npz")
DIGITS = Builtin("digits")

# The diagnostic, the source, words that must be in the message, its label or its help.
CASES: list[tuple[str, DataSource, str]] = [
    ("E401", Npz("no-such-file.npz"), "looked in"),
    ("E401", Npz("godo.npz"), 'did you mean "good.npz"?'),
    ("E401", Npz("nowhere/good.npz"), "which does not exist"),
    ("E401", Npz("a\0b"), "there is no file"),
    ("E402", Npz("."), "is a folder"),
    ("E402", Npz("/dev/zero"), "a device"),
    ("E404", idx("plain.gz"), 'rename it to "plain"'),
    ("E405", idx("truncated.gz"), "ends in the middle"),
    ("E406", idx("good.npz"), "it looks like npz"),
    ("E406", idx("good.csv"), "61 2c 62 2c"),
    ("E407", idx("strange.idx"), "07"),
    ("E408", idx("short.idx"), "8 × 4 is 32 bytes, there are 31"),
    ("E409", idx("huge.gz"), "4.4 TB"),
    ("E410", Npy("rows.gz", target="labels.npy"), "it looks like idx"),
    ("E411", Npz("objects.npz"), "run code"),
    ("E412", Npz("dates.npz"), "dates"),
    ("E413", Npz("labels.gz"), "not a zip"),
    ("E413", Npz("good.csv"), 'it looks like text: `csv "good.csv"`'),
    ("E414", Npz("good.npz", feeds=(("x", "xx"),)), "did you mean `x`?"),
    ("E420", csv("names.csv", columns=("a", "bb")), "no column `bb`"),
    ("E420", csv("good.csv", delimiter="tab"), "delimiter=comma"),
    ("E420", csv("numbers.csv"), "`target=3` is the last"),
    ("E420", csv("numbers.csv", header=False), "called by their numbers, 1 to 3"),
    ("E421", csv("twice.csv"), "columns 2 and 3"),
    ("E422", csv("pandas.csv"), "columns=[a b c d]"),
    ("E423", csv("ragged.csv"), "line 10 of"),
    ("E424", csv("text.csv", columns=("name", "a", "b", "c")), "line 2, column `name`"),
    ("E425", csv("empty-field.csv"), "line 10"),
    ("E426", csv("nothing.csv"), "is empty"),
    ("E427", csv("header.csv"), "no rows"),
    ("E428", csv("latin.csv"), "line 10"),
    ("E428", csv("good.npz"), 'it looks like npz, a zip of arrays: `npz "good.npz"`'),
    ("E428", csv("rows.gz"), "gunzip"),
    ("E429", csv("quote.csv"), "never closed"),
    ("E432", Npz("good.npz", feeds=(("xx", "x"),)), "did you mean `x`?"),
    ("E433", Npy("good.npy", target="labels.npy", feeds=(("x", "good.npy"),)), "good.npy"),
    ("E434", Npy(target="labels.npy"), "nothing feeds `x`"),
    ("E435", Npy("good.npy"), "target input"),
    ("E436", csv("text.csv", columns=("a", "b", "c")), "x` takes 4 numbers a row"),
    ("E437", Npy("good.npy", target="few-labels.npy"), "good.npy has 8 rows, few-labels.npy has 5"),
    ("E438", Npz("nan.npz"), "array `x`, row 5, column 2 (counted from 0)"),
    ("E440", Npz("halves.npz"), "array `y`, row 1 (counted from 0)"),
    ("E441", csv("three.csv"), "the target has 3 classes, the model has 2"),
]


@pytest.mark.parametrize(
    ("code", "source", "words"), CASES, ids=[f"{c}-{w[:20]}" for c, _, w in CASES]
)
def test_source(folder: Path, code: str, source: DataSource, words: str) -> None:
    found = fails(folder, source)
    assert found.code == code
    assert words in f"{found.message} | {found.label} | {found.help}"


def test_probabilities_wanted_of_class_numbers(folder: Path) -> None:
    """kl_divergence on class numbers: the data is right, and needs a row."""
    wants = {"target": TargetSpec("value", 2, (2,))}
    found = fails(folder, GOOD, targets=wants)
    assert found.code == "E436"
    assert "the row `one_hot`" in found.help
    values = fails(folder, GOOD, targets={"target": TargetSpec("value", None, (2,))})
    assert values.help == "give the model's output the shape of the target"


def test_one_number_is_one(folder: Path) -> None:
    found = fails(folder, csv("good.csv", columns=("a",)))
    assert "has one number a row" in found.message


def test_text_column_says_which_columns_are_numbers(folder: Path) -> None:
    found = fails(folder, csv("text.csv"), inputs={"x": (5,)})
    assert found.code == "E424"
    assert "columns=[a b c d]" in found.help


def test_permission(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat

    def stat(path, *args, **kwargs):
        if str(path).endswith("forbidden.npz"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", stat)
    found = fails(folder, Npz("forbidden.npz"))
    assert (found.code, found.message) == (
        "E403",
        '"forbidden.npz" cannot be read: permission denied',
    )


def test_shapes() -> None:
    here = Path()
    wide = fails(here, DIGITS, {"image": (28, 28)}, TEN)
    assert wide.code == "E436"
    assert wide.message == "`image` takes 28 × 28 a row, digits has 8 × 8 a row"
    assert wide.help == "declare `input image[8 8]`"
    flat = fails(here, DIGITS, {"pixels": (64,)}, TEN)
    assert flat.help == "declare `input pixels[8 8]`, and begin the model with `flatten`"


def test_channels_last(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 5, 6, 3), np.uint8))
    found = fails(tmp_path, Npy("x.npy"), {"x": (3, 5, 6)}, {})
    assert "transpose(0, 3, 1, 2)" in found.help


def test_one_hot_rows_where_a_class_is_wanted(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 4)), y=np.eye(2))
    found = fails(tmp_path, Npz("d.npz"))
    assert found.code == "E436"
    assert "argmax" in found.help


def test_labels_out_of_range(tmp_path: Path) -> None:
    found = fails(tmp_path, DIGITS, IMAGE, {"target": TargetSpec("index", 9)})
    assert found.code == "E439"
    assert found.message == "label 9 is not one of 0 to 8"
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 4)), y=[1, 2, 1])
    assert "subtract 1" in fails(tmp_path, Npz("d.npz")).help
    binary = fails(tmp_path, Npz("d.npz"), targets={"target": TargetSpec("binary")})
    assert binary.message == "label 2 is neither 0 nor 1"
    assert "row 1" in binary.label
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 4)), y=[0, -1, 1])
    assert "smallest here is -1" in fails(tmp_path, Npz("d.npz")).help


def test_unknown_class_of_a_test_set(folder: Path) -> None:
    three = {"target": TargetSpec("index", 3)}
    found = fails(folder, csv("names.csv"), X, three, test=csv("three.csv"))
    assert found.code == "E442"
    assert found.label == "three.csv, line 4"


@pytest.mark.parametrize(
    ("code", "rows", "words"),
    [
        ("E443", {"valid": HeldOut(first=5000)}, "5000 rows cannot be held out of 1437"),
        ("E443", {"valid": HeldOut(last=1437)}, "train would keep none"),
        ("E444", {"take": Take(5000)}, "5000 rows cannot be taken from 1437"),
        ("E445", {"take": Take(20), "valid": HeldOut(split=0.01)}, "nothing for valid"),
        ("E445", {"take": Take(20), "valid": HeldOut(split=0.99)}, "nothing for train"),
        ("E446", {"take": Take(5, stratify=True)}, "class "),
        ("E448", {"valid": HeldOut(first=100, last=100)}, "more than once"),
        ("E448", {"valid": HeldOut()}, "does not say"),
        ("E448", {"valid": HeldOut(first=10, stratify=True)}, "goes with split"),
        ("E432", {"target": TargetRow("other")}, "is not an input of the model"),
    ],
)
def test_rows(code: str, rows: dict, words: str) -> None:
    found = fails(Path(), DIGITS, IMAGE, TEN, **rows)
    assert found.code == code
    assert words in found.message + found.label


def test_stratify_without_classes(folder: Path) -> None:
    value = {"target": TargetSpec("value", shape=(4,))}
    source = Npy("good.npy", target="good.npy")
    found = fails(folder, source, X, value, valid=HeldOut(split=0.5, stratify=True))
    assert found.code == "E447"


def test_transforms_that_do_not_fit() -> None:
    row = NormalizeTransform(mean=(0.1, 0.2, 0.3), std=(1.0,))
    spec = DataSpec("d", Placed(DIGITS, SPAN), transforms=(Placed(row, SPAN),))
    train = load(spec, Path(), IMAGE, TEN, 0).train
    assert train is not None
    with pytest.raises(DnnError) as caught:
        fit_transforms(spec, train)
    assert caught.value.diagnostics[0].code == "E449"
    assert [d.code for d in Scale(2.0, of="imag").problems({"image": (8, 8)}, SPAN)] == ["E449"]


def warnings(folder: Path, source: DataSource, **rows) -> list[Diagnostic]:
    placed = {name: Placed(row, SPAN) for name, row in rows.items()}
    return list(load(DataSpec("d", Placed(source, SPAN), **placed), folder, X, TWO, 0).warnings)


def test_classes_without_rows(folder: Path) -> None:
    (found,) = warnings(folder, Npz("one-class.npz"))
    assert (found.code, found.message) == ("W450", "train has no row of class `1`")
    (found,) = warnings(folder, Npz("sorted.npz"), valid=HeldOut(first=4))
    assert (found.code, found.message) == ("W451", "the 4 rows held out show no class `1`")
    assert not warnings(folder, Npz("sorted.npz"), valid=HeldOut(split=0.5, stratify=True))
    assert not warnings(folder, GOOD)


def test_changed_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepdsl.data.files.IN_MEMORY", 10)
    monkeypatch.setattr("deepdsl.data.files.KEPT", 10)
    (tmp_path / "x.csv").write_text("a,label\n" + "1,0\n" * 20)
    spec = DataSpec("d", Placed(Csv("x.csv", target=("label",)), SPAN))
    train = load(spec, tmp_path, {"x": (1,)}, TWO, 0).train
    assert train is not None
    with open(tmp_path / "x.csv", "r+") as stream:
        stream.seek(len("a,label\n") + 4 * 7)
        stream.write("z")
    out = np.empty((3, 1), np.float32)
    train.read(np.array([0, 1, 2]), {"x": out})
    with pytest.raises(DnnError) as caught:
        train.read(np.array([6, 7, 8]), {"x": out})
    found = caught.value.diagnostics[0]
    assert (found.code, found.label) == ("E430", "line 9 is not what it was")


@pytest.mark.parametrize("one_hot", [False, True])
def test_good_files_open(folder: Path, one_hot: bool) -> None:
    """The right programs of the pages: the same rows from every kind of source."""
    hot = Placed(OneHotRow(), SPAN) if one_hot else None
    results = []
    for source in (
        GOOD,
        Npy("good.npy", target="labels.npy"),
        csv("good.csv"),
        csv("names.csv"),
        csv("pandas.csv", columns=("a", "b", "c", "d")),
    ):
        train = load(DataSpec("d", Placed(source), one_hot=hot), folder, X, TWO, 0).train
        assert train is not None
        x = np.empty((8, 4), np.float32)
        y = np.empty((8, 2) if one_hot else 8, np.float32 if one_hot else np.int64)
        train.read(np.arange(8), {"x": x, "target": y})
        results.append((x, y))
    for x, y in results[1:]:
        np.testing.assert_array_equal(x, results[0][0])
        np.testing.assert_array_equal(y, results[0][1])


def test_every_code_is_provoked_and_has_a_page() -> None:
    import deepdsl.diagnostics.data  # noqa: F401

    tests = TESTS.rglob("test_*.py")
    text = "".join(file.read_text() for file in tests)
    for code, kind in Diagnostic.registry.items():
        if not kind.__module__.startswith("deepdsl.diagnostics.data_"):
            continue
        assert f'"{code}"' in text, code
        page = kind.page()
        # That a model was trained on other images is known of a trained one alone.
        fences = 0 if code == "E468" else 1
        assert page.count("```wrong") == page.count("```right") == fences, code
