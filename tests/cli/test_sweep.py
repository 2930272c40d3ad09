"""`dnnc sweep`: all combinations, told in a table; what is there is not trained again."""

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

import pytest
from commands import Dnnc

from deepdsl.diagnostics import DnnError
from deepdsl.language.overrides import Setting
from deepdsl.training.sweep.grid import Point, SweepAxis, axis, points, seeds_of
from deepdsl.training.sweep.runs import SweepResult
from deepdsl.training.sweep.table import Comparison

SPEC = """\
let width = 8
data digits { train builtin digits; take 200 stratify=true; valid split=20%; scale (1 / 16) }
model net { input image[8 8]; flatten | dense width | relu | dense 10 | softmax }
train net on digits {
  loss cross_entropy; metric accuracy; optimizer sgd lr=0.1 momentum=0.9
  batch 32; epochs 2; seed 1
}
"""
ONE = ("--threads", 1)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.dnn"
    path.write_text(SPEC)
    return path


def figures(place: Path) -> list[Any]:
    """What a sweep found, without times and places."""
    told = json.loads((place / "sweep.json").read_text())
    for run in told["runs"]:
        run.pop("run")
        for name in ("wall_s", "step_us", "run"):
            (run["figures"] or {}).pop(name, None)
    return list(told["runs"])


# What is gone through ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("optimizer.lr=0.1,0.01", ["0.1", "0.01"]),
        ("let.depth=1..4", ["1", "2", "3", "4"]),
        ("let.depth=-1..1,7", ["-1", "0", "1", "7"]),
        ("optimizer=adam lr=1e-3, sgd lr=0.1", ["adam lr=1e-3", "sgd lr=0.1"]),
        ("schedule=piecewise 0:0.1 5:0.01", ["piecewise 0:0.1 5:0.01"]),
        (
            "default.dense.init=normal(std=0.1, mean=0),zeros",
            ["normal(std=0.1, mean=0)", "zeros"],
        ),
        ("batch=8,8,16", ["8", "16"]),
        ("reuse:old.net.body.layers=0..2", ["0", "1", "2"]),
    ],
)
def test_values_of_an_axis(text: str, values: list[str]) -> None:
    assert axis(text) == SweepAxis(text.partition("=")[0], tuple(values))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("let.depth=4..1", "write 1..4"),
        ("optimizer.lr=0.1..0.5", "no range of whole numbers"),
        ("let.depth=1..5..2", "no range of whole numbers"),
        ("let.depth=1..", "no range of whole numbers"),
        ("batch=8,,16", "a value is missing"),
        ("batch=8,", "a value is missing"),
    ],
)
def test_values_that_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(DnnError, match="E580") as raised:
        axis(text)
    assert words in str(raised.value)


def test_seeds() -> None:
    assert seeds_of("3") == ("1", "2", "3")
    assert seeds_of("4..6,9") == ("4", "5", "6", "9")
    for wrong in ("0", "-3..1", "one"):
        with pytest.raises(DnnError, match="E580"):
            seeds_of(wrong)
    assert seeds_of("0,2") == ("0", "2")
    with pytest.raises(DnnError, match="none is too few"):
        seeds_of("0")


def test_all_combinations_in_their_order() -> None:
    made = points([SweepAxis("a", ("1", "2")), SweepAxis("b", ("x", "y"))], ("7", "8"))
    assert [" ".join(p.written) for p in made][:3] == [
        "a=1 b=x seed=7",
        "a=1 b=x seed=8",
        "a=1 b=y seed=7",
    ]
    assert len(made) == 8
    with pytest.raises(DnnError, match="E580"):
        points([SweepAxis("a", ("1", "2")), SweepAxis("a", ("3",))], (None,))
    with pytest.raises(DnnError, match="E580"):
        points([SweepAxis("seed", ("1", "2"))], ("1",))


def test_nothing_to_compare_and_too_much_of_it(dnnc: Dnnc, spec: Path) -> None:
    nothing = dnnc("sweep", spec, "--set", "optimizer.lr=0.1", "--json")
    assert (nothing.status, nothing.codes) == (2, ["E581"])
    for given in (("--set", "let.width=1..20000"), ("--set", "batch=1..999", "--seeds", 99)):
        much = dnnc("sweep", spec, *given, "--json")
        assert (much.status, much.codes) == (2, ["E582"])


# The table ----------------------------------------------------------------------------------------


def made(width: str, seed: str, accuracy: float | None, code: str = "") -> SweepResult:
    point = Point((Setting("let.width", width), Setting("epochs", "2")), seed)
    told = {"epochs": 2, "valid": {"loss": 1.0, "accuracy": accuracy}, "wall_s": 0.5}
    place = Path("runs") / f"{width}-{seed}"
    reason = "a number went wrong" if code else ""
    return SweepResult(point, place, None if code else told, code, reason, seconds=0.5)


