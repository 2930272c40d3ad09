"""Columns count by name, figures belong to the weights that a run ends with, classes have names."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import Answer, Dnnc

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


SORTED = """\
data fruit {{ train csv "fruit.csv" target=kind; valid last=30; {data} }}
model net {{ input size[3]; dense {units} | {ending} }}
train net on fruit {{
  loss {loss}; metric {metrics}
  optimizer adam lr=0.05; epochs 4; batch 16; seed 1; {more}
}}
"""
COUNTED = "accuracy precision recall(average=weighted) f1(average=micro) confusion_matrix"


@pytest.fixture
def fruit(tmp_path: Path) -> None:
    """Rows with a kind of three, and the same with a kind of two."""
    rng = np.random.default_rng(7)
    sizes = rng.normal(size=(150, 3))
    kinds = np.array(["apple", "pear", "plum"])[(sizes + rng.normal(size=(150, 3))).argmax(1)]
    for name, kept in (("fruit", kinds), ("two", np.where(kinds == "plum", "plum", "other"))):
        lines = [f"{a:.4f},{b:.4f},{c:.4f},{k}" for (a, b, c), k in zip(sizes, kept, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,c,kind", *lines]) + "\n")


def trained(dnnc: Dnnc, folder: Path, ending: str, loss: str, **others: str) -> Answer:
    """A run of a file with such a loss, in `run`."""
    two = others.pop("two", "")
    text = SORTED.format(
        **{"units": "3", "data": "", "more": "", "metrics": COUNTED, **others},
        ending=ending,
        loss=loss,
    )
    (folder / "net.dnn").write_text(text.replace("fruit.csv", "two.csv") if two else text)
    answer = dnnc("train", "net.dnn", "--out", "run", "--json")
    assert answer.status == 0, answer.err
    return answer


def test_a_table_of_counts_has_the_names_of_the_classes(
    fruit: None, dnnc: Dnnc, tmp_path: Path
) -> None:
    answer = trained(dnnc, tmp_path, "softmax", "cross_entropy")
    assert "confusion_matrix" not in answer.err
    told = dnnc("eval", "run", "--split", "valid", "--json").json
    counts = np.array(told["confusion_matrix"])
    assert told["classes"] == ["apple", "pear", "plum"]
    assert counts.shape == (3, 3)
    assert counts.sum() == told["rows"] == 30
    assert told["accuracy"] == pytest.approx(counts.trace() / 30)
    assert told["f1"] == pytest.approx(told["accuracy"])
    precisions = counts.diagonal() / np.maximum(1, counts.sum(0))
    assert told["precision"] == pytest.approx(precisions.mean())
    assert answer.json["valid"]["confusion_matrix"] == told["confusion_matrix"]

    out = dnnc("eval", "run", "--split", "valid").out
    table = out.partition("confusion_matrix: ")[2].splitlines()[1:]
    assert table[0].split() == ["apple", "pear", "plum"]
    for line, name, row in zip(table[1:], told["classes"], counts.tolist(), strict=True):
        assert line.split() == [name, *map(str, row)]
    assert re.match(r" +loss +accuracy +precision +recall +f1\n", out)
    # In the logs it is a list of lists, in a table's cell as in JSON.
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["valid"]["confusion_matrix"] == told["confusion_matrix"]
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads(rows[-1]["valid_confusion_matrix"]) == told["confusion_matrix"]
    assert float(rows[-1]["valid_f1"]) == told["f1"]
    human = dnnc("train", "net.dnn", "--out", "again")
    assert "confusion_matrix" not in human.out + human.err
    assert re.match(r" +loss +accuracy +precision +recall +f1\ntrain ", human.out)


@pytest.mark.parametrize(
    ("ending", "loss", "data", "two"),
    [
        ("softmax", "focal gamma=1", "", ""),
        ("softmax", "kl_divergence", "one_hot", ""),
        ("log_softmax", "cross_entropy smoothing=0.1", "", ""),
        ("sigmoid", "focal", "", "two"),
        ("sigmoid", "binary_cross_entropy smoothing=0.1", "", "two"),
        ("tanh", "hinge", "", "two"),
        ("identity", "hinge squared=true", "", "two"),
    ],
)
def test_an_exported_file_has_the_run_s_figures(
    fruit: None, dnnc: Dnnc, tmp_path: Path, ending: str, loss: str, data: str, two: str
) -> None:
    metrics = f"{COUNTED} auc" if two else f"{COUNTED} top5"
    units = "1" if two else "3"
    trained(dnnc, tmp_path, ending, loss, data=data, two=two, metrics=metrics, units=units)
    assert dnnc("export", "run", "-o", "net.onnx", "-q").status == 0
    run = dnnc("eval", "run", "--split", "valid", "--json").json
    file = dnnc("eval", "net.onnx", "--data", "net.dnn", "--split", "valid", "--json").json
    assert file.keys() == run.keys()
    for name, value in run.items():
        if isinstance(value, float):
            assert file[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
        else:
            assert file[name] == value, name
    # The class that is predicted is the one that was counted.
    for model in ("run", "net.onnx"):
        labels = dnnc("predict", model, "two.csv" if two else "fruit.csv", "--json").json["label"]
        told = [labels[-30:].count(name) for name in run["classes"]]
        assert told == np.sum(run["confusion_matrix"], axis=0).tolist()


def test_a_table_cannot_be_watched(fruit: None, dnnc: Dnnc, tmp_path: Path) -> None:
    text = SORTED.format(
        units="3",
        ending="softmax",
        loss="cross_entropy",
        data="",
        metrics=COUNTED,
        more="stop on=valid.confusion_matrix",
    )
    (tmp_path / "net.dnn").write_text(text)
    answer = dnnc("check", "net.dnn")
    assert answer.status == 1
    assert "this is a table, which is neither better nor worse than another" in answer.err
    assert "valid.f1" in answer.err
    assert "train.confusion_matrix" not in answer.err


@pytest.mark.parametrize(
    ("metrics", "code", "message"),
    [
        ("f1 average=micro", "E105", "`f1(average=weighted)`"),
        ("f1 f1(average=micro)", "E106", "`f1` of `metric` is given twice"),
        ("f1(average=mean)", "E103", "takes `macro` or `weighted` or `micro`"),
        ("f1(mean)", "E105", "`f1`"),
        ("mean_squared_error", "E112", "`mse`"),
        ("r2", "E303", "confusion_matrix"),
    ],
)
def test_metrics_that_are_written_wrongly(
    dnnc: Dnnc, tmp_path: Path, metrics: str, code: str, message: str
) -> None:
    (tmp_path / "net.dnn").write_text(
        SORTED.format(
            units="3", ending="softmax", loss="cross_entropy", data="", metrics=metrics, more=""
        )
    )
    answer = dnnc("check", "net.dnn", "--json")
    assert answer.codes == [code]
    (told,) = answer.json["diagnostics"]
    assert message in f"{told['message']} {told.get('help', '')}"


def test_figures_of_values(dnnc: Dnnc, tables: None, tmp_path: Path) -> None:
    """Each by its definition, from the predictions of the file."""
    text = REGRESSION.format(columns="").replace("metric mae", "metric mae mse rmse r2")
    (tmp_path / "net.dnn").write_text(text.replace("mean_squared_error", "huber delta=100"))
    told = dnnc("train", "net.dnn", "--out", "run", "--json").json["test"]
    made = np.ravel(dnnc("predict", "run", "turned.csv", "--json").json["outputs"]["output"])
    with (tmp_path / "turned.csv").open(newline="") as file:
        wanted = np.array([float(row["t"]) for row in csv.DictReader(file)])
    error = made - wanted
    small = np.abs(error) <= 100
    huber = np.where(small, error**2 / 2, 100 * (np.abs(error) - 50)).mean()
    assert told["loss"] == pytest.approx(huber, rel=1e-4)
    assert told["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)
    assert told["mse"] == pytest.approx((error**2).mean(), rel=1e-4)
    assert told["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-4)
    assert told["r2"] == pytest.approx(1 - (error**2).mean() / wanted.var(), abs=1e-4)
