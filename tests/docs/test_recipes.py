"""The recipes of CONTRIBUTING.md are carried out: each adds its thing in a copy of the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^(`{3,4})(python|text)\n(.*?)^\1$", re.M | re.S)
# Recipe -> its blocks of code, in order.
RECIPES = {
    part.partition("\n")[0].strip(): [m.group(3) for m in BLOCK.finditer(part)]
    for part in TEXT.split("\n### ")[1:]
}
DATA = "data d { train builtin digits; valid split=20%; scale (1 / 16) }\n"
NET = DATA + (
    "model net { input image[8 8]; flatten | dense 16 | LAYER | dense 10 | softmax }\n"
    "train net on d { loss cross_entropy; optimizer OPTIMIZER; epochs 3; seed 1 }\n"
)
REGRESSION = DATA + (
    "model net { input image[8 8]; flatten | dense 8 | relu | dense 1 }\n"
    "train net on d { loss log_cosh; optimizer adam; epochs 3; seed 1 }\n"
)
TRAINS = """
import json
import deepdsl
deepdsl.load("a.dnn").train(out="run")
first, *_, last = [json.loads(line)["train"]["loss"] for line in open("run/log.jsonl")]
assert last < first, (first, last)
"""


class Copy:
    """A copy of the package in a folder, and what was added to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "deepdsl", folder / "deepdsl", ignore=skip)
        for package in ("grammar", "backends"):
            shutil.copytree(ROOT / package, folder / "deepdsl" / package, ignore=skip)
        entry = folder / "deepdsl-0.dist-info"
        entry.mkdir()
        (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: deepdsl\nVersion: 0\n")
        (entry / "entry_points.txt").write_text(
            "[deepdsl.backends]\ncpu = deepdsl.backends.cpu:CpuBackend\n"
        )
        self.added: list[Path] = []

    def add(self, code: str) -> None:
        """Write a block to the file that its first line names, which must be new."""
        first, _, rest = code.partition("\n")
        file = self.folder / first.removeprefix("# ")
        assert not file.exists()
        assert file.parent.is_dir()
        file.write_text(rest, encoding="utf-8")
        self.added.append(file)

    def run(self, *command: str) -> str:
        """Run Python in the folder, with the copy in front; what it prints."""
        made = subprocess.run(
            [sys.executable, *command], cwd=self.folder, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stdout + made.stderr
        return made.stdout

    def dnnc(self, *arguments: str) -> str:
        return self.run("-m", "deepdsl", *arguments)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def carried_out(copy: Copy, recipe: str, program: str) -> None:
    """Add the recipe's one file, beside a program that uses it."""
    for code in RECIPES[recipe]:
        copy.add(code)
    assert len(copy.added) == 1
    (copy.folder / "a.dnn").write_text(program, encoding="utf-8")


@pytest.mark.parametrize(
    ("recipe", "name", "program"),
    [
        ("An activation", "cube", NET.replace("LAYER", "cube").replace("OPTIMIZER", "adam")),
        (
            "A layer with running state",
            "running_scale",
            NET.replace("LAYER", "running_scale | relu").replace("OPTIMIZER", "adam"),
        ),
        (
            "An optimizer",
            "adabelief",
            NET.replace("LAYER", "relu").replace("OPTIMIZER", "adabelief"),
        ),
        ("A loss", "log_cosh", REGRESSION),
    ],
)
def test_what_is_trained_with(copy: Copy, recipe: str, name: str, program: str) -> None:
    carried_out(copy, recipe, program)
    copy.dnnc("check", "-q", "--strict", "a.dnn")
    assert f"`{name}" in copy.dnnc("explain", name)
    copy.run("-c", TRAINS)
    copy.dnnc("export", "run", "-o", "a.onnx")


def test_a_lint(copy: Copy) -> None:
    carried_out(copy, "A lint", "model net { input x[4]; dense 1 | relu | dense 3 | softmax }\n")
    assert '"code": "W499"' in copy.dnnc("check", "--json", "a.dnn")
    assert "passes on a single number" in copy.dnnc("explain", "W499")


def test_a_command(copy: Copy) -> None:
    carried_out(copy, "A command", NET.replace("LAYER", "relu").replace("OPTIMIZER", "adam"))
    assert copy.dnnc("count", "a.dnn") == "net: 5\n"
    assert "count the layers of each model" in copy.dnnc("--help")


def test_a_backend(copy: Copy) -> None:
    code, entry = RECIPES["A backend"]
    copy.add(code)
    distribution = copy.folder / "toy-1.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text(entry)
    program = NET.replace("LAYER", "relu").replace("OPTIMIZER", "adam")
    (copy.folder / "a.dnn").write_text(program, encoding="utf-8")
    assert "a stepper on toy" in copy.dnnc("train", "a.dnn", "--device", "toy", "-q")
    assert len(copy.added) == 1


def test_every_recipe_is_carried_out() -> None:
    carried = {"An activation", "A layer with running state", "An optimizer", "A loss", "A lint"}
    carried |= {"A command", "A backend"}
    assert set(RECIPES) == {*carried, "A data format"}  # tests/data/test_new_format.py
