"""Models of sequences from the text to the exported file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from places import EXAMPLES

import deepdsl
from deepdsl.diagnostics import DnnError
from deepdsl.inference.export import plausible

BODIES = {
    "lstm": "lstm 12 sequence=true | dropout 10% | dense 5 per=position | softmax",
    "both": "gru 6 sequence=true direction=both | dense 5 per=position | log_softmax",
    "attention": "position_embedding | attention 2 causal=true dropout=10% | layer_norm"
    " | dense 5 per=position | softmax",
    "vector": "sinusoidal_positions | gru 8 reset_after=false | dense 5 | softmax",
    "stacked": "lstm 6 sequence=true direction=backward | lstm 8 direction=both"
    " | dense 5 | softmax",
}
TRAIN = """
train m on d {
  loss cross_entropy; metric accuracy perplexity; optimizer adam lr=0.02
  batch 8; epochs 30; seed 3
}
"""
# Five characters, an end of a line and a comma among them.
TEXT = "ab,\nab,\nabc\n" * 40


def text_of(body: str) -> str:
    model = f"model m {{\n  input text[6] dtype=int64\n  embedding 5 8\n  {body}\n}}\n"
    return model + 'data d { train text "text.txt" stride=2; valid last=20% }\n' + TRAIN


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    monkeypatch.chdir(tmp_path)


def windows(count: int) -> Any:
    names = sorted(set(TEXT))
    numbers = np.array([names.index(c) for c in TEXT])
    return np.stack([numbers[i : i + 6] for i in range(count)])


@pytest.mark.parametrize("name", BODIES)
def test_a_text_is_learned_and_the_file_answers_alike(name: str, tmp_path: Path) -> None:
    program = deepdsl.loads(text_of(BODIES[name]), folder=tmp_path)
    assert program.ok, program.diagnostics
    run = program.train(out="run")
    loss, accuracy, perplexity = (
        run.figures["valid"][k] for k in ("loss", "accuracy", "perplexity")
    )
    assert accuracy > 0.8
    assert perplexity == pytest.approx(np.exp(loss), rel=1e-5)
    assert run.classes == ("\n", ",", "a", "b", "c")
    exported = run.export("m.onnx")
    assert exported.max_abs_error < 1e-5
    session = onnxruntime.InferenceSession("m.onnx")
    noted = session.get_modelmeta().custom_metadata_map
    assert json.loads(noted["deepdsl.classes"]) == list(run.classes)
    assert json.loads(noted["deepdsl.indices"]) == {"text": 5}
    rows = windows(70)
    (made,) = session.run(None, {"text": rows})
    np.testing.assert_allclose(made, run.predict(rows), rtol=1e-5, atol=1e-5)


def test_the_exported_file_is_measured_as_the_run_is(tmp_path: Path) -> None:
    from deepdsl.inference.predictor import measure, open_predictor

    run = deepdsl.loads(text_of(BODIES["lstm"]), folder=tmp_path).train(out="run", epochs=2)
    run.export("m.onnx")
    ours = run.evaluate(split="valid")
    trained = run._trained
    theirs, rows = measure(
        open_predictor(Path("m.onnx")), trained.training, trained.data, tmp_path, "valid"
    )
    assert rows > 0
    assert theirs == pytest.approx(ours, rel=1e-4)


def test_arrays_of_indices(tmp_path: Path) -> None:
    program = deepdsl.loads(text_of(BODIES["vector"]), folder=tmp_path)
    rows = windows(100)
    run = program.train(
        rows[:-1].astype(np.uint8),
        rows[1:, -1],
        valid=None,
        epochs=1,
        out="run",
        settings={"batch": 16},
    )
    assert run.predict(rows).shape == (100, 5)
    np.testing.assert_array_equal(run.predict(rows), run.predict(rows.astype(np.float64)))
    assert set(run.evaluate(rows[:-1], rows[1:, -1])) == {"loss", "accuracy", "perplexity"}
    for bad, shown in ((5, "index 5 is out of range"), (-1, "index -1 is out of range")):
        wrong = rows.copy()
        wrong[17, 3] = bad
        with pytest.raises(DnnError, match=shown) as caught:
            run.predict(wrong)
        assert "row 17, column 3" in str(caught.value)


def test_what_is_tried_before_an_export_are_indices(tmp_path: Path) -> None:
    run = deepdsl.loads(text_of(BODIES["vector"]), folder=tmp_path).train(out="run", epochs=1)
    tried = plausible(run._trained, "text", (64, 6))
    assert tried.dtype == np.int64
    assert set(np.unique(tried)) == set(range(5))


@pytest.mark.parametrize("name", ["lstm", "attention"])
def test_a_training_is_the_same_each_time(name: str, tmp_path: Path) -> None:
    """Recurrent products here are too small for their order to depend on the threads."""
    text = text_of(BODIES[name])
    states = []
    for number, threads in enumerate((1, 1, 2)):
        program = deepdsl.loads(text, folder=tmp_path)
        run = program.train(out=f"run-{number}", epochs=2, threads=threads)
        states.append(dict(run.weights))
    for other in states[1:]:
        for path, value in states[0].items():
            np.testing.assert_array_equal(other[path], value)


def test_a_transform_of_indices_is_refused(tmp_path: Path) -> None:
    for row in ("standardize", "scale 2", "normalize mean=[1] std=[2]", "scale 2 of=text"):
        text = text_of(BODIES["vector"]).replace("valid last=20%", row)
        assert [d.code for d in deepdsl.loads(text, folder=tmp_path).diagnostics] == ["E246"]


def test_target_input_is_refused(tmp_path: Path) -> None:
    text = text_of("flatten | dense 6").replace("valid last=20%", "target input")
    text = text.replace("cross_entropy; metric accuracy perplexity", "mean_squared_error")
    assert "E246" in [d.code for d in deepdsl.loads(text, folder=tmp_path).diagnostics]


def test_generate_writes_characters_that_the_model_knows(tmp_path: Path) -> None:
    """It needs NumPy and onnxruntime alone."""
    run = deepdsl.loads(text_of(BODIES["lstm"]), folder=tmp_path).train(out="run", epochs=20)
    run.export("m.onnx")
    script = (
        "import runpy, sys\n"
        "sys.argv[1:] = ['m.onnx', '--start', 'ab', '--length', '60', *sys.argv[1:]]\n"
        f"runpy.run_path({str(EXAMPLES / 'generate.py')!r}, run_name='__main__')\n"
        "assert not {m.split('.')[0] for m in sys.modules} & {'deepdsl', 'onnx', 'lark'}"
    )

    def written(*options: str) -> str:
        made = subprocess.run(
            [sys.executable, "-c", script, *options], capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        return made.stdout

    greedy = written("--temperature", "0")
    assert len(greedy) == 63
    assert greedy.startswith("ab,\nab")
    drawn = written("--temperature", "3", "--seed", "4")
    assert drawn == written("--temperature", "3", "--seed", "4")
    assert drawn != written("--temperature", "3", "--seed", "5")
    assert set(drawn) <= set(TEXT)
    refused = subprocess.run(
        [sys.executable, str(EXAMPLES / "generate.py"), "m.onnx", "--start", "Q"],
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert "does not know 'Q'" in refused.stderr


WRONG = {
    "input t[5] dtype=int32; embedding 9 4 | lstm 4": ("E103", ""),
    "input t[5 3] size=4; lstm 4": ("E102", "one of: dtype"),
    "input t[5] dtype=int64 7; embedding 9 4 | lstm 4": ("E105", ""),
    "input t[5] dtype=int64 dtype=int64; embedding 9 4 | lstm 4": ("E106", ""),
    "input t[5]; embedding 9 4 | lstm 4": ("E201", "`input x[5] dtype=int64`"),
    "input t[5] dtype=int64; dense 4": ("E201", "`embedding COUNT 32`"),
    "input t[5 3]; dense 4": ("E201", "`flatten | dense 4` gives it 15; for each of 5 positions: "
                              "`dense 4 per=position`"),
    "input t[5]; dense 4 per=position": ("E201", "a vector has no positions: `dense 4`"),
    "input t[5 3]; lstm 4 | lstm 4": ("E201", "`sequence=true`"),
    "input t[5 3 2]; gru 4": ("E201", ""),
    "input t[5 6]; attention 4": ("E201", "6 can be divided into: 2, 3, 6"),
    "input t[5]; sinusoidal_positions | dense 3": ("E201", ""),
}  # fmt: skip


@pytest.mark.parametrize("body", WRONG)
def test_what_does_not_fit(body: str) -> None:
    found = [d for d in deepdsl.loads(f"model m {{ {body} }}").diagnostics if d.code[0] == "E"]
    code, help = WRONG[body]
    assert found[0].code == code
    assert help in found[0].help
    # A wrong element type is said once, not again of every layer behind it.
    assert len(found) == 1


def test_shares_at_the_ends_of_any_data(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez("x.npz", x=rng.standard_normal((50, 3)), y=rng.integers(0, 2, 50))
    text = (
        "model m { input x[3]; dense 2 | softmax }\n"
        'data d { train npz "x.npz"; valid last=20% }\n'
        "train m on d { loss cross_entropy; epochs 1; seed 1 }"
    )
    run = deepdsl.loads(text, folder=tmp_path).train(out="run")
    assert run.figures["valid"].keys() == {"loss"}
