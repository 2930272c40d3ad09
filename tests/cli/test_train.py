"""`dnnc train`: the run directory, its logs, settings, resuming and stopping."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import SPEC, Dnnc
from safetensors.numpy import load_file

ONE = ("--threads", 1)


def weights(run: Path, which: str = "last") -> dict[str, Any]:
    folder = run / "checkpoints" / which
    return {**load_file(folder / "weights.safetensors"), **load_file(folder / "state.safetensors")}


def same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert set(first) == set(second)
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


def test_a_training_and_its_run_directory(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    answer = dnnc("train", "net.dnn", *ONE, "--json")
    assert answer.status == 0
    told = answer.json
    assert told["run"] == "runs/net"
    assert (told["epochs"], told["steps"]) == (2, 2 * 21)
    for split in ("train", "valid", "test"):
        assert list(told[split]) == ["loss", "accuracy"]
        assert 0 < told[split]["accuracy"] <= 1
        assert told[split]["loss"] > 0
    assert told["test"]["accuracy"] > 0.7
    assert told["wall_s"] > 0
    assert told["step_us"] > 0
    assert (told["interrupted"], told["stopped"], told["restored_epoch"]) == (False, None, None)
    assert "net: 1,226 parameters, 1,293 rows to train on, 144 to validate, on cpu" in answer.err
    assert "epoch 2/2  loss" in answer.err

    run = tmp_path / "runs" / "net"
    assert sorted(p.name for p in run.iterdir()) == [
        "checkpoints",
        "log.csv",
        "log.jsonl",
        "manifest.json",
        "report.html",
        "spec.dnn",
    ]
    assert (run / "spec.dnn").read_text() == SPEC
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["final"] == "last"
    assert manifest["result"] == told
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"last", "best"}
    meta = json.loads((run / "checkpoints" / "last" / "meta.json").read_text())
    assert (meta["epoch"], meta["steps_done"]) == (2, 0)
    assert set(meta["sha256"]) == {"weights.safetensors", "state.safetensors"}
    assert weights(run)["body.dense_1.weight"].shape == (64, 16)
    assert int(weights(run)["step"]) == 42


def test_the_logs_tell_of_every_epoch(run_folder: Path) -> None:
    lines = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert [line["step"] for line in lines] == [21, 42]
    for line in lines:
        assert set(line) == {
            *("epoch", "step", "lr", "train", "valid", "best"),
            *("wall_s", "rows_per_s", "data_wait_s"),
        }
        assert line["lr"] == pytest.approx(1e-2)
    result = json.loads((run_folder / "manifest.json").read_text())["result"]
    assert lines[-1]["train"] == result["train"]
    assert lines[-1]["valid"] == result["valid"]
    with (run_folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for line, row in zip(lines, rows, strict=True):
        assert row["epoch"] == str(line["epoch"])
        assert float(row["train_loss"]) == line["train"]["loss"]
        assert float(row["valid_accuracy"]) == line["valid"]["accuracy"]


def test_an_existing_run_is_never_written_over(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    assert dnnc("train", "net.dnn", *ONE, "--epochs", 1, "-q").status == 0
    before = weights(tmp_path / "runs" / "net")
    second = dnnc("train", "net.dnn", *ONE, "--epochs", 1, "--seed", 8, "--json")
    assert second.json["run"] == "runs/net-2"
    named = dnnc("train", "net.dnn", *ONE, "--out", "runs/net", "--json")
    assert (named.status, named.codes) == (3, ["E613"])
    assert "there already is a run here" in named.err
    assert "--resume" in named.err
    same(weights(tmp_path / "runs" / "net"), before)


def test_settings_change_what_is_run(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    answer = dnnc(
        *("train", "net.dnn", *ONE, "--epochs", 1, "--seed", 3, "--out", "a"),
        *(
            "--set",
            "optimizer.lr=0.5",
            "--set",
            "batch=128",
            "--set",
            "clip.global_norm=1",
            "--json",
        ),
    )
    assert answer.status == 0
    assert (answer.json["epochs"], answer.json["steps"]) == (1, 11)
    written = (tmp_path / "a" / "spec.dnn").read_text()
    assert "adam lr=0.5" in written
    assert "clip global_norm=1" in written
    assert "seed      3" in written
    log = json.loads((tmp_path / "a" / "log.jsonl").read_text())
    assert log["lr"] == pytest.approx(0.5)
    # What was run is what is written: the file of the run gives the same weights.
    (tmp_path / "again.dnn").write_text(written)
    assert dnnc("train", "again.dnn", *ONE, "--out", "b", "-q").status == 0
    same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert spec.read_text() == SPEC


@pytest.mark.parametrize(
    ("setting", "code", "words"),
    [
        ("optimizer.lrr=1", "E102", "did you mean `lr`?"),
        ("optimizer.lr=-1", "E103", "above 0"),
        ("batsh=3", "E113", "did you mean `batch`?"),
        ("epochs=many", "E103", "whole number"),
        ("loss=mse", "E112", "mean_squared_error"),
        ("batch=3}", "E0", ""),
    ],
)
def test_a_setting_that_is_wrong(
    dnnc: Dnnc, spec: Path, tmp_path: Path, setting: str, code: str, words: str
) -> None:
    answer = dnnc("train", "net.dnn", "--set", setting, "--json")
    assert answer.status == 1
    assert answer.codes[0].startswith(code)
    assert words in answer.err
    assert not (tmp_path / "runs").exists()


def test_a_setting_that_cannot_be_read(dnnc: Dnnc, spec: Path) -> None:
    for setting in ("lr", "a.b.c=1", "=3", "optimizer.lr="):
        answer = dnnc("train", "net.dnn", "--set", setting, "--json")
        assert (answer.status, answer.codes) == (2, ["E310"]), setting
        assert "ROW.OPTION=VALUE" in answer.err


def test_which_training(dnnc: Dnnc, spec: Path) -> None:
    wrong = dnnc("train", "net.dnn", "--model", "nett", "--json")
    assert (wrong.status, wrong.codes) == (1, ["E308"])
    assert "did you mean `net`?" in wrong.err
    spec.write_text(SPEC.partition("train net")[0])
    none = dnnc("train", "net.dnn")
    assert none.status == 1
    assert "the file has no train sections" in none.err
    with_setting = dnnc("train", "net.dnn", "--epochs", 1)
    assert with_setting.status == 1
    assert "no train sections" in with_setting.err


def test_a_dash_is_stdin(dnnc: Dnnc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SPEC.encode())))
    answer = dnnc("train", "-", *ONE, "--epochs", 1, "--json")
    assert answer.status == 0
    assert answer.json["run"] == "runs/stdin"
    assert (tmp_path / "runs" / "stdin" / "manifest.json").exists()


def test_quiet_gives_the_figures_alone(dnnc: Dnnc, spec: Path) -> None:
    answer = dnnc("train", "net.dnn", *ONE, "--epochs", 1, "-q")
    assert (answer.status, answer.err) == (0, "")
    head, *rows, where = answer.out.splitlines()
    assert head.split() == ["loss", "accuracy"]
    assert [row.split()[0] for row in rows] == ["train", "valid", "test"]
    assert where == "run: runs/net"


def test_early_stopping_goes_back_to_the_best_epoch(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    settings = (
        "--set",
        "stop.patience=2",
        "--set",
        "stop.on=valid.loss",
        "--set",
        "stop.restore=best",
    )
    # A rate this high makes the loss jump about.
    answer = dnnc(
        *("train", "net.dnn", *ONE, *settings, "--set", "optimizer.lr=0.3", "--epochs", 60),
        *("--out", "run", "--json"),
    )
    told = answer.json
    assert answer.status == 0
    assert told["epochs"] < 60
    assert "has not improved for 2 epochs" in told["stopped"]
    best = told["restored_epoch"]
    assert best == told["epochs"] - 2
    assert f"restored the weights of epoch {best}" in answer.err
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["valid"]["loss"] for line in log]
    assert losses.index(min(losses)) + 1 == best
    assert log[best - 1]["best"]
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["final"] == "best"
    # What the run is measured by is the best epoch, not the last.
    measured = dnnc("eval", "run", "--split", "valid", "--json").json
    assert measured["loss"] == pytest.approx(min(losses), rel=1e-4)


def test_a_resumed_run_tells_the_figures_of_the_epoch_it_restores(
    dnnc: Dnnc, spec: Path, tmp_path: Path
) -> None:
    """Its best epoch may have been before the resume."""
    rows = ("--set", "stop.restore=best", "--set", "optimizer.lr=0.3", "--out", "run")
    stop = ("--set", "stop.on=valid.loss")
    first = dnnc("train", "net.dnn", *ONE, *rows, *stop, "--epochs", 6, "--json").json
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    best = first["restored_epoch"]
    assert first["train"] == log[best - 1]["train"]
    assert first["valid"] == log[best - 1]["valid"]
    again = (*ONE, *rows, *stop, "--epochs", 6, "--resume")
    told = dnnc("train", "net.dnn", *again, "--json").json
    assert (told["restored_epoch"], told["train"]) == (best, first["train"])
    assert told["valid"]["loss"] == pytest.approx(first["valid"]["loss"], rel=1e-5)
    human = dnnc("train", "net.dnn", *again).out
    assert f"train: means over epoch {best}, while the weights changed\n" in human
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"The training figures are means over epoch {best}, while the weights changed." in page
    # What was the best loss is no accuracy: the watch begins anew.
    changed = (*ONE, *rows, "--set", "stop.on=valid.accuracy", "--epochs", 7, "--resume")
    assert dnnc("train", "net.dnn", *changed, "--json").json["restored_epoch"] == 7


def test_resuming_with_more_epochs_is_like_never_having_stopped(
    dnnc: Dnnc, spec: Path, tmp_path: Path
) -> None:
    assert dnnc("train", "net.dnn", *ONE, "--epochs", 3, "--out", "whole", "-q").status == 0
    assert dnnc("train", "net.dnn", *ONE, "--epochs", 1, "--out", "parts", "-q").status == 0
    answer = dnnc("train", "net.dnn", *ONE, "--epochs", 3, "--out", "parts", "--resume", "--json")
    assert answer.status == 0
    assert "resuming after epoch 1" in answer.err
    assert (answer.json["epochs"], answer.json["steps"]) == (3, 63)
    same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    lines = (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_resuming_what_is_done_changes_nothing(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    assert dnnc("train", "net.dnn", *ONE, "--epochs", 1, "--out", "run", "-q").status == 0
    before = weights(tmp_path / "run")
    log = (tmp_path / "run" / "log.jsonl").read_text()
    again = dnnc("train", "net.dnn", *ONE, "--epochs", 1, "--out", "run", "--resume", "--json")
    assert again.status == 0
    same(weights(tmp_path / "run"), before)
    assert (tmp_path / "run" / "log.jsonl").read_text() == log
    assert again.json["test"]["accuracy"] > 0.5


def test_ctrl_c_leaves_a_checkpoint_from_which_all_goes_on(
    dnnc: Dnnc, spec: Path, tmp_path: Path
) -> None:
    settings = (
        "--threads",
        "1",
        "--epochs",
        "40",
        "--set",
        "batch=16",
        "--set",
        "optimizer.lr=1e-3",
    )
    program = "import sys; from deepdsl.cli import main; sys.exit(main())"
    arguments = ["train", "net.dnn", *settings, "--out", "run", "--json"]
    command = [sys.executable, "-c", program, *arguments]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    log = tmp_path / "run" / "log.jsonl"
    until = time.monotonic() + 30
    while time.monotonic() < until and not (log.exists() and log.read_text().count("\n") >= 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    again = (
        "dnnc train net.dnn --set batch=16 --set optimizer.lr=1e-3 --epochs 40 --threads 1"
        " --out run --resume"
    )
    assert f"interrupted; `{again}` continues from here" in err
    told = json.loads(out)
    assert told["interrupted"] is True
    assert told["epochs"] < 40
    assert told["test"] == {}
    assert int(weights(tmp_path / "run")["step"]) == told["steps"]

    resumed = dnnc("train", "net.dnn", *settings, "--out", "run", "--resume", "--json")
    assert resumed.status == 0
    assert (resumed.json["epochs"], resumed.json["interrupted"]) == (40, False)
    assert dnnc("train", "net.dnn", *settings, "--out", "whole", "--json").status == 0
    same(weights(tmp_path / "whole"), weights(tmp_path / "run"))
    records = [
        [
            {k: json.loads(line)[k] for k in ("epoch", "step", "train", "valid", "best")}
            for line in lines
        ]
        for place in ("whole", "run")
        if (lines := (tmp_path / place / "log.jsonl").read_text().splitlines())
    ]
    assert len(records[0]) == 40
    for one, other in zip(*records, strict=True):
        assert one["epoch"] == other["epoch"]
        assert one["valid"] == other["valid"]
        # The sum of an epoch that was cut in two is added up in another order.
        np.testing.assert_allclose(
            list(one["train"].values()), list(other["train"].values()), rtol=1e-6
        )
