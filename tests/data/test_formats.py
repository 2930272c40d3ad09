"""Sources read what was written, large files stay on disk, and odd bytes give DnnError alone."""

from __future__ import annotations

import csv
import gzip
import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepdsl.data import (
    Csv,
    DataSource,
    Idx,
    Npy,
    Npz,
    OpenRequest,
    Table,
    TargetSpec,
    from_arrays,
)
from deepdsl.diagnostics import DnnError

ANY = {"target": TargetSpec("any", shape=None)}
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
_IDX = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx_bytes(array: np.ndarray, code: str) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, _IDX[code], array.ndim, *array.shape)
    return head + array.astype(code).tobytes()


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def open_x(source: DataSource, folder: Path, shape=None, targets=None) -> Table:
    return source.open(OpenRequest(folder, {"x": shape}, targets or {}))


def values(table: Table, name: str = "x", dtype: type = np.float32) -> np.ndarray:
    field = table.field(name)
    out = np.empty((table.rows, *field.shape), dtype)
    field.read(np.arange(table.rows), out)
    return out


@pytest.mark.parametrize("code", _IDX)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_idx_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, packed: bool, limit: int
) -> None:
    monkeypatch.setattr("deepdsl.data.arrays.IN_MEMORY", limit)
    array = np.arange(24).reshape(4, 3, 2).astype(code)
    raw = idx_bytes(array, code)
    (tmp_path / "x").write_bytes(gzip.compress(raw) if packed else raw)
    table = open_x(Idx("x"), tmp_path)
    np.testing.assert_array_equal(values(table), array)
    assert Idx("x").count(OpenRequest(tmp_path, {"x": None})) == 4


@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i4", "<i8", "<f2", ">f4", "<f8", "<f16"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_npy_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, order: str, limit: int
) -> None:
    monkeypatch.setattr("deepdsl.data.arrays.IN_MEMORY", limit)
    array = np.asarray(np.arange(24).reshape(4, 3, 2).astype(dtype), order=order)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array)
    np.testing.assert_array_equal(values(open_x(Npy("x.npy"), tmp_path)), array)
    np.testing.assert_array_equal(values(open_x(Npz("x.npz"), tmp_path)), array)


def test_texts_as_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 1)), y=np.array(["dog", "cat", "dog"]))
    table = open_x(Npz("d.npz"), tmp_path, (1,), {"target": TargetSpec("index", 2)})
    assert table.classes == ("cat", "dog")
    assert values(table, "target", np.int64).tolist() == [1, 0, 1]


