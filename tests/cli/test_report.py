"""The page about a run, and event files for TensorBoard."""

from __future__ import annotations

import json
import re
import shutil
import struct
import sys
import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import SPEC, Answer, Dnnc
from safetensors.numpy import load_file

import deepdsl

ONE = ("--threads", 1)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def run(run_folder: Path, tmp_path: Path) -> Path:
    """A copy of the run of two epochs, to be changed."""
    shutil.copytree(run_folder, tmp_path / "run")
    return tmp_path / "run"


def read(file: Path) -> tuple[str, ET.Element]:
    """A page: well-formed, and alone in the world."""
    text = file.read_text(encoding="utf-8")
    root = ET.fromstring(text.split("\n", 1)[1])
    assert not re.search(r"<(script|link|img|iframe)|https?://(?!www\.w3\.org/2000/svg)", text)
    return text, root


def page(answer: Answer, file: Path) -> tuple[str, ET.Element]:
    assert answer.status == 0, answer.err
    return read(file)


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def write_log(run: Path, records: list[Any]) -> None:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    (run / "log.jsonl").write_text("".join(f"{line}\n" for line in lines))


def headings(root: ET.Element) -> list[str]:
    return [h.text or "" for h in root.iter("h2")]


# At the end of a training -------------------------------------------------------------------------


def test_a_training_leaves_its_page(run_folder: Path) -> None:
    text, root = read(run_folder / "report.html")
    assert headings(root) == [
        *("Curves", "Final figures", "Confusion", "Model", "Plan", "The file"),
    ]
    titles = [svg.findtext(f"{SVG}title") for svg in root.iter(f"{SVG}svg")]
    assert titles == [
        *("Loss", "Accuracy", "Learning rate", "Time of an epoch, training alone", "Speed"),
        "The model net",
    ]
    assert "2 of 2" in text
    (code,) = root.iter("code")
    assert code.text == SPEC
    # All settings, the defaults among them.
    rows = {tuple(c.text or "" for c in row) for row in root.iter("tr")}
    assert ("optimizer", "adam", "lr=0.01 beta_1=0.9 beta_2=0.999 epsilon=1e-07") in rows
    assert ("clip", "none", "") in rows
    assert ("batch", "64", "") in rows
    assert ("data: valid", "valid", "split=0.1 stratify=true") in rows
    drawn = " ".join(t for text in root.iter(f"{SVG}text") for t in text.itertext())
    for words in ("input image", "dense 16 bias=false", "batch_norm | relu | dropout 0.2"):
        assert words in drawn


def test_the_final_figures_are_those_of_the_manifest(run_folder: Path) -> None:
    result = json.loads((run_folder / "manifest.json").read_text())["result"]
    _, root = read(run_folder / "report.html")
    rows = {row[0].text: [c.text for c in row[1:]] for row in root.iter("tr") if len(row) == 3}
    for split in ("train", "valid", "test"):
        for name, shown in zip(("loss", "accuracy"), rows[split], strict=True):
            assert float(str(shown)) == pytest.approx(result[split][name], rel=1e-3)


# The command --------------------------------------------------------------------------------------


def test_the_confusion_matrix_is_that_of_the_predictions(dnnc: Dnnc, run: Path) -> None:
    told = dnnc("report", run, *ONE, "--json").json
    assert told["file"] == str(run / "report.html")
    matrix = np.array(told["confusion"]["matrix"])
    with (files("deepdsl.data") / "digits.npz").open("rb") as file:
        digits = dict(np.load(file))
    x, y = digits["x"][digits["test"]], digits["y"][digits["test"]]
    taken = deepdsl.open_run(run).predict(x).argmax(axis=1)
    wanted = np.zeros((10, 10), int)
    np.add.at(wanted, (y, taken), 1)
    np.testing.assert_array_equal(matrix, wanted)
    accuracy = json.loads((run / "manifest.json").read_text())["result"]["test"]["accuracy"]
    assert matrix.trace() / matrix.sum() == pytest.approx(accuracy)
    valid = dnnc("report", run, *ONE, "--json", "--split", "valid").json["confusion"]
    assert (valid["split"], np.sum(valid["matrix"])) == ("valid", 144)


