"""`dnnc export`, `eval` and `predict`: a run that is used."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from commands import SPEC, Dnnc

from deepdsl.data import Builtin, DataSpec, Placed, load
from deepdsl.data.request import TargetSpec


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The raw test rows and labels."""
    spec = DataSpec("d", None, test=Placed(Builtin("digits")))
    view = load(
        spec, Path(), {"image": (8, 8)}, {"target": TargetSpec("index", 10)}, 0, ("test",)
    ).test
    assert view is not None
    images, labels = np.empty((len(view), 8, 8), np.float32), np.empty(len(view), np.int64)
    view.read(np.arange(len(view)), {"image": images, "target": labels})
    return images, labels


def test_an_export_is_what_was_trained(
    dnnc: Dnnc, run_folder: Path, tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    answer = dnnc("export", run_folder, "-o", "out/net.onnx", "--json")
    assert answer.status == 0
    told = answer.json
    file = tmp_path / "out" / "net.onnx"
    assert told["file"] == "out/net.onnx"
    assert told["bytes"] == file.stat().st_size
    assert 0 <= told["max_abs_error"] <= 1e-5
    assert told["folded_batch_norms"] == 1
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == told["opset"]
    assert {p.key: p.value for p in model.metadata_props}["deepdsl.classes"] == json.dumps(
        [str(d) for d in range(10)]
    )
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["image"]
    images, labels = digits
    # Raw pixels from 0 to 16: the file scales by itself.
    (made,) = session.run(None, {"image": images})
    np.testing.assert_allclose(made.sum(1), 1, atol=1e-5)
    accuracy = float((made.argmax(1) == labels).mean())
    result = json.loads((run_folder / "manifest.json").read_text())["result"]
    assert accuracy == pytest.approx(result["test"]["accuracy"], abs=1e-9)

    kept = dnnc("export", run_folder, "-o", "kept.onnx", "--no-fold", "--json").json
    assert kept["folded_batch_norms"] == 0
    human = dnnc("export", run_folder, "-o", "again.onnx")
    assert "1 batch norm folded" in human.out
    assert "verified: largest difference" in human.out
    assert (tmp_path / "again.onnx").read_bytes() == file.read_bytes()
    assert dnnc("export", run_folder, "--json").json["file"] == "net.onnx"


def test_an_export_that_differs_is_not_written(
    dnnc: Dnnc, run_folder: Path, tmp_path: Path
) -> None:
    answer = dnnc("export", run_folder, "-o", "net.onnx", "--verify", "1e-30", "--json")
    assert (answer.status, answer.codes) == (5, ["E606"])
    assert "more than 1e-30" in answer.err
    assert not list(tmp_path.iterdir())


def test_eval_of_a_run_and_of_its_export_agree(
    dnnc: Dnnc, run_folder: Path, tmp_path: Path
) -> None:
    result = json.loads((run_folder / "manifest.json").read_text())["result"]
    told = {}
    for split, rows in (("train", 1293), ("valid", 144), ("test", 360)):
        told[split] = dnnc("eval", run_folder, "--split", split, "--json").json
        assert list(told[split]) == ["loss", "accuracy", "rows", "split"]
        assert (told[split]["rows"], told[split]["split"]) == (rows, split)
    for split in ("valid", "test"):
        assert told[split]["loss"] == pytest.approx(result[split]["loss"], rel=1e-4)
        assert told[split]["accuracy"] == result[split]["accuracy"]
    human = dnnc("eval", run_folder)
    assert "accuracy" in human.out
    assert "360 rows" in human.out
    assert dnnc("eval", run_folder, "--checkpoint", "best", "--json").status == 0

    assert dnnc("export", run_folder, "-o", "net.onnx").status == 0
    (tmp_path / "net.dnn").write_text(SPEC)
    other = SPEC + "data other { test builtin digits part=train }\n"
    (tmp_path / "two.dnn").write_text(other)
    for data in ("net.dnn", "net.dnn:digits", "two.dnn:digits"):
        exported = dnnc("eval", "net.onnx", "--data", data, "--json").json
        assert exported["rows"] == 360
        assert exported["accuracy"] == told["test"]["accuracy"]
        assert exported["loss"] == pytest.approx(told["test"]["loss"], rel=1e-4)
    own = dnnc("eval", run_folder, "--data", "net.dnn:digits", "--json").json
    assert own == told["test"]


def test_eval_says_what_is_missing(dnnc: Dnnc, run_folder: Path, tmp_path: Path) -> None:
    assert dnnc("export", run_folder, "-o", "net.onnx").status == 0
    nothing = dnnc("eval", "net.onnx", "--json")
    assert (nothing.status, nothing.codes) == (3, ["E603"])
    assert "--data FILE.dnn" in nothing.err
    (tmp_path / "two.dnn").write_text(
        SPEC.replace("  test  builtin digits\n", "") + "data more { train builtin digits }\n"
    )
    unknown = dnnc("eval", "net.onnx", "--data", "two.dnn:digts", "--json")
    assert (unknown.status, unknown.codes) == (1, ["E114"])
    assert "did you mean `digits`?" in unknown.err
    which = dnnc("eval", "net.onnx", "--data", "two.dnn", "--json")
    assert (which.status, which.codes) == (1, ["E114"])
    assert "digits, more" in which.err
    split = dnnc("eval", "net.onnx", "--data", "two.dnn:digits", "--json")
    assert (split.status, split.codes) == (3, ["E612"])
    assert "there is no `test` row" in split.err
    assert "it has: train, valid" in split.err
    assert dnnc("eval", "net.onnx", "--data", "nowhere.dnn").status == 3
    assert dnnc("eval", run_folder, "--split", "tset").status == 2


def test_predict_reads_and_writes_every_format(
    dnnc: Dnnc, run_folder: Path, tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    images, labels = digits[0][:20], digits[1][:20]
    np.save(tmp_path / "rows.npy", images)
    np.savez(tmp_path / "rows.npz", image=images, other=labels)
    np.savez(tmp_path / "plain.npz", x=images)
    assert dnnc("export", run_folder, "-o", "net.onnx").status == 0
    session = ort.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"image": images})
    named = [str(n) for n in wanted.argmax(1)]

    for model in (run_folder, "net.onnx"):
        for rows in ("rows.npy", "rows.npz", "plain.npz"):
            out = dnnc("predict", model, rows)
            assert (out.status, out.err) == (0, "")
            table = list(csv.DictReader(io.StringIO(out.out)))
            assert [row["label"] for row in table] == named
            assert list(table[0]) == ["label", *(f"output_{d}" for d in range(10))]
            values = [[float(v) for k, v in row.items() if k != "label"] for row in table]
            np.testing.assert_allclose(values, wanted, atol=1e-6)

    told = dnnc("predict", "net.onnx", "rows.npy", "--json").json
    assert (told["rows"], told["file"], told["label"]) == (20, None, named)
    np.testing.assert_allclose(told["outputs"]["output"], wanted, atol=1e-6)

    for suffix in ("csv", "npz", "jsonl"):
        answer = dnnc(
            "predict", "net.onnx", "rows.npy", "rows.npz", "-o", f"out.{suffix}", "--json"
        )
        assert answer.json == {"rows": 40, "file": f"out.{suffix}"}
    with np.load(tmp_path / "out.npz") as made:
        assert made["output"].shape == (40, 10)
        np.testing.assert_allclose(made["output"][:20], wanted, atol=1e-6)
        assert made["label"].tolist() == named * 2
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["label"] for line in lines] == named * 2
    np.testing.assert_allclose(lines[3]["output"], wanted[3], atol=1e-6)
    assert (tmp_path / "out.csv").read_text().count("\n") == 41


