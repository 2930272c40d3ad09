"""A new format of data is one new folder: it is checked, trained on and explained at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DECLARATION = '''
"""The source `points`: numbers between blanks, the class last."""

from deepdsl.core.record import record
from deepdsl.core.registry import Text, argument
from deepdsl.data.source import DataSource


@record
class Points(DataSource):
    """Lines of numbers between blanks, the last of which is the class."""

    suffixes = (".points",)

    file: str = argument(Text(), "the file")
'''

READER = '''
"""Reads files of points."""

import numpy as np

from deepdsl.data.array_table import table_of
from deepdsl.data.bind_inputs import bind_inputs
from deepdsl.data.files import find_file
from deepdsl.data.table import Origin


def open_table(source, request):
    file = find_file(source.file, request)
    numbers = np.loadtxt(file.path, dtype=np.float32, ndmin=2)
    bound = bind_inputs(request, (), numbers[:, :-1], numbers[:, -1].astype(np.int64), "")
    origin = Origin(file.name, file.span)
    return table_of({name: (array, False, origin) for name, array in bound.items()}, request)
'''

PROGRAM = """\
data table { train points "a.points"; valid split=25% }
model net { input x[2]; dense 2 | softmax }
train net on table { loss cross_entropy; optimizer sgd lr=0.1; epochs 1; batch 4; seed 0 }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with a further format, beside a program that names it."""
    folder = tmp_path_factory.mktemp("format")
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "deepdsl", folder / "deepdsl", ignore=skip)
    for package in ("grammar", "backends"):
        shutil.copytree(ROOT / package, folder / "deepdsl" / package, ignore=skip)
    new = folder / "deepdsl" / "data" / "formats" / "points"
    new.mkdir()
    (new / "__init__.py").write_text(DECLARATION.lstrip(), encoding="utf-8")
    (new / "reader.py").write_text(READER.lstrip(), encoding="utf-8")
    (folder / "a.dnn").write_text(PROGRAM, encoding="utf-8")
    rows = "".join(f"{i % 5} {i % 3} {i % 2}\n" for i in range(32))
    (folder / "a.points").write_text(rows, encoding="utf-8")
    return folder


def dnnc(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "deepdsl", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_is_checked(folder: Path) -> None:
    dnnc(folder, "check", "a.dnn")


def test_it_is_trained_on(folder: Path) -> None:
    dnnc(folder, "train", "a.dnn")
    (run,) = (folder / "runs").iterdir()
    assert (run / "checkpoints" / "last").exists()


def test_it_is_explained(folder: Path) -> None:
    assert "the last of which is the class" in dnnc(folder, "explain", "points")


def test_a_file_that_is_named_alone_is_recognized(folder: Path) -> None:
    (folder / "bare.dnn").write_text(PROGRAM.replace("points ", "", 1), encoding="utf-8")
    with pytest.raises(AssertionError, match=r'write `train points "a\.points"`'):
        dnnc(folder, "check", "bare.dnn")