def test_another_place(dnnc: Dnnc, run: Path, tmp_path: Path) -> None:
    before = (run / "report.html").read_bytes()
    answer = dnnc("report", run, *ONE, "-o", "page.html")
    text, _ = page(answer, tmp_path / "page.html")
    assert answer.out == "page.html\n"
    assert "Rows of test" in text
    assert (run / "report.html").read_bytes() == before


def test_the_python_interface_writes_it_too(run: Path, tmp_path: Path) -> None:
    opened = deepdsl.open_run(run)
    assert opened.report() == run / "report.html"
    assert opened.report(tmp_path / "mine.html") == tmp_path / "mine.html"
    text, _ = read(tmp_path / "mine.html")
    assert "Rows of test" in text


def test_two_classes(dnnc: Dnnc, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype(np.float32)
    np.savez(tmp_path / "xy.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))
    (tmp_path / "two.dnn").write_text(
        'data d { train npz "xy.npz"; test npz "xy.npz" }\n'
        "model two { input x[2]; dense 1 | sigmoid }\n"
        "train two on d { loss binary_cross_entropy; optimizer sgd lr=5; epochs 20 }\n"
    )
    assert dnnc("train", "two.dnn", "-q", *ONE).status == 0
    matrix = np.array(dnnc("report", "runs/two", *ONE, "--json").json["confusion"]["matrix"])
    assert matrix.shape == (2, 2)
    np.testing.assert_array_equal(matrix.sum(axis=1), [(x[:, 0] <= 0).sum(), (x[:, 0] > 0).sum()])
    assert matrix.trace() > 55


def test_a_regression_without_validation(dnnc: Dnnc, tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
    np.savez(tmp_path / "xy.npz", x=x, y=x[:, :1] * 2)
    (tmp_path / "line.dnn").write_text(
        'data d { train npz "xy.npz" }\nmodel line { input x[2]; dense 1 }\n'
        "train line on d { loss mean_squared_error; metric mae; optimizer sgd lr=0.1; epochs 1 }\n"
    )
    assert dnnc("train", "line.dnn", "-q", *ONE).status == 0
    answer = dnnc("report", "runs/line", *ONE, "--json")
    text, root = page(answer, tmp_path / "runs" / "line" / "report.html")
    assert answer.json["confusion"] is None
    assert "Confusion" not in headings(root)
    assert "1 of 1" in text
    assert "valid" not in {t.text for t in root.iter(f"{SVG}text")}


# Runs that are not as they should be --------------------------------------------------------------


def test_damaged_lines_are_left_out(dnnc: Dnnc, run: Path) -> None:
    first, second = log(run)
    del second["lr"]
    damaged = ['{"epoch": 2, "tr', "[]", '{"epoch": "x"}', ""]
    write_log(run, [first, *damaged, {**second, "train": None}])
    answer = dnnc("report", run, *ONE)
    text, _ = page(answer, run / "report.html")
    assert "log.jsonl is damaged; these lines were left out: 2, 3, 4, 5." in text


def test_a_log_that_is_no_text(dnnc: Dnnc, run: Path) -> None:
    (run / "log.jsonl").write_bytes(b"\xff\xfe\x00\n\x80")
    text, _ = page(dnnc("report", run, *ONE), run / "report.html")
    assert "The log has no epoch." in text
    (run / "log.jsonl").unlink()
    text, _ = page(dnnc("report", run, *ONE), run / "report.html")
    assert "The log has no epoch." in text


def test_epochs_that_are_not_finite(dnnc: Dnnc, run: Path) -> None:
    first, second = log(run)
    second["train"]["loss"] = float("nan")
    second["valid"]["accuracy"] = float("inf")
    write_log(run, [first, second])
    text, root = page(dnnc("report", run, *ONE), run / "report.html")
    assert "Figures that are not finite from epoch 2 on, in 1 epochs." in text
    told = {t.text for t in root.iter(f"{SVG}text")}
    assert "not drawn: 1 of 4 are not finite" in told


def test_a_run_without_a_result(dnnc: Dnnc, run: Path) -> None:
    """Killed before its end; before its first checkpoint, too."""
    manifest = json.loads((run / "manifest.json").read_text())
    del manifest["result"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    shutil.rmtree(run / "checkpoints")
    answer = dnnc("report", run, *ONE)
    text, root = page(answer, run / "report.html")
    assert "no confusion matrix: " in answer.err
    assert "No result: the training still runs" in text
    assert "Figures of epoch 2" in headings(root)


def test_a_resumed_run(dnnc: Dnnc, run: Path) -> None:
    first, second = log(run)
    write_log(run, [first, {**second, "train": {"loss": 99.0}}, second])
    text, root = page(dnnc("report", run, *ONE), run / "report.html")
    assert "1 epochs were trained a second time after a resume" in text
    cells = [c.text or "" for c in root.iter("td")]  # the page names a folder of any name
    assert not [c for c in cells if re.fullmatch(r"99(\.0*)?", c)]


def test_data_that_is_gone(dnnc: Dnnc, tmp_path: Path) -> None:
    np.savez(tmp_path / "xy.npz", x=np.zeros((9, 2), np.float32), y=np.arange(9) % 2)
    (tmp_path / "two.dnn").write_text(
        'data d { train npz "xy.npz"; test npz "xy.npz" }\n'
        "model two { input x[2]; dense 2 | softmax }\n"
        "train two on d { loss cross_entropy; optimizer sgd lr=1; epochs 1 }\n"
    )
    assert dnnc("train", "two.dnn", "-q", *ONE).status == 0
    (tmp_path / "xy.npz").unlink()
    answer = dnnc("report", "runs/two", *ONE)
    page(answer, tmp_path / "runs" / "two" / "report.html")
    assert "no confusion matrix: " in answer.err
    assert "xy.npz" in answer.err


def test_stopped_and_restored_and_interrupted(dnnc: Dnnc, run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["result"] |= {
        "stopped": "valid.loss has not improved for 3 epochs",
        "restored_epoch": 1,
        "interrupted": True,
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    text, _ = page(dnnc("report", run, *ONE), run / "report.html")
    assert "Stopped after epoch 2: valid.loss has not improved for 3 epochs." in text
    assert "The weights are those of epoch 1 (restore=best)." in text
    assert "Interrupted; " in text
    assert "best: epoch 1" in text


def test_figures_of_another_epoch_than_the_best_one_say_so(dnnc: Dnnc, run: Path) -> None:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    lines[0]["best"], lines[1]["best"] = True, False
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text, _ = page(dnnc("report", run, *ONE), run / "report.html")
    assert "best epoch" in text
    assert "test loss, epoch 2" in text
    lines[1]["best"] = True
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text, _ = page(dnnc("report", run, *ONE), run / "report.html")
    assert "test loss" in text
    assert "test loss, epoch" not in text
    assert '<figure class="model">' in (run / "report.html").read_text()


def test_no_run(dnnc: Dnnc, tmp_path: Path) -> None:
    answer = dnnc("report", tmp_path, "--json")
    assert (answer.status, answer.codes) == (3, ["E603"])


def test_warnings_of_the_program(dnnc: Dnnc, run: Path) -> None:
    (run / "spec.dnn").write_text("let unused = 3\n" + (run / "spec.dnn").read_text())
    _, root = page(dnnc("report", run, *ONE), run / "report.html")
    assert "Warnings" in headings(root)
    rows = [[c.text for c in row] for row in root.iter("tr") if len(row) == 4]
    assert any(row[1] == "1" and "`unused`" in str(row[2]) for row in rows)


def test_a_probe_is_drawn(dnnc: Dnnc, run: Path) -> None:
    layers = [f"body.dense_{i}" for i in range(20)]
    records = [
        {
            "step": step,
            "epoch": 1,
            "layers": [
                {"path": p, "kind": "dense", "gradient_std": 10.0**-i, "update_ratio": None}
                for i, p in enumerate(layers)
            ],
        }
        for step in (10, 20, 30)
    ]
    lines = [*map(json.dumps, records), "damaged", '{"layers": [1]}']
    (run / "probe.jsonl").write_text("\n".join(lines))
    _, root = page(dnnc("report", run, *ONE), run / "report.html")
    assert "Signals and gradients" in headings(root)
    titles = [t.text for t in root.iter(f"{SVG}title")]
    assert "Gradients, by layer (7 of 20)" in titles
    assert not any("Updates" in str(t) for t in titles)
    told = {t.text for t in root.iter(f"{SVG}text")}
    assert {layers[0], layers[-1]} <= told


# TensorBoard --------------------------------------------------------------------------------------


def events(folder: Path) -> list[Any]:
    """The events of all files of a folder, each record's length and data checked by its sum."""
    from tensorboardX.crc32c import crc32c
    from tensorboardX.proto.event_pb2 import Event

    def masked(data: bytes) -> int:
        crc = crc32c(data)
        return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    found = []
    for file in sorted(folder.glob("*tfevents*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length, head) = struct.unpack_from("<QI", data, at)
            assert head == masked(data[at : at + 8])
            body = data[at + 12 : at + 12 + length]
            assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(body)
            found.append(Event.FromString(body))
            at += 16 + length
        assert at == len(data)
    assert found[0].file_version == "brain.Event:2"
    return found


def values(found: list[Any]) -> dict[str, dict[int, Any]]:
    out: dict[str, dict[int, Any]] = {}
    for event in found:
        for value in event.summary.value:
            held = value.histo if value.HasField("histo") else value.simple_value
            out.setdefault(value.tag, {})[event.step] = held
    return out


def test_event_files_of_a_training(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    assert dnnc("train", "net.dnn", "-q", *ONE, "--tensorboard").status == 0
    run = tmp_path / "runs" / "net"
    found = values(events(run / "tensorboard"))
    scalars = {tag for tag in found if not tag.startswith("weights/")}
    assert scalars == {
        *("epoch", "lr", "rows_per_s", "train/loss", "train/accuracy"),
        *("valid/loss", "valid/accuracy"),
    }
    for record in log(run):
        for split in ("train", "valid"):
            for name, value in record[split].items():
                assert found[f"{split}/{name}"][record["step"]] == pytest.approx(value, rel=1e-6)
        assert found["lr"][record["step"]] == pytest.approx(1e-2)
    weights = load_file(run / "checkpoints" / "last" / "weights.safetensors")
    assert {t.removeprefix("weights/") for t in found if t.startswith("weights/")} == {
        name for name in weights if not name.startswith("data.")
    }
    for name, value in weights.items():
        if not name.startswith("data."):
            histogram = found[f"weights/{name}"][42]
            assert histogram.num == value.size
            assert histogram.sum == pytest.approx(float(value.sum(dtype=np.float64)), abs=1e-4)
            assert (histogram.min, histogram.max) == (value.min(), value.max())
            assert sum(histogram.bucket) == value.size


def test_event_files_of_a_run_that_is_over(dnnc: Dnnc, run: Path, tmp_path: Path) -> None:
    first, second = log(run)
    second["valid"]["loss"] = float("nan")
    write_log(run, [first, second])
    answer = dnnc("report", run, *ONE, "--tensorboard", "events")
    assert answer.status == 0
    assert answer.out.splitlines()[1] == "events: event files of 2 epochs"
    found = values(events(tmp_path / "events"))
    assert found["train/loss"][21] == pytest.approx(first["train"]["loss"])
    assert np.isnan(found["valid/loss"][42])
    assert list(found["weights/body.dense_1.weight"]) == [42]


def test_a_second_training_adds_a_file(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    assert dnnc("train", "net.dnn", "-q", *ONE, "--tensorboard", "tb").status == 0
    again = ("--resume", "--out", "runs/net", "--epochs", 3)
    assert dnnc("train", "net.dnn", "-q", *ONE, *again, "--tensorboard", "tb").status == 0
    assert len(list((tmp_path / "tb").iterdir())) == 2
    assert list(values(events(tmp_path / "tb"))["train/loss"]) == [21, 42, 63]


def test_tensorboard_without_its_package(
    dnnc: Dnnc, spec: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    for command in (("train", "net.dnn", "--tensorboard"), ("report", run, "--tensorboard", "tb")):
        answer = dnnc(*command, *ONE, "--json")
        assert (answer.status, answer.codes) == (4, ["E615"])
        assert 'pip install "deepdsl[tensorboard]"' in answer.err
    assert not Path("runs").exists()