def test_predict_from_a_table(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "a,b,c\n" + "".join(f"{i},{i * 2},{i % 2}\n" for i in range(40))
    )
    (tmp_path / "net.dnn").write_text(
        'data rows { train csv "rows.csv" target=c; standardize }\n'
        "model net { input x[2]; dense 4 | tanh | dense 1 | sigmoid }\n"
        "train net on rows { loss binary_cross_entropy; metric accuracy auc; "
        "optimizer adam lr=0.01; seed 1; epochs 2 }\n"
    )
    assert dnnc("train", "net.dnn", "--threads", 1, "--out", "run", "-q").status == 0
    (tmp_path / "new.csv").write_text("a,b\n1,2\n3,4\n")
    out = dnnc("predict", "run", "new.csv")
    table = list(csv.DictReader(io.StringIO(out.out)))
    assert len(table) == 2
    assert list(table[0]) == ["label", "output"]
    assert {row["label"] for row in table} <= {"0", "1"}
    assert all(0 < float(row["output"]) < 1 for row in table)
    # Columns count by name: in any order, and others beside them do not matter.
    (tmp_path / "turned.csv").write_text("b,c,a\n2,9,1\n4,9,3\n")
    assert dnnc("predict", "run", "turned.csv").out == out.out
    assert dnnc("export", "run", "-o", "net.onnx", "-q").status == 0
    deployed = dnnc("predict", "net.onnx", "turned.csv", "--json").json["outputs"]["output"]
    np.testing.assert_allclose(
        np.ravel(deployed), [float(row["output"]) for row in table], atol=1e-6
    )
    assert dnnc("predict", "run", "rows.csv", "--json").json["rows"] == 40
    (tmp_path / "less.csv").write_text("a\n1\n")
    wrong = dnnc("predict", "run", "less.csv", "--json")
    assert wrong.status == 3
    assert "`b`" in wrong.err


