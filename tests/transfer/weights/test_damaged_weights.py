"""Files that are cut short, changed on their way, or lie about themselves."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reused import WEIGHTS_SPAN, loaded, one_problem
from weight_files import (
    BIAS,
    KERNEL,
    TEXT,
    beside,
    checkpoint_folder,
    gemm,
    keras_2,
    sharded,
    tfjs,
    torch_file,
)

from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.transfer.weights import Loaded


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def header(text: str, length: int | None = None) -> bytes:
    return (len(text) if length is None else length).to_bytes(8, "little") + text.encode()


def entry(**more: Any) -> str:
    told = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **more}
    return json.dumps({"w": told})


SAFETENSORS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "short": (b"abc", "it has 3 bytes"),
    "huge header": (header("{}", 1 << 62), "more than 100,000,000"),
    "cut header": (header("{}", 900), "the file ends after 2"),
    "no json": (header("{nonsense"), "no JSON"),
    "deep json": (header("[" * 20_000), "no JSON"),
    "a list": (header("[1]"), "no table of tensors"),
    "no shape": (header('{"w": {"dtype": "F32"}}'), "neither type nor shape"),
    "negative": (header(entry(shape=[-2])) + bytes(8), "no whole numbers"),
    "backwards": (header(entry(data_offsets=[8, 0])) + bytes(8), "before it begins"),
    "cut": (header(entry()) + bytes(4), "ends at byte 8 of the numbers, and there are 4"),
    "other size": (header(entry(shape=[3])) + bytes(8), "and its shape needs 12"),
    "overlap": (
        header(json.dumps({n: json.loads(entry())["w"] for n in "ab"})) + bytes(8),
        "in one place",
    ),
}


@pytest.mark.parametrize("what", SAFETENSORS)
def test_damaged_safetensors(what: str) -> None:
    data, reason = SAFETENSORS[what]
    Path("w.safetensors").write_bytes(data)
    found = one_problem(TEXT, "w.safetensors")
    assert found.code == "E524"
    assert found.message.startswith("w.safetensors cannot be read: ")
    assert reason in found.message
    assert found.help


def test_damaged_archives(tmp_path: Path) -> None:
    whole = keras_2(tmp_path).read_bytes()
    Path("w.npz").write_bytes(whole[: len(whole) // 2])
    assert one_problem(TEXT, "w.npz").code == "E524"
    with zipfile.ZipFile("w.npz", "w") as archive:
        archive.writestr("dense_1.weight.npy", b"\x93NUMPY\x01\x00\x05\x00{...}")
    assert "w.npz cannot be read" in one_problem(TEXT, "w.npz").message
    lying = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 9999999), }\n"
    with zipfile.ZipFile("w.npz", "w") as archive:
        archive.writestr(
            "dense_1.weight.npy", b"\x93NUMPY\x01\x00" + len(lying).to_bytes(2, "little") + lying
        )
    assert "its shape needs" in one_problem(TEXT, "w.npz").message
    # Numbers that were changed on their way are found by the archive's own checksum.
    at = whole.index(KERNEL.tobytes())
    Path("w.npz").write_bytes(whole[:at] + b"\x01" + whole[at + 1 :])
    assert "CRC" in one_problem(TEXT, "w.npz").message


def test_damaged_checkpoints(tmp_path: Path) -> None:
    folder = checkpoint_folder(tmp_path)
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    for weights in ("best", "best/weights.safetensors"):
        found = one_problem(TEXT, weights)
        assert found.code == "E604"
        assert "checksum differs" in found.message
        assert found.span == WEIGHTS_SPAN


def told_by(path: Path, change: Callable[[Any], None]) -> str:
    """What is said of a model.json after a change."""
    told = json.loads(path.read_text())
    change(told["weightsManifest"][0])
    path.write_text(json.dumps(told))
    return one_problem(TEXT, path).message


def test_damaged_models_of_tensorflow_js(tmp_path: Path) -> None:
    path = tfjs(tmp_path)
    whole = path.read_text()
    for outside in ("../x.bin", "/etc/passwd", "a/../../x", "..\\x", ""):
        assert "not in its folder" in told_by(path, lambda g, o=outside: g.update(paths=[o]))
    path.write_text(whole)
    assert "not beside it" in told_by(path, lambda g: g.update(paths=["none.bin"]))
    path.write_text(whole)
    assert "lacks paths, names" in told_by(path, lambda g: g.pop("weights"))
    path.write_text(whole)
    assert "bytes, and the files have" in told_by(path, lambda g: g["weights"].pop())
    path.write_text(whole)
    told = told_by(path, lambda g: g["weights"][0].update(quantization={"dtype": "int4"}))
    assert "quantized to int4" in told
    path.write_text(whole)
    assert "no list of sizes" in told_by(path, lambda g: g["weights"][0].update(shape=[-1]))
    path.write_text(whole)
    assert "length is not told" in told_by(path, lambda g: g["weights"][0].update(dtype="string"))
    path.write_text('{"weightsManifest": []}')
    assert "names no weights" in one_problem(TEXT, path).message
    path.write_text("{")
    assert "no JSON" in one_problem(TEXT, path).message


def test_damaged_lists_of_files(tmp_path: Path) -> None:
    path = sharded(tmp_path)
    for places, reason in (
        ({"w": "../a.safetensors"}, "not in its folder"),
        ({"w": "a-3.safetensors"}, "not beside it"),
        ({"w": "a-1.safetensors"}, "do not have `w`"),
        ({"w": 1}, "does not name files"),
        ({}, "do not have a tensor"),
    ):
        path.write_text(json.dumps({"weight_map": places}))
        assert reason in one_problem(TEXT, path).message


def test_graphs_whose_numbers_are_not_there(tmp_path: Path) -> None:
    path = beside(tmp_path)
    data = (tmp_path / "large.data").read_bytes()
    (tmp_path / "large.data").write_bytes(data[:-4])
    assert one_problem(TEXT, path).code == "E524"
    (tmp_path / "large.data").unlink()
    assert one_problem(TEXT, path).code == "E524"
    outside = path.read_bytes().replace(b"large.data", b"../lar.dat")
    (tmp_path.parent / "lar.dat").write_bytes(data)
    path.write_bytes(outside)
    assert one_problem(TEXT, path).code == "E524"


MAKERS = {"t.safetensors": torch_file, "k.npz": keras_2, "model.json": tfjs, "m.onnx": gemm}
any_damage = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@any_damage
@given(
    st.sampled_from(sorted(MAKERS)),
    st.integers(0, 10_000),
    st.integers(1, 12),
    st.binary(max_size=12),
    st.booleans(),
)
def test_any_damage_is_a_message(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, cut: int, new: bytes, ends: bool
) -> None:
    """Bytes that are changed, taken out, put in or cut off: values, or a diagnostic."""
    path = MAKERS[name](tmp_path_factory.mktemp("d"))
    data = path.read_bytes()
    at %= len(data)
    path.write_bytes(data[:at] + new + (b"" if ends else data[at + cut :]))
    said: tuple[Diagnostic, ...] = ()
    made: Loaded | None = None
    try:
        made = loaded(TEXT, path)
    except DnnError as error:
        said = error.diagnostics
    assert all(d.code[:3] in ("E52", "E53") and d.message and d.help for d in said)
    if made is not None:
        assert made.values["dense_1.weight"].shape == KERNEL.shape
        assert made.values["dense_1.bias"].shape == BIAS.shape
        assert all(np.isfinite(v).all() for v in made.values.values())
