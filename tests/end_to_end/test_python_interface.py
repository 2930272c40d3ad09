"""The Python interface: load, train on arrays or files, evaluate, predict, export."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import deepdsl

TEXT = """
model mlp {
  input image[8 8]
  flatten | dense 32 bias=false | batch_norm | relu | dropout 10%
  dense 10 | softmax
}
data digits {
  train builtin digits
  valid split=10% stratify=true
  test  builtin digits
  scale (1 / 16)
}
train mlp on digits {
  loss cross_entropy; metric accuracy; optimizer adam lr=3e-3; epochs 4; seed 5
}
"""
ARRAYS = TEXT.replace("data digits", "data unused").replace("on digits", "on arrays")


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def digits() -> tuple[Any, Any]:
    with resources.files("deepdsl.data").joinpath("digits.npz").open("rb") as file:
        arrays = np.load(file)
        return arrays["x"], arrays["y"].astype(np.int64)


def test_a_program_tells_its_mistakes_and_refuses_to_train() -> None:
    program = deepdsl.loads("model m { input x[4]; densse 3 | softmax }", name="m.dnn")
    assert not program.ok
    (found,) = program.diagnostics
    assert (found.code, found.span.line, found.span.column) == ("E101", 1, 23)
    with pytest.raises(deepdsl.DnnError) as error:
        program.train()
    assert [d.code for d in error.value.diagnostics] == ["E101"]
    assert "did you mean `dense`?" in str(error.value)


def test_a_file_that_is_not_there_raises() -> None:
    with pytest.raises(deepdsl.DnnError, match="no such file"):
        deepdsl.load("nowhere.dnn")


def test_a_run_is_measured_used_and_exported(tmp_path: Path) -> None:
    (tmp_path / "digits.dnn").write_text(TEXT)
    run = deepdsl.load("digits.dnn").train()
    assert run.path == Path("runs/digits")
    assert run.figures["epochs"] == len(run.history) == 4
    assert run.history[-1]["valid"] == run.figures["valid"]
    assert run.classes == tuple("0123456789")
    assert run.evaluate(split="test") == pytest.approx(run.figures["test"])
    again = deepdsl.open_run("runs/digits")
    assert again.figures == json.loads(json.dumps(dict(run.figures)))
    written = again.export("digits.onnx")
    assert (written.folded, written.opset) == (1, 18)
    assert written.max_abs_error <= 1e-5
    session = onnxruntime.InferenceSession("digits.onnx", providers=["CPUExecutionProvider"])
    raw = np.random.default_rng(1).integers(0, 17, (5, 8, 8))
    (out,) = session.run(None, {"image": raw.astype(np.float32)})
    np.testing.assert_allclose(out, run.predict(raw), atol=1e-5)
    np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["deepdsl.classes"]) == list(run.classes)


def test_arrays_stand_in_for_the_data_section(digits: tuple[Any, Any]) -> None:
    x, y = digits
    program = deepdsl.loads(ARRAYS)
    assert [d.code for d in program.diagnostics] == ["E114"]  # the file alone has no such data
    run = program.train(x[:1200] / 16, y[:1200], valid=(x[1200:] / 16, y[1200:]), epochs=3)
    assert run.figures["epochs"] == 3
    assert run.figures["valid"]["accuracy"] > 0.8
    measured = run.evaluate(x[1200:] / 16, y[1200:])
    assert measured == pytest.approx(run.figures["valid"])
    right = (run.predict(x[1200:] / 16).argmax(axis=1) == y[1200:]).mean()
    assert right == pytest.approx(measured["accuracy"])


def test_rows_of_probabilities_train_like_class_numbers(digits: tuple[Any, Any]) -> None:
    x, y = digits
    program = deepdsl.loads(ARRAYS)
    numbers = program.train(x / 16, y, epochs=2)
    rows = program.train(x / 16, np.eye(10, dtype=np.float32)[y], epochs=2)
    assert numbers.figures["train"] == rows.figures["train"]
    assert all(np.array_equal(numbers.weights[k], rows.weights[k]) for k in numbers.weights)


def test_settings_and_seed_change_what_is_run(digits: tuple[Any, Any]) -> None:
    x, y = digits
    program = deepdsl.loads(ARRAYS)
    run = program.train(x / 16, y, seed=9, settings={"optimizer.lr": 0.01, "batch": 64}, epochs=1)
    text = (run.path / "spec.dnn").read_text()
    assert "adam lr=0.01" in text
    assert "batch 64" in text
    assert "seed 9" in text
    assert run.figures["steps"] == -(-len(x) // 64)
    assert not np.array_equal(
        run.weights["dense_1.weight"], program.train(x / 16, y, epochs=1).weights["dense_1.weight"]
    )


@pytest.mark.parametrize(
    ("x", "y", "code"),
    [
        (np.zeros((4, 7, 7)), np.zeros(4, int), "E436"),
        (np.zeros((4, 8, 8)), np.full(4, 11), "E439"),
        (np.full((4, 8, 8), np.nan), np.zeros(4, int), "E438"),
        (np.zeros((4, 8, 8)), np.zeros(5, int), "E437"),
    ],
)
def test_wrong_arrays_are_told(x: Any, y: Any, code: str) -> None:
    with pytest.raises(deepdsl.DnnError) as error:
        deepdsl.loads(ARRAYS).train(x, y)
    assert code in {d.code for d in error.value.diagnostics}


@pytest.mark.parametrize(
    ("x", "code", "help"),
    [
        (np.zeros((4, 7, 7)), "E436", "give it an array of shape (rows, 8, 8)"),
        (np.zeros((8, 8)), "E436", "give it an array of shape (rows, 8, 8)"),
        (np.full((4, 8, 8), np.nan), "E438", ""),
        ({"picture": np.zeros((4, 8, 8))}, "E432", "image"),
    ],
)
def test_wrong_rows_to_predict_are_told(
    x: Any, code: str, help: str, digits: tuple[Any, Any]
) -> None:
    run = deepdsl.loads(ARRAYS).train(digits[0][:200] / 16, digits[1][:200], epochs=1)
    with pytest.raises(deepdsl.DnnError) as error:
        run.predict(x)
    (found,) = error.value.diagnostics
    assert found.code == code
    assert help in found.help
    assert run.predict(digits[0][:3]).shape == (3, 10)
    assert run.predict({"image": digits[0][:3]}).shape == (3, 10)
    assert run.predict(digits[0][:0]).shape == (0, 10)


def test_what_is_missing_is_named_as_python_has_it(digits: tuple[Any, Any]) -> None:
    x, y = digits[0][:200] / 16, digits[1][:200]
    with pytest.raises(deepdsl.DnnError) as error:
        deepdsl.loads(ARRAYS).train(x)
    assert [d.code for d in error.value.diagnostics] == ["E435"]
    assert "give the targets as `y`" in error.value.diagnostics[0].help
    run = deepdsl.loads(ARRAYS).train(x, y, epochs=1)
    with pytest.raises(deepdsl.DnnError) as error:
        run.evaluate()
    assert error.value.diagnostics[0].message == "data arrays: it names no rows"
    assert error.value.diagnostics[0].help == "give arrays: `run.evaluate(x, y)`"


def test_importing_the_package_is_light() -> None:
    import subprocess
    import sys

    heavy = ("numpy", "onnx", "onnxruntime", "lark")
    code = f"import sys, deepdsl; print([m for m in {heavy} if m in sys.modules])"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"
    assert len(deepdsl.__all__) <= 10
