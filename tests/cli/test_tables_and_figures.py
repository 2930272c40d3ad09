"""Columns count by name, figures belong to the weights that a run ends with, classes have names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import Dnnc

REGRESSION = """\
data rows {{
  train csv "rows.csv" target=t {columns}
  test  csv "turned.csv" target=t {columns}
  valid split=20%
  standardize
}}
model net {{ input row[2]; dense 1 }}
train net on rows {{
  loss mean_squared_error; metric mae; optimizer adam lr=20; epochs 12; batch 8; seed 1
  stop patience=2 restore=best
}}
"""


@pytest.fixture
def tables(tmp_path: Path) -> None:
    """The same rows twice: `a,b,t`, and with the columns turned and one more."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 80))
    t = 1000 + 300 * a - 50 * b * b
    head, turned = ["a,b,t"], ["t,b,more,a"]
    for x, y, z in zip(a, b, t, strict=True):
        head.append(f"{x:.6f},{y:.6f},{z:.6f}")
        turned.append(f"{z:.6f},{y:.6f},7,{x:.6f}")
    (tmp_path / "rows.csv").write_text("\n".join(head) + "\n")
    (tmp_path / "turned.csv").write_text("\n".join(turned) + "\n")
    (tmp_path / "swapped.csv").write_text(
        "\n".join(",".join(line.split(",")[1::-1]) for line in head) + "\n"
    )


@pytest.mark.parametrize("columns", ["", "columns=[a b]", "columns=[b a]"])
def test_columns_count_by_name(tables: None, dnnc: Dnnc, tmp_path: Path, columns: str) -> None:
    (tmp_path / "net.dnn").write_text(REGRESSION.format(columns=columns))
    told = dnnc("train", "net.dnn", "--out", "run", "--json").json
    # The test rows are the training rows, in a table with another order of columns.
    train = dnnc("eval", "run", "--split", "train", "--json").json
    valid = dnnc("eval", "run", "--split", "valid", "--json").json
    both = (64 * train["mae"] + 16 * valid["mae"]) / 80
    assert told["test"]["mae"] == pytest.approx(both, rel=1e-4)
    assert dnnc("export", "run", "-o", "net.onnx", "-q").status == 0  # outputs near 1000
    for model in ("run", "net.onnx"):
        outputs = [
            np.ravel(dnnc("predict", model, file, "--json").json["outputs"]["output"])
            for file in ("rows.csv", "turned.csv", "swapped.csv")
        ]
        np.testing.assert_array_equal(outputs[0], outputs[1])
        np.testing.assert_array_equal(outputs[0], outputs[2])
        assert np.ptp(outputs[0]) > 100


def test_the_figures_are_those_of_the_restored_weights(
    tables: None, dnnc: Dnnc, tmp_path: Path
) -> None:
    (tmp_path / "net.dnn").write_text(
        REGRESSION.format(columns="").replace("lr=20; epochs 12", "lr=300; epochs 60")
    )
    told = dnnc("train", "net.dnn", "--out", "run", "--json").json
    assert told["restored_epoch"] < told["epochs"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    best = lines[told["restored_epoch"] - 1]
    assert told["valid"] == best["valid"]
    assert told["train"] == best["train"]
    measured = dnnc("eval", "run", "--split", "valid", "--json").json
    assert told["valid"]["loss"] == pytest.approx(measured["loss"], rel=1e-6)


def test_classes_without_names_are_numbers(dnnc: Dnnc, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(90, 3)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=x.argmax(axis=1))
    (tmp_path / "net.dnn").write_text(
        'data rows { train npz "rows.npz"; valid last=10 }\n'
        "model net { input x[3]; dense 3 | softmax }\n"
        "train net on rows { loss cross_entropy; optimizer adam lr=0.3; epochs 20; seed 1 }\n"
    )
    assert dnnc("train", "net.dnn", "--out", "run", "-q").status == 0
    assert dnnc("export", "run", "-o", "net.onnx", "-q").status == 0
    metadata = {p.key: p.value for p in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert json.loads(metadata["deepdsl.classes"]) == ["0", "1", "2"]
    np.savez(tmp_path / "new.npz", x=x[:20])
    labels = dnnc("predict", "net.onnx", "new.npz", "--json").json["label"]
    assert (
        np.mean([int(label) == row.argmax() for label, row in zip(labels, x, strict=False)]) > 0.9
    )
    assert dnnc("eval", "run", "--split", "valid", "--json").json["rows"] == 10
    assert dnnc("eval", "net.onnx", "--data", "net.dnn", "--split", "valid", "--json").status == 0
