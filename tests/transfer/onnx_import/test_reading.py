"""Files that are damaged, or that reach for other files: diagnostics, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_graphs import SPAN, graph, kinds, node, ours, run, weight
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.graph import Type
from deepdsl.language.analysis.reused import Cut
from deepdsl.transfer.onnx_import import open_onnx, reading


def network() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
        node("Shape", ["n"], ["s"]),
        node("Gather", ["s", "zero"], ["rows"], axis=0),
        node("Unsqueeze", ["rows", "axes"], ["first"]),
        node("Concat", ["first", "rest"], ["to"], axis=0),
        node("Reshape", ["n", "to"], ["f"]),
        node("Gemm", ["f", "k"], ["y"]),
    ]
    weights = {
        "w": weight(2, 1, 3, 3),
        **{n: np.abs(weight(2)) + 0.1 for n in "gbmv"},
        "zero": np.asarray(0),
        "axes": np.asarray([0]),
        "rest": np.asarray([-1]),
        "k": weight(32, 3),
    }
    return graph(nodes, (1, 4, 4), weights)


def said(path: Path) -> Diagnostic:
    with pytest.raises(DnnError) as caught:
        open_onnx(path, path.name, SPAN)
    (found,) = caught.value.diagnostics
    assert found.span == SPAN
    assert path.name in found.message
    return found


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "no ONNX file"),
        (b"<!DOCTYPE html>", "no ONNX file"),
        (b"PK\x03\x04rest", "no ONNX file"),
        (b"\x80\x04\x95", "no ONNX file"),
        (b"hello", "no ONNX file"),
        (onnx.ModelProto(ir_version=8).SerializeToString(), "no ONNX file"),
        (onnx.TensorProto(name="w", dims=[1]).SerializeToString(), "no ONNX file"),
    ],
)
def test_no_onnx_file(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(data)
    found = said(file)
    assert found.code == "E540"
    assert words in found.message
    if data.startswith(b"version"):
        assert "git lfs pull" in found.help


def test_a_part_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    data = network().SerializeToString()
    file.write_bytes(data[: len(data) // 2])
    assert said(file).code == "E540"
    model = network()
    del model.graph.output[:]
    file.write_bytes(model.SerializeToString())
    assert "no output" in said(file).message
    model = network()
    model.graph.node[0].input[0] = "nowhere"
    file.write_bytes(model.SerializeToString())
    assert "it is damaged" in said(file).message


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    assert said(tmp_path / "missing.onnx").code == "E540"


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(network().SerializeToString())
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    found = said(file)
    assert found.code == "E543"
    assert "external data" in found.help


def test_a_newer_version(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    model = network()
    model.opset_import[0].version = 999
    file.write_bytes(model.SerializeToString())
    found = said(file)
    assert found.code == "E550"
    assert "opset 999" in found.message
    model = network()
    model.ir_version = 99
    file.write_bytes(model.SerializeToString())
    assert said(file).code == "E550"


# External data ------------------------------------------------------------------------------------


def external(folder: Path, location: str, **entries: Any) -> Path:
    """The network with its largest weights in a file of their own."""
    model = network()
    (tensor,) = [t for t in model.graph.initializer if t.name == "k"]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    file = folder / "net.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def test_weights_in_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    stored = np.concatenate([np.zeros(5, np.float32), weight(32, 3).reshape(-1)])
    for location in ("net.data", "data/net.bin"):
        (tmp_path / location).write_bytes(stored.tobytes())
        path = external(tmp_path, location, offset=20, length=384)
        file = open_onnx(path, "net.onnx", SPAN)
        imported = file.piece([Type(("N", 1, 4, 4))], Cut(), SPAN)
        assert kinds(imported) == ["conv", "batch_norm", "flatten", "dense"]
        np.testing.assert_array_equal(imported.weights["dense_1.weight"], weight(32, 3))
        x = weight(2, 1, 4, 4)
        np.testing.assert_allclose(ours(imported, x), run(network(), x), 1e-5, 1e-5)
        # What is kept has the weights inside.
        kept = tmp_path / "kept.onnx"
        kept.write_bytes(file.kept())
        again = open_onnx(kept).piece([Type(("N", 1, 4, 4))], Cut(), SPAN)
        np.testing.assert_array_equal(again.weights["dense_1.weight"], weight(32, 3))
        assert not onnx.load(kept, load_external_data=False).graph.initializer[0].external_data


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../net.data", "leads out of its folder"),
        ("data/../../net.data", "leads out of its folder"),
        ("..\\net.data", "leads out of its folder"),
        ("/etc/passwd", "an absolute path"),
        ("C:\\net.data", "an absolute path"),
        ("link.data", "a link to somewhere else"),
        ("linked/net.data", "a link to somewhere else"),
        ("hard.data", "hard links"),
    ],
)
def test_weights_outside_of_the_folder(tmp_path: Path, location: str, words: str) -> None:
    folder, outside = tmp_path / "net", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    for place in (outside, tmp_path):
        (place / "net.data").write_bytes(weight(32, 3).tobytes())
    (folder / "link.data").symlink_to(outside / "net.data")
    (folder / "linked").symlink_to(outside)
    os.link(outside / "net.data", folder / "hard.data")
    found = said(external(folder, location))
    assert found.code == "E541"
    assert words in found.message
    assert "beside the ONNX file" in found.help


@pytest.mark.parametrize(
    ("location", "entries", "words"),
    [
        ("gone.data", {}, "no such file"),
        ("", {}, "it has no name"),
        ("folder", {}, "that is no file"),
        ("net.data", {"offset": 4}, "it ends before byte"),
        ("net.data", {"offset": -4}, "are not the"),
        ("net.data", {"offset": "many"}, "no number"),
        ("net.data", {"length": 12}, "are not the 384"),
    ],
)
def test_weights_that_are_missing(
    tmp_path: Path, location: str, entries: dict[str, Any], words: str
) -> None:
    (tmp_path / "net.data").write_bytes(weight(32, 3).tobytes())
    (tmp_path / "folder").mkdir()
    found = said(external(tmp_path, location, **entries))
    assert found.code == "E542"
    assert words in found.message


# Damage -------------------------------------------------------------------------------------------

WHOLE = network().SerializeToString()


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_damaged_files_end_in_diagnostics(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Cut off, or with bytes flipped: it can be read, or something is said."""
    harmed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(harmed) - 1))
        harmed[place] ^= 1 << data.draw(st.integers(0, 7))
    if data.draw(st.booleans()):
        del harmed[data.draw(st.integers(0, len(harmed))) :]
    path = tmp_path_factory.getbasetemp() / "harmed.onnx"
    path.write_bytes(bytes(harmed))
    codes = []
    try:
        file = open_onnx(path, "harmed.onnx", SPAN)
        assert len(file.inputs) >= 0
        file.places()
        file.piece([Type(("N", 1, 4, 4))], Cut(), SPAN)
    except DnnError as error:
        codes = [d.code for d in error.diagnostics] or ["nothing"]
    assert all(code.startswith(("E54", "E55")) for code in codes)


def test_a_small_file_does_not_become_a_large_network(tmp_path: Path) -> None:
    """A few bytes can ask for any number of zeros."""
    nodes = [node("ConstantOfShape", ["size"], ["c"]), node("Add", ["x", "c"], ["y"])]
    model = graph(nodes, (3,), {"size": np.asarray([2**20, 2**20])})
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DnnError, match=r"E549.*ConstantOfShape.*numbers of constants"):
        open_onnx(path).piece([Type(("N", 3))], Cut(), SPAN)