def compared(best_is: str = "max") -> Comparison:
    runs = [
        made("4", "1", 0.5),
        made("4", "2", 0.7),
        made("8", "2", 0.9),  # they come as they end
        made("8", "1", 0.8),
        made("16", "1", 0.99),
        made("16", "2", None, "E602"),
        made("32", "1", 0.95),
    ]
    axes = [SweepAxis("let.width", ("4", "8", "16", "32")), SweepAxis("epochs", ("2",))]
    wanted = points(axes, ("1", "2"))
    return Comparison(axes, "valid.accuracy", best_is, wanted, runs)


def test_the_table() -> None:
    assert compared().lines() == [
        ["let.width", "valid.accuracy", "epochs", "seconds", ""],
        ["4", "0.6000 ± 0.1414", "2", "1.0", ""],
        ["8", "0.8500 ± 0.0707", "2", "1.0", "best"],
        ["16", "0.9900", "2", "1.0", "1 of 2 failed: a number went wrong (E602)"],
        ["32", "0.9500", "2", "0.5", "1 of 2 seeds"],
    ]
    best = compared("min").best
    assert best is not None
    assert best.settings[0].value == "4"
    assert not compared().complete


def test_the_lines_of_a_csv() -> None:
    lines = list(csv.DictReader(compared().as_csv().splitlines()))
    assert [line["seed"] for line in lines] == ["1", "2", "1", "2", "1", "2", "1"]
    assert lines[0]["valid.accuracy"] == "0.5"
    assert lines[5]["valid.accuracy"] == ""
    assert lines[5]["failure"] == "E602 a number went wrong"


# Sweeps -------------------------------------------------------------------------------------------


