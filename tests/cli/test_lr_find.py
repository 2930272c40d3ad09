"""`dnnc lr-find`: the curve, the suggestion, the picture, and what it leaves alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from commands import SPEC, Dnnc

ONE = ("--threads", 1)
KEYS = {
    *("rates", "losses", "smoothed", "suggestion", "reason"),
    *("steepest", "minimum_tenth", "diverged_at", "file"),
}


def test_a_search_and_what_it_says(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    answer = dnnc("lr-find", "net.dnn", *ONE)
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert sum("•" in line for line in lines) >= 6
    assert any("^" in line for line in lines)
    told = dict(line.split(None, 1) for line in lines[-6:])
    assert set(told) == {"steps", "diverged", "steepest", "minimum", "suggestion", "picture"}
    assert told["suggestion"].startswith("optimizer.lr=")
    assert told["picture"] == "lr-find.html"
    # A picture, and nothing else.
    assert {p.name for p in tmp_path.iterdir()} == {"net.dnn", "lr-find.html"}
    assert spec.read_text() == SPEC
    page = (tmp_path / "lr-find.html").read_text()
    root = ET.fromstring(page.split("\n", 1)[1])
    assert len(list(root.iter("{http://www.w3.org/2000/svg}svg"))) == 1
    assert "suggested: " in page
    assert "steepest descent" in page


@pytest.mark.parametrize("optimizer", ["sgd lr=5", "adam lr=5"])
def test_training_with_the_suggestion_works(dnnc: Dnnc, spec: Path, optimizer: str) -> None:
    spec.write_text(SPEC.replace("adam lr=1e-2", optimizer).replace("dropout 20%", "identity"))
    told = dnnc("lr-find", "net.dnn", *ONE, "--json", "-o", "picture.html").json
    assert set(told) == KEYS
    assert told["file"] == "picture.html"
    assert len(told["rates"]) == len(told["losses"]) == len(told["smoothed"]) <= 100
    assert told["rates"][0] == pytest.approx(1e-6)
    assert told["rates"] == sorted(told["rates"])
    assert told["diverged_at"] is None or told["diverged_at"] == told["rates"][-1]
    rate = f"optimizer.lr={told['suggestion']:g}"
    found = dnnc("train", "net.dnn", *ONE, "--set", rate, "--epochs", 8, "--json").json
    assert found["test"]["accuracy"] > 0.85


def test_the_same_bits_each_time(dnnc: Dnnc, spec: Path) -> None:
    first = dnnc("lr-find", "net.dnn", *ONE, "--json").json
    assert dnnc("lr-find", "net.dnn", *ONE, "--json").json == first
    other = dnnc("lr-find", "net.dnn", *ONE, "--json", "--set", "batch=32", "--seed", 5).json
    assert other["losses"] != first["losses"]


def test_bounds_and_steps(dnnc: Dnnc, spec: Path) -> None:
    told = dnnc(
        "lr-find", "net.dnn", *ONE, "--json", "--from", 1e-4, "--to", 1e-2, "--steps", 30
    ).json
    assert len(told["rates"]) == 30
    assert (told["rates"][0], told["rates"][-1]) == pytest.approx((1e-4, 1e-2))
    assert told["diverged_at"] is None


def test_rates_that_break_everything(dnnc: Dnnc, spec: Path) -> None:
    spec.write_text(SPEC.replace("| batch_norm", "").replace("adam lr=1e-2", "sgd lr=0.1"))
    answer = dnnc("lr-find", "net.dnn", *ONE, "--from", 1e25, "--to", 1e38)
    assert answer.status == 0
    assert "suggestion  none: the loss diverged after" in answer.out
    told = dnnc("lr-find", "net.dnn", *ONE, "--from", 1e25, "--to", 1e38, "--json").json
    assert told["suggestion"] is None
    assert told["diverged_at"] == told["rates"][-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", 1, "--to", 0.1), "`--from` (1) must be below `--to` (0.1)"),
        (("--from", 0), "`0` is no learning rate above 0"),
        (("--to", "much"), "`much` is no learning rate above 0"),
        (("--steps", 0), "`0` is no whole number of at least 1"),
        (("--steps", 9), "9 steps cannot show a curve: take at least 10"),
    ],
)
def test_arguments_that_cannot_be(
    dnnc: Dnnc, spec: Path, arguments: tuple[object, ...], said: str
) -> None:
    answer = dnnc("lr-find", "net.dnn", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert said in answer.err
    told = dnnc("lr-find", "net.dnn", *arguments, "--json")
    assert (told.status, told.codes) == (2, ["usage"])
    assert said in told.json["diagnostics"][0]["message"]
    assert not Path("lr-find.html").exists()


def test_a_place_that_cannot_be_written(dnnc: Dnnc, spec: Path) -> None:
    answer = dnnc("lr-find", "net.dnn", *ONE, "-o", "net.dnn/x.html", "--json")
    assert answer.status == 3
    assert answer.codes == ["E609"]
