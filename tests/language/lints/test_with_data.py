"""What is known only when data is open: a last batch of a single row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepdsl.compiler.front_end import load_program
from deepdsl.compiler.job import open_job
from deepdsl.core.source import Source
from deepdsl.language.lints.training import known_with_data

TEXT = """data table {{ train npz "rows.npz"; standardize }}
model net {{
  input x[4]
  dense 8 bias=false | batch_norm | relu
  dense 3 | softmax
}}
train net on table {{
  loss  cross_entropy
  batch {batch}
  seed  1
}}
"""


@pytest.mark.parametrize(
    ("rows", "batch", "words"),
    [
        (41, "8", "41 = 5 × 8 + 1 rows"),
        (1201, "40 # dnnc: allow W417", ""),
        (42, "8", ""),
        (40, "8", ""),
        (41, "64", ""),  # one batch, of all rows
        (8, "8", ""),
    ],
)
def test_a_last_batch_of_one_row(tmp_path: Path, rows: int, batch: str, words: str) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, rows)
    np.savez(tmp_path / "rows.npz", x=rng.standard_normal((rows, 4)), y=labels)
    program, warnings = load_program(Source("a.dnn", TEXT.format(batch=batch)))
    assert warnings == ()
    job = open_job(program, program.trainings[0], tmp_path)
    assert job.splits.train is not None
    found = known_with_data(program, program.trainings[0], len(job.splits.train))
    assert [d.code for d in found] == (["W417"] if words else [])
    if words:
        assert words in found[0].label
        assert found[0].help == "batch 9"
        assert found[0].span is not None
        assert found[0].span.line == 9


def test_what_check_knows_is_not_said_again() -> None:
    text = TEXT.replace('npz "rows.npz"', "builtin digits").replace("x[4]", "x[8 8]\n  flatten")
    program, warnings = load_program(Source("a.dnn", text.format(batch=1436)))
    assert [d.code for d in warnings] == ["W417"]
    assert known_with_data(program, program.trainings[0], 1437) == []


def test_a_training_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepdsl.cli import main

    rng = np.random.default_rng(1)
    np.savez(tmp_path / "rows.npz", x=rng.standard_normal((41, 4)), y=rng.integers(0, 3, 41))
    monkeypatch.chdir(tmp_path)
    Path("a.dnn").write_text(TEXT.format(batch=8))
    assert main(["train", "a.dnn", "--epochs", "1"]) == 0
    told = capsys.readouterr().err
    assert "warning[W417]: batch norm in a last batch of one row" in told
    assert "help: batch 9" in told