def test_several_inputs_by_name(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a;b;c;same\n1;2;3;0\n4;5;6;1\n")
    source = Csv(
        "d.csv",
        target=("same",),
        delimiter="semicolon",
        feeds=(("left", ("a", "b")), ("right", ("c",))),
    )
    inputs = {"left": (2,), "right": (1,)}
    table = source.open(OpenRequest(tmp_path, inputs, {"t": TargetSpec("binary", shape=(1,))}))
    assert values(table, "left").tolist() == [[1, 2], [4, 5]]
    assert values(table, "right").tolist() == [[3], [6]]
    assert values(table, "t").tolist() == [[0], [1]]


def test_a_large_npy_is_not_loaded(tmp_path: Path) -> None:
    rows, size = 200_000, 500  # 400 MB of holes
    head = npy_bytes(np.empty((0, size), np.float32))
    head = head.replace(b"(0, 500)", b"(200000, 500)").replace(b" " * 5 + b"\n", b"\n")
    with open(tmp_path / "x.npy", "wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + rows * size * 4)
    out = np.empty((3, size), np.float32)
    tracemalloc.start()
    try:
        table = open_x(Npy("x.npy"), tmp_path, (size,))
        table.field("x").read(np.array([5, 199_999, 0]), out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert table.rows == rows
    assert not out.any()
    assert peak < 1 << 20


def test_nan_on_the_disk_is_found_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepdsl.data.arrays.IN_MEMORY", 0)
    array = np.zeros((9, 2, 3))
    array[7, 1, 2] = 1e300
    np.save(tmp_path / "x.npy", array)
    field = open_x(Npy("x.npy"), tmp_path).field("x")
    field.read(np.array([1, 2]), np.empty((2, 6), np.float32))
    with pytest.raises(DnnError) as caught:
        field.read(np.array([3, 7]), np.empty((2, 6), np.float32))
    assert caught.value.diagnostics[0].label == "x.npy, row 7, column 1, 2 (counted from 0)"


NUMBER = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@given(
    st.lists(st.tuples(NUMBER, NUMBER, st.sampled_from("abc")), min_size=1, max_size=30),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.booleans(),
    st.integers(1, 200),
    st.randoms(),
)
@SLOW
def test_csv_streamed_is_csv_in_memory(tmp_path, rows, end, quotes, block, random) -> None:
    stream = io.StringIO()
    style = csv.QUOTE_ALL if quotes else csv.QUOTE_MINIMAL
    writer = csv.writer(stream, lineterminator=end, quoting=style)
    writer.writerows([("p", "label", "q"), *((p, label, q) for p, q, label in rows)])
    (tmp_path / "d.csv").write_bytes(stream.getvalue().encode())
    source = Csv("d.csv", target=("label",))
    expected = np.array([(p, q) for p, q, _ in rows], np.float64).astype(np.float32)
    order = np.array(random.sample(range(len(rows)), len(rows)))
    for limit in (0, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("deepdsl.data.files.IN_MEMORY", limit)
            patch.setattr("deepdsl.data.files.KEPT", limit)
            patch.setattr("deepdsl.data.formats.csv.lines._BLOCK", block)
            table = open_x(source, tmp_path, (2,), ANY)
        out = np.empty((len(rows), 2), np.float32)
        table.field("x").read(order, out)
        np.testing.assert_array_equal(out, expected[order])
        labels = [table.classes[i] for i in values(table, "target", np.int64)]
        assert labels == [label for _, _, label in rows]
        assert source.count(OpenRequest(tmp_path, {"x": (2,)}, ANY)) == len(rows)
        lines = stream.getvalue().split("\n")
        place = table.field("x").place(len(rows) - 1)
        number = max(i for i, line in enumerate(lines, 1) if line.strip())
        assert place == f"d.csv, line {number}"


def test_csv_quoted_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = '﻿"a, b",label\n1,"two\nlines"\n2,"say ""hi"""\n3,x\n'
    (tmp_path / "d.csv").write_text(text)
    table = open_x(Csv("d.csv", target=("label",), columns=("a, b",)), tmp_path, (1,), ANY)
    assert table.classes == ('say "hi"', "two\nlines", "x")
    assert table.field("x").place(2) == "d.csv, line 5"


def test_csv_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("1,2,0\n3,4,1\n")
    table = open_x(Csv("d.csv", target=("3",), header=False), tmp_path, (2,), ANY)
    assert values(table).tolist() == [[1, 2], [3, 4]]
    assert table.rows == 2


VALID = {
    "idx": idx_bytes(np.arange(24).reshape(4, 6), "u1"),
    "idx.gz": gzip.compress(idx_bytes(np.arange(24).reshape(4, 6), ">f4"), mtime=0),
    "npy": npy_bytes(np.arange(24.0).reshape(4, 6)),
    "csv": b'a,b,label\n1,2,x\n3,4,y\n5,"6",x\n',
}
_stream = io.BytesIO()
np.savez_compressed(_stream, x=np.arange(24.0).reshape(4, 6), y=np.arange(4))
VALID["npz"] = _stream.getvalue()
_stream = io.BytesIO()
np.savez(_stream, x=np.arange(24.0).reshape(4, 6), y=np.arange(4))
VALID["stored.npz"] = _stream.getvalue()

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete", "cut", "repeat"]),
        st.integers(0, 10**6),
        st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


def changed(raw: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for how, at, with_bytes in changes:
        at %= len(raw) + 1
        raw = {
            "set": raw[:at] + with_bytes + raw[at + len(with_bytes) :],
            "insert": raw[:at] + with_bytes + raw[at:],
            "delete": raw[:at] + raw[at + len(with_bytes) :],
            "cut": raw[:at],
            "repeat": raw[:at] + raw[max(0, at - 10) :],
        }[how]
    return raw


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("limit", [0, 1 << 20])
@given(changes=CHANGES)
@settings(SLOW, max_examples=200)
def test_any_bytes_give_a_table_or_a_message(tmp_path, name, limit, changes) -> None:
    file = tmp_path / f"data.{name}"
    file.write_bytes(changed(VALID[name], changes))
    kind = name.split(".")[-1]
    makers = {
        "idx": lambda: Idx(file.name),
        "gz": lambda: Idx(file.name),
        "npy": lambda: Npy(file.name),
        "npz": lambda: Npz(file.name),
        "csv": lambda: Csv(file.name, target=("label",)),
    }
    source = makers[kind]()
    targets = ANY if kind in ("npz", "csv") else {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deepdsl.data.arrays.IN_MEMORY", limit)
        patch.setattr("deepdsl.data.files.IN_MEMORY", limit)
        patch.setattr("deepdsl.data.files.KEPT", limit)
        for use in (
            lambda: values(open_x(source, tmp_path, None, targets)),
            lambda: source.count(OpenRequest(tmp_path, {"x": None}, targets)),
        ):
            try:
                use()
            except DnnError as error:
                for diagnostic in error.diagnostics:
                    assert diagnostic.message
                    assert isinstance(diagnostic.label + diagnostic.help, str)


def test_python_arrays() -> None:
    x = np.arange(12, dtype=np.uint8).reshape(4, 3)
    table = from_arrays(x, ["b", "a", "b", "b"], targets={"t": TargetSpec("index", 2)})
    assert table.classes == ("a", "b")
    assert values(table, "t", np.int64).tolist() == [1, 0, 1, 1]
    np.testing.assert_array_equal(values(table), x)
    table = from_arrays({"left": x, "right": x}, np.zeros(4))
    assert set(table.inputs) == {"left", "right"}
    for bad, code in (
        (lambda: from_arrays([[1], [1, 2]]), "E412"),
        (lambda: from_arrays(np.zeros((3, 2)), np.zeros(4)), "E437"),
        (lambda: from_arrays(np.full((3, 2), np.inf)), "E438"),
        (lambda: from_arrays(np.zeros((3, 2)), inputs={"x": (3,)}), "E436"),
        (lambda: from_arrays(np.array([object()])), "E412"),
        (lambda: from_arrays(np.float32(1)), "E412"),
        (lambda: from_arrays(np.zeros((0, 2))), "E427"),
        (lambda: from_arrays({"x": x}, inputs={"x": (3,), "z": (3,)}), "E434"),
    ):
        with pytest.raises(DnnError) as caught:
            bad()
        assert caught.value.diagnostics[0].code == code


def test_a_buffer_that_would_be_copied_is_refused() -> None:
    table = from_arrays(np.zeros((4, 6), np.float32))
    with pytest.raises(ValueError, match="contiguous"):
        table.field("x").read(np.arange(2), np.empty((2, 12), np.float32)[:, ::2])
