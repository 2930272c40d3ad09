"""`dnnc probe`, and `dnnc train --every N`."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from commands import Dnnc

DEEP = "model deep {\n  input x[64]\n  repeat 8 { dense 64 | sigmoid }\n  dense 3 | softmax\n}\n"


def test_without_data_on_normal_rows(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "deep.dnn").write_text(DEEP)
    answer = dnnc("probe", "deep.dnn")
    assert answer.status == 0
    assert "no `train` section: measured on standard normal rows and gradients" in answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "deep: 1,000 rows"
    assert lines[2].split()[:3] == ["layer", "mean", "std"]
    assert "gradient std, logarithmic" in answer.out
    assert "█" in answer.out
    assert "gradient at the first layer over that at the last: " in answer.out
    assert "(predicted " in answer.out


def test_json(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "deep.dnn").write_text(DEEP)
    answer = dnnc("probe", "deep.dnn", "--json", "-q")
    told = json.loads(answer.out)
    assert [layer["path"] for layer in told["layers"]][:2] == ["dense_1", "sigmoid_1"]
    assert len(told["predicted"]) == len(told["layers"]) == 18
    ratio = told["gradient_ratio"]
    assert ratio["predicted"] == pytest.approx(ratio["measured"], rel=0.5)
    sigmoid, dense = told["layers"][1], told["layers"][0]
    assert sigmoid["saturated"] is not None
    assert dense["saturated"] is None
    assert sigmoid["gradient_std"] > dense["gradient_std"] > 0


def test_of_a_training_and_its_page(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    answer = dnnc("probe", spec, "--batches", "3", "--html", "probe.html", "--json")
    assert answer.status == 0
    told = json.loads(answer.out)
    assert told["file"] == "probe.html"
    assert any(layer["update_ratio"] for layer in told["layers"])
    assert any(layer["dead"] is not None for layer in told["layers"])
    page = (tmp_path / "probe.html").read_text(encoding="utf-8")
    root = ET.fromstring(page.removeprefix("<!DOCTYPE html>"))
    text = " ".join(root.itertext())
    for layer in told["layers"]:
        assert layer["path"] in text
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/", "")


def test_of_a_run(dnnc: Dnnc, run_folder: Path) -> None:
    answer = dnnc("probe", run_folder)
    assert answer.status == 0
    assert "at the start" in answer.out
    assert "dead units: " in answer.out


def test_of_what_is_not_there(dnnc: Dnnc, tmp_path: Path) -> None:
    assert dnnc("probe", "nothing.dnn").status == 3
    (tmp_path / "empty").mkdir()
    assert dnnc("probe", "empty").status == 3


def test_every_n_steps_of_a_training(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    plain = dnnc("train", spec, "--out", "plain", "--threads", "1", "--json")
    answer = dnnc("train", spec, "--out", "run", "--every", "20", "--threads", "1", "--json")
    assert answer.status == 0
    lines = [json.loads(x) for x in (tmp_path / "run" / "probe.jsonl").read_text().splitlines()]
    steps = json.loads(answer.out)["steps"]
    assert [line["step"] for line in lines] == [1, *range(20, steps + 1, 20)]
    assert {line["epoch"] for line in lines} <= {1, 2}
    for line in lines:
        kernels = [x for x in line["layers"] if x["update_ratio"] is not None]
        assert kernels
        assert all(x["update_ratio"] > 0 and x["gradient_std"] > 0 for x in kernels)
    # Looking changes nothing.
    assert json.loads(plain.out)["valid"] == json.loads(answer.out)["valid"]
    weights = [
        (tmp_path / run / "checkpoints" / "last" / "weights.safetensors").read_bytes()
        for run in ("plain", "run")
    ]
    assert weights[0] == weights[1]


def test_every_n_steps_with_accumulated_batches(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    options = ("--set", "accumulate=4", "--every", "10", "--threads", "1", "-q")
    assert dnnc("train", spec, "--out", "run", *options).status == 0
    lines = [json.loads(x) for x in (tmp_path / "run" / "probe.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 12, 20, 32, 40]
    for line in lines:
        ratios = [x["update_ratio"] for x in line["layers"] if x["kind"] == "dense"]
        assert len(ratios) == 2
        assert all(ratio > 0 for ratio in ratios)
    assert "Updates beside weights" in (tmp_path / "run" / "report.html").read_text()
    told = dnnc("probe", spec, "--set", "accumulate=4", "--threads", "1", "--json").json
    assert all(x["update_ratio"] > 0 for x in told["layers"] if x["kind"] == "dense")


def test_help_names_runs_too(dnnc: Dnnc) -> None:
    told = dnnc("probe", "--help").out
    assert "FILE|RUN" in told
    assert "a run directory" in told