def test_a_sweep_and_what_it_leaves(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    given = ("--set", "let.width=2,16", "--set", "optimizer.lr=0.1,1e30", "--csv", "all.csv")
    first = dnnc("sweep", "net.dnn", *given, *ONE)
    assert first.status == 0
    head, *rows = first.out.splitlines()
    assert head.split() == ["let.width", "optimizer.lr", "valid.accuracy", "epochs", "seconds"]
    assert [row.split()[:2] for row in rows[:4]] == [
        ["2", "0.1"],
        ["2", "1e30"],
        ["16", "0.1"],
        ["16", "1e30"],
    ]
    assert rows[2].endswith("best")
    assert "(E602)" in rows[1]
    assert "best: dnnc train net.dnn --set let.width=16 --set optimizer.lr=0.1" in rows[4]
    assert "4/4" in first.err
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 5
    place = tmp_path / "runs" / "net-sweep"
    runs = sorted(p for p in place.iterdir() if p.is_dir())
    assert [(p / "report.html").exists() for p in runs] == [True, False, True, False]
    best = dnnc("eval", runs[0], "--split", "valid", "--json", *ONE)
    again = dnnc("sweep", "net.dnn", *given, "--json", *ONE)
    assert "4 of them are there already" in again.err
    assert "1/4" not in again.err
    told = again.json
    assert told["best"]["settings"] == {"let.width": "16", "optimizer.lr": "0.1"}
    assert told["best"]["mean"] == pytest.approx(best.json["accuracy"])
    assert told["complete"] is True
    assert [run["failure"] is None for run in told["runs"]] == [True, False, True, False]


def test_a_changed_file_is_trained_anew(dnnc: Dnnc, spec: Path) -> None:
    assert dnnc("sweep", spec, "--seeds", 2, *ONE).status == 0
    spec.write_text(SPEC.replace("dense 10", "dense 10 bias=false"))
    again = dnnc("sweep", spec, "--seeds", 3, *ONE)
    assert "already" not in again.err
    assert "3/3" in again.err
    assert "±" in again.out
    spec.write_text(SPEC)
    assert "2 of them are there already" in dnnc("sweep", spec, "--seeds", 3, *ONE).err


def test_processes_do_not_change_results(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    given = ("--set", "optimizer.lr=0.1,1e30", "--seeds", 2)
    for jobs, place in ((1, "one"), (3, "three")):
        assert dnnc("sweep", spec, *given, "--jobs", jobs, "-o", place).status == 0
    assert figures(tmp_path / "one") == figures(tmp_path / "three")


def test_what_it_compares_by(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    given = ("sweep", "net.dnn", "--seeds", 2, *ONE)
    wrong = dnnc(*given, "--on", "valid.acuracy", "--json")
    assert (wrong.status, wrong.codes) == (2, ["E583"])
    assert "valid.accuracy" in wrong.err
    missing = dnnc(*given, "--on", "test.accuracy", "--json")
    assert (missing.status, missing.codes) == (2, ["E583"])
    assert "no `test` row" in missing.err
    assert dnnc(*given, "--json").json["on"] == "valid.accuracy"
    loss = dnnc(*given, "--on", "train.loss", "--json").json
    assert (loss["on"], loss["best_is"]) == ("train.loss", "min")
    for stop in ("stop patience=3 on=valid.loss",):
        spec.write_text(SPEC.replace("seed 1", f"seed 1; {stop}"))
        assert dnnc(*given, "--json").json["on"] == "valid.loss"
    spec.write_text(SPEC.replace("valid split=20%;", ""))
    assert dnnc(*given, "--json").json["on"] == "train.accuracy"


def test_settings_that_the_file_cannot_take(dnnc: Dnnc, spec: Path) -> None:
    all_wrong = dnnc("sweep", spec, "--set", "optimizer.rate=1,2", "--json", *ONE)
    assert (all_wrong.status, all_wrong.codes) == (1, ["E102"])
    unknown = dnnc("sweep", spec, "--set", "let.widht=1,2", "--json", *ONE)
    assert (unknown.status, unknown.codes) == (2, ["E310"])
    assert "did you mean `width`?" in unknown.err
    some = dnnc("sweep", spec, "--set", "let.width=0,4", "--json", *ONE)
    assert some.status == 0
    first, second = some.json["runs"]
    assert first["failure"]["code"].startswith("E1")
    assert second["failure"] is None


def test_all_of_them_fail(dnnc: Dnnc, spec: Path) -> None:
    answer = dnnc("sweep", spec, "--set", "optimizer.lr=1e30,2e30", *ONE)
    assert answer.status == 5
    assert "best" not in answer.out


def test_what_does_not_go_together(dnnc: Dnnc, spec: Path) -> None:
    assert dnnc("sweep", spec, "--seeds", 2, "--seed", 3).status == 2
    assert dnnc("sweep", spec, "--seeds", 2, "--reuse-of", "a.b").status == 2
    answer = dnnc("sweep", spec, "--reuse", "0..2", "--json")
    assert (answer.status, answer.codes) == (2, ["E310"])
    assert "no `reuse` stands in net" in answer.err
    for wrong in ("0..", "a..b", "some", "-1"):
        answer = dnnc("sweep", spec, "--reuse", wrong, "--json")
        assert (answer.status, answer.codes) == (2, ["E580"]), wrong


REUSE = """\
data digits { train builtin digits; take 200 stratify=true; valid split=20%; scale (1 / 16) }
model first {
  input image[8 8]
  part body { flatten | dense 16 | relu | dense 16 | relu }
  dense 10 | softmax
}
model second { input image[8 8]; part body { reuse first.body }; dense 10 | softmax }
train first on digits { loss cross_entropy; metric accuracy; optimizer adam; epochs 3; seed 1 }
train second on digits { loss cross_entropy; metric accuracy; optimizer adam; epochs 1; seed 1 }
"""


def test_how_many_layers_to_keep(dnnc: Dnnc, spec: Path) -> None:
    spec.write_text(REUSE)
    sweep = ("sweep", "net.dnn", "--model", "second", "--reuse", "0..2", *ONE)
    assert dnnc("train", "net.dnn", "--model", "first", *ONE).status == 0
    told = dnnc(*sweep, "--json")
    assert told.status == 0
    rows = told.json["rows"]
    assert [row["settings"] for row in rows] == [{"reuse.layers": str(n)} for n in range(3)]
    assert len({row["mean"] for row in rows}) > 1
    assert "3 of them are there already" in dnnc(*sweep).err
    # Other weights to begin with are another run.
    assert dnnc("train", "net.dnn", "--model", "first", "--seed", 2, *ONE).status == 0
    again = dnnc(*sweep)
    assert "already" not in again.err
    assert "best: dnnc train net.dnn --model second --set reuse.layers=" in again.out


def test_rows_of_a_phase(dnnc: Dnnc, spec: Path) -> None:
    phases = (
        "phase warm { optimizer sgd lr=0.1; epochs 1 }; phase fine { optimizer adam; epochs 1 }"
    )
    spec.write_text(
        SPEC.replace("optimizer sgd lr=0.1 momentum=0.9", phases).replace("epochs 2; ", "")
    )
    told = dnnc("sweep", spec, "--set", "warm.epochs=1..3", "--json", *ONE).json
    assert [row["epochs"] for row in told["rows"]] == [2, 3, 4]
    assert told["on"] == "valid.accuracy"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_sweep_goes_on(jobs: int, dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    given = ("--set", "let.width=4,8", "--epochs", 200, "--jobs", jobs, *ONE)
    command = [sys.executable, "-m", "deepdsl", "sweep", str(spec), *map(str, given), "-o", "cut"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    place = tmp_path / "cut"
    end = time.monotonic() + 20
    while not list(place.glob("*/log.jsonl")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "the same command continues from here" in err
    assert "Traceback" not in out + err
    kept = [json.loads(p.read_text()) for p in place.glob("*/checkpoints/last/*.json")]
    assert kept
    assert dnnc("sweep", spec, *given, "-o", "cut").status == 0
    assert dnnc("sweep", spec, *given, "-o", "whole").status == 0
    assert figures(place) == figures(tmp_path / "whole")
