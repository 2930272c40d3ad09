"""Parquet files: what each column becomes, and what is said of those that cannot be used."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepdsl.cli import main
from deepdsl.data import OpenRequest, Parquet, Table, TargetSpec
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.base import Diagnostic

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

RANDOM = np.random.default_rng(2)
INDEX = {"target": TargetSpec("index", 3)}


def write(folder: Path, columns: Any, name: str = "d.parquet", metadata: Any = None, **options):
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    parquet.write_table(table, folder / name, **options)


def open_it(folder: Path, inputs=None, targets=INDEX, name="d.parquet", **options) -> Table:
    given = {"target": ("label",)} if targets and "feeds" not in options else {}
    request_options = {k: options.pop(k) for k in ("classes", "columns_of_train") if k in options}
    request = OpenRequest(
        folder,
        inputs or {"x": None},
        targets,
        classes=request_options.get("classes"),
        columns=request_options.get("columns_of_train", {}),
    )
    return Parquet(name, **{**given, **options}).open(request)


def values(table: Table, name: str = "x", dtype: type = np.float32) -> np.ndarray:
    field = table.field(name)
    out = np.empty((table.rows, *field.shape), dtype)
    field.read(np.arange(table.rows), out)
    return out


def fails(folder: Path, *args: Any, **options: Any) -> Diagnostic:
    with pytest.raises(DnnError) as caught:
        values(open_it(folder, *args, **options))
    (found,) = caught.value.diagnostics
    assert found.message
    return found


A = RANDOM.random(20, np.float32)
B = np.arange(20)
LABELS = np.arange(20) % 3


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_columns_of_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, budget: int
) -> None:
    monkeypatch.setattr("deepdsl.data.formats.parquet.reader.memory_budget", lambda: budget)
    monkeypatch.setattr("deepdsl.data.formats.parquet.reader._ROWS", 6)
    write(tmp_path, {"a": A, "label": LABELS, "b": B}, row_group_size=rows)
    table = open_it(tmp_path, {"x": (2,)})
    np.testing.assert_array_equal(values(table), np.stack([A, B], 1))
    np.testing.assert_array_equal(values(table, "target", np.int64), LABELS)
    assert table.inputs["x"].columns == ("a", "b")
    order = np.array([19, 0, 3, 3])
    out = np.empty((4, 2), np.float32)
    table.inputs["x"].read(order, out)
    np.testing.assert_array_equal(out, np.stack([A, B], 1)[order])
    count = Parquet("d.parquet", target=("label",)).count(OpenRequest(tmp_path, {"x": (2,)}, INDEX))
    assert count == 20


@pytest.mark.parametrize(
    "kind", ["int8", "uint8", "int64", "uint16", "float16", "float32", "float64", "bool", "decimal"]
)
def test_types_of_numbers(tmp_path: Path, kind: str) -> None:
    column: Any = (np.arange(20) % 2).astype("float32" if kind == "decimal" else kind)
    if kind == "decimal":
        column = pa.array([decimal.Decimal(int(v)) for v in column], pa.decimal128(9, 2))
    write(tmp_path, {"a": column, "label": LABELS})
    np.testing.assert_array_equal(values(open_it(tmp_path))[:, 0], np.arange(20) % 2)


def test_columns_by_name(tmp_path: Path) -> None:
    write(tmp_path, {"a": A, "b": B, "name": ["n"] * 20, "label": LABELS})
    np.testing.assert_array_equal(values(open_it(tmp_path, columns=("b", "a")))[:, 0], B)
    inputs = {"left": (1,), "right": (1,)}
    feeds = (("left", ("b",)), ("right", ("a",)))
    table = open_it(tmp_path, inputs, feeds=feeds, target=("label",))
    np.testing.assert_array_equal(values(table, "left")[:, 0], B)
    np.testing.assert_array_equal(values(table, "right")[:, 0], A)
    trained = {"x": ("b", "a")}
    write(tmp_path, {"a": A, "label": LABELS, "b": B}, "test.parquet")
    table = open_it(tmp_path, name="test.parquet", columns_of_train=trained)
    np.testing.assert_array_equal(values(table)[:, 0], B)


@pytest.mark.parametrize("kind", ["list", "large", "fixed", "nested"])
def test_lists(tmp_path: Path, kind: str) -> None:
    rows = RANDOM.random((20, 6)).astype(np.float32)
    types = {
        "list": pa.list_(pa.float32()),
        "large": pa.large_list(pa.float32()),
        "fixed": pa.list_(pa.float32(), 6),
        "nested": pa.list_(pa.list_(pa.float32())),
    }
    told = rows.reshape(20, 2, 3).tolist() if kind == "nested" else rows.tolist()
    write(tmp_path, {"x": pa.array(told, types[kind]), "label": LABELS}, row_group_size=7)
    expected = rows.reshape(20, 2, 3)
    np.testing.assert_array_equal(values(open_it(tmp_path, {"x": (2, 3)})), expected)
    assert fails(tmp_path, {"x": (5,)}).code == "E436"


def test_texts_and_dictionaries_as_classes(tmp_path: Path) -> None:
    texts = [("cat", "bird", "dog")[i] for i in LABELS]
    for column in (pa.array(texts), pa.array(texts).dictionary_encode()):
        write(tmp_path, {"a": A, "label": column})
        table = open_it(tmp_path)
        assert table.classes == ("bird", "cat", "dog")
        assert [table.classes[i] for i in values(table, "target", np.int64)] == texts
    known = ("dog", "cat", "bird")
    assert values(open_it(tmp_path, classes=known), "target", np.int64)[:3].tolist() == [1, 2, 0]
    assert fails(tmp_path, classes=("dog", "cat")).code == "E442"


def test_names_of_hugging_face(tmp_path: Path) -> None:
    names = ["zebra", "ant", "bee"]
    noted = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    write(tmp_path, {"a": A, "label": LABELS}, metadata=noted)
    table = open_it(tmp_path)
    assert table.classes == tuple(names)
    np.testing.assert_array_equal(values(table, "target", np.int64), LABELS)
    for strange in ({}, {"info": 3}, {"info": {"features": {"label": None}}}):
        write(tmp_path, {"a": A, "label": LABELS}, metadata=strange)
        assert open_it(tmp_path).classes is None


def test_numbers_to_learn(tmp_path: Path) -> None:
    write(tmp_path, {"a": A, "label": B / 2, "more": B})
    spec = {"target": TargetSpec("value", shape=(1,))}
    np.testing.assert_array_equal(
        values(open_it(tmp_path, targets=spec, columns=("a",)), "target")[:, 0], B / 2
    )
    spec = {"target": TargetSpec("value", shape=(2,))}
    table = open_it(tmp_path, targets=spec, target=("label", "more"))
    np.testing.assert_array_equal(values(table, "target"), np.stack([B / 2, B], 1))


# Images -------------------------------------------------------------------------------------------


def png(pixels: np.ndarray) -> bytes:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


PIXELS = RANDOM.integers(0, 256, (20, 8, 8, 3), np.uint8)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, budget: int) -> None:
    monkeypatch.setattr("deepdsl.data.formats.parquet.reader.memory_budget", lambda: budget)
    monkeypatch.setattr("deepdsl.data.image_field.memory_budget", lambda: budget)
    files: list[Any] = [png(pixels) for pixels in PIXELS]
    if packed:
        files = [{"bytes": data, "path": f"{i}.png"} for i, data in enumerate(files)]
    write(tmp_path, {"image": files, "label": LABELS}, row_group_size=6)
    table = open_it(tmp_path, {"image": (3, 8, 8)}, range="bytes")
    np.testing.assert_array_equal(values(table, "image"), PIXELS.transpose(0, 3, 1, 2))
    place = table.inputs["image"].place(7)
    assert place == "d.parquet, row 7 (counted from 0)" + (", 7.png" if packed else "")
    small = open_it(tmp_path, {"image": (3, 4, 4)}, size=(4, 4))
    assert values(small, "image").max() <= 1
    assert fails(tmp_path, {"image": (3, 4, 4)}).code == "E463"
    assert fails(tmp_path, {"image": (12,)}).code == "E462"


def test_damaged_images(tmp_path: Path) -> None:
    files = [png(pixels) for pixels in PIXELS]
    files[4] = files[4][:40]
    write(tmp_path, {"image": files, "label": LABELS})
    found = fails(tmp_path, {"image": (3, 8, 8)})
    assert (found.code, "row 4" in found.message) == ("E464", True)
    structs = [{"bytes": None if i == 3 else data, "path": "a"} for i, data in enumerate(files)]
    write(tmp_path, {"image": structs, "label": LABELS})
    found = fails(tmp_path, {"image": (3, 8, 8)})
    assert (found.code, "row 3" in found.message) == ("E472", True)


# What is wrong ------------------------------------------------------------------------------------


def test_nulls(tmp_path: Path) -> None:
    holes = [*A[:13].tolist(), None, *A[14:].tolist()]
    write(tmp_path, {"a": holes, "label": LABELS}, row_group_size=4)
    found = fails(tmp_path)
    assert (found.code, "column `a`, row 13" in found.message) == ("E472", True)
    write(tmp_path, {"a": A, "label": [None, *LABELS[1:].tolist()]})
    assert "column `label`, row 0" in fails(tmp_path).message
    lists: list[Any] = [[1.0, 2.0]] * 19
    write(tmp_path, {"a": [*lists, [1.0, None]], "label": LABELS})
    assert "column `a`, row 19" in fails(tmp_path).message
    write(tmp_path, {"a": [*lists, None], "label": LABELS})
    assert fails(tmp_path).code == "E472"
    write(tmp_path, {"a": [*A[:19].tolist(), float("nan")], "label": LABELS})
    assert fails(tmp_path).code == "E438"


def test_types_that_feed_nothing(tmp_path: Path) -> None:
    dates = [datetime.date(2020, 1, 1)] * 20
    write(tmp_path, {"when": dates, "a": A, "label": LABELS})
    found = fails(tmp_path)
    assert (found.code, "date32" in found.message) == ("E473", True)
    assert found.help == "name the columns: `columns=[a]`"  # and not the label
    write(tmp_path, {"a": A, "label": dates})
    found = fails(tmp_path)
    assert (found.code, found.help) == ("E473", "name another column")
    write(tmp_path, {"a": [{"z": 1}] * 20, "label": LABELS})
    assert "structs" in fails(tmp_path).message
    write(tmp_path, {"image": [b"x"] * 20, "a": A, "label": LABELS})
    assert fails(tmp_path, {"x": (2,)}).code == "E473"


def test_views_and_numbers_beyond_float32(tmp_path: Path) -> None:
    texts = ["b", "a"] * 10
    write(tmp_path, {"a": A, "b": A, "label": pa.array(texts, pa.string_view())})
    assert open_it(tmp_path).classes == ("a", "b")
    write(tmp_path, {"a": A, "b": [1e300] * 20, "label": LABELS})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fails(tmp_path).code == "E438"


def test_damage_between_the_pages_is_no_question_of_rights(tmp_path: Path) -> None:
    numbers = np.arange(4000.0)
    write(tmp_path, {"a": numbers, "label": np.arange(4000) % 3}, compression="snappy")
    raw = bytearray((tmp_path / "d.parquet").read_bytes())
    raw[40:400] = b"\xff" * 360
    (tmp_path / "d.parquet").write_bytes(raw)
    assert fails(tmp_path).code == "E471"


def test_ragged_lists(tmp_path: Path) -> None:
    write(tmp_path, {"a": [[1.0, 2.0]] * 11 + [[1.0]] * 9, "label": LABELS}, row_group_size=4)
    found = fails(tmp_path)
    assert (found.code, "row 11" in found.label) == ("E474", True)
    write(tmp_path, {"a": [[1.0, 2.0]] * 8 + [[1.0]] * 12, "label": LABELS}, row_group_size=8)
    for rows in (4, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("deepdsl.data.formats.parquet.reader._ROWS", rows)
            assert fails(tmp_path).code == "E474"


def test_names_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, {"alpha": A, "label": LABELS})
    found = fails(tmp_path, columns=("alhpa",))
    assert (found.label, found.help) == ("it has 2 columns", "did you mean `alpha`?")
    assert fails(tmp_path, target=("lable",)).help == "did you mean `label`?"
    assert fails(tmp_path, name="e.parquet").code == "E401"
    twice = pa.table([pa.array(A), pa.array(A), pa.array(LABELS)], names=["a", "a", "label"])
    write(tmp_path, twice)
    assert fails(tmp_path).code == "E421"
    write(tmp_path, {"a": A[:0], "label": LABELS[:0]})
    assert fails(tmp_path).code == "E427"


def test_files_that_are_none(tmp_path: Path) -> None:
    write(tmp_path, {"a": A, "label": LABELS})
    whole = (tmp_path / "d.parquet").read_bytes()
    for raw in (b"", b"a,b\n1,2\n", whole[:50], whole[:-9], whole[:-40] + bytes(40)):
        (tmp_path / "d.parquet").write_bytes(raw)
        assert fails(tmp_path).code == "E471"
    (tmp_path / "d.parquet").write_bytes(b"a,b\n1,2\n")
    assert 'csv "d.parquet"' in fails(tmp_path).help


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a": A, "label": LABELS})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = fails(tmp_path)
    assert (found.code, found.help) == ("E615", 'pip install "deepdsl[arrow]"')


def test_train_on_images_in_parquet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bright = PIXELS // 4 + (np.arange(20) % 2 * 150).astype(np.uint8).reshape(-1, 1, 1, 1)
    files = [{"bytes": png(pixels), "path": None} for pixels in bright]
    write(tmp_path, {"image": files, "label": [("day", "night")[i % 2] for i in range(20)]})
    (tmp_path / "m.dnn").write_text("""
    model m { input image[3 8 8]; flatten; dense 2 | softmax }
    data d {
      train parquet "d.parquet" target=label
      test parquet "d.parquet" target=label
      augment flip vertical
    }
    train m on d {
      loss cross_entropy; metric accuracy; optimizer adam lr=0.01; batch 5; epochs 40; seed 1
    }
    """)
    assert main(["train", str(tmp_path / "m.dnn"), "--out", str(tmp_path / "run"), "-q"]) == 0
    (tmp_path / "x.png").write_bytes(png(bright[1]))
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "x.png")]) == 0
    assert "x.png,night," in capsys.readouterr().out
    assert main(["eval", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1