def test_predict_refuses_what_it_does_not_know(
    dnnc: Dnnc, run_folder: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((3, 7, 7)))
    shape = dnnc("predict", run_folder, "rows.npy", "--json")
    assert (shape.status, shape.codes) == (3, ["E436"])
    (tmp_path / "rows.xlsx").write_text("")
    assert dnnc("predict", run_folder, "rows.xlsx", "--json").codes == ["E611"]
    assert "ends in" not in dnnc("predict", run_folder, "rows.npy", "-o", "out.txt").out
    assert dnnc("predict", run_folder, "rows.npy", "-o", "out.txt", "--json").codes == ["E611"]
    missing = dnnc("predict", run_folder, "nowhere.npz", "--json")
    assert (missing.status, missing.codes) == (3, ["E401"])
    np.save(tmp_path / "none.npy", np.zeros((0, 8, 8), np.float32))
    none = dnnc("predict", run_folder, "none.npy", "--json")
    assert none.status in (0, 3)
    assert "E699" not in none.err


def test_samples_in_every_format(
    dnnc: Dnnc, run_folder: Path, tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    images = digits[0][:20]
    np.save(tmp_path / "rows.npy", images)
    told = dnnc("predict", run_folder, "rows.npy", "--samples", "30", "--json").json
    assert list(told["outputs"]) == ["output", "output_std"]
    mean, deviation = (np.array(told["outputs"][n]) for n in ("output", "output_std"))
    assert mean.shape == deviation.shape == (20, 10)
    assert deviation.max() > 0.01
    assert told["label"] == [str(n) for n in mean.argmax(1)]
    plain = dnnc("predict", run_folder, "rows.npy", "--json").json["outputs"]["output"]
    assert 0 < np.abs(mean - plain).mean() < 0.05

    exported = dnnc("export", run_folder, "-o", "mc.onnx", "--samples", "30")
    assert "1 batch norm folded" in exported.out
    assert "largest difference from the mean and deviation by NumPy" in exported.out
    for model, samples in ((run_folder, ["--samples", "30"]), ("mc.onnx", [])):
        table = list(csv.DictReader(io.StringIO(dnnc("predict", model, "rows.npy", *samples).out)))
        names = [f"output_{d}" for d in range(10)], [f"output_std_{d}" for d in range(10)]
        assert list(table[0]) == ["label", *names[0], *names[1]]
        for columns, wanted in zip(names, (mean, deviation), strict=True):
            values = [[float(row[c]) for c in columns] for row in table]
            np.testing.assert_allclose(values, wanted, atol=1e-5)
        assert [row["label"] for row in table] == told["label"]
        for suffix in ("npz", "jsonl"):
            assert dnnc("predict", model, "rows.npy", *samples, "-o", f"o.{suffix}").status == 0
        with np.load(tmp_path / "o.npz") as kept:
            assert set(kept.files) == {"output", "output_std", "label"}
            np.testing.assert_allclose(kept["output_std"], deviation, atol=1e-5)
        lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
        assert list(lines[0]) == ["label", "output", "output_std"]
        np.testing.assert_allclose([d["output"] for d in lines], mean, atol=1e-5)
    # The file is measured by its means.
    (tmp_path / "net.dnn").write_text(SPEC)
    figures = dnnc("eval", "mc.onnx", "--data", "net.dnn", "--json").json
    assert figures["accuracy"] > 0.8


def test_samples_where_there_is_no_noise(dnnc: Dnnc, run_folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((3, 8, 8), np.float32))
    one = dnnc("predict", run_folder, "rows.npy", "--samples", "1", "--json")
    assert (one.status, one.codes) == (2, ["E614"])
    assert "take 2 samples or more" in one.err
    assert dnnc("export", run_folder, "--samples", "1", "--json").codes == ["E614"]
    assert dnnc("predict", run_folder, "rows.npy", "--samples", "few").status == 2

    assert dnnc("export", run_folder, "-o", "net.onnx", "-q").status == 0
    fixed = dnnc("predict", "net.onnx", "rows.npy", "--samples", "9", "--json")
    assert (fixed.status, fixed.codes) == (2, ["E614"])
    assert "an ONNX file is one fixed function" in fixed.err
    assert "dnnc export RUN --samples K" in fixed.err
    missing = dnnc("predict", "nowhere.onnx", "rows.npy", "--samples", "9", "--json")
    assert missing.codes == ["E603"]

    (tmp_path / "plain.dnn").write_text(SPEC.replace(" | dropout 20%", ""))
    assert dnnc("train", "plain.dnn", "--out", "plain", "-q", "--threads", "1").status == 0
    for command in (["predict", "plain", "rows.npy"], ["export", "plain", "-o", "no.onnx"]):
        nothing = dnnc(*command, "--samples", "9", "--json")
        assert (nothing.status, nothing.codes) == (2, ["E614"])
        assert "no layer that draws random numbers" in nothing.err
    assert not (tmp_path / "no.onnx").exists()
