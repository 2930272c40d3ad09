"""One small layer through every kind of file, laid out in every way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reused import loaded, results
from safetensors.numpy import save_file
from weight_files import (
    BIAS,
    KERNEL,
    TEXT,
    WANTED,
    X,
    beside,
    bfloat16_file,
    checkpoint_file,
    checkpoint_folder,
    copied_file,
    doubles,
    flax_file,
    gemm,
    keras_2,
    keras_3,
    keras_nested,
    keras_vars,
    product,
    run_directory,
    sharded,
    tfjs,
    tfjs_folder,
    tfjs_half,
    torch_file,
    torch_halves,
)
from workbench import near

from deepdsl.cli import main
from deepdsl.transfer.weights import checkpoint

EXACT = [
    torch_file,
    torch_halves,
    sharded,
    bfloat16_file,
    flax_file,
    keras_2,
    keras_3,
    keras_nested,
    keras_vars,
    doubles,
    gemm,
    product,
    beside,
    checkpoint_folder,
    checkpoint_file,
    copied_file,
    run_directory,
    tfjs,
    tfjs_half,
    tfjs_folder,
]


@pytest.mark.parametrize("make", EXACT, ids=lambda f: f.__name__)
def test_one_layer_through_every_file(make: Callable[[Path], Path], tmp_path: Path) -> None:
    made = loaded(TEXT, make(tmp_path))
    assert made.values["dense_1.weight"].dtype == np.float32
    assert made.values["dense_1.weight"].tolist() == KERNEL.tolist()
    assert results(TEXT, made.values, X).tolist() == WANTED
    assert [row.shape for row in made.rows] == [(2, 3), (3,)]
    assert made.left_out == ()


@pytest.mark.parametrize(
    ("dtype", "scale", "tolerance"), [("uint8", 9 / 255, 0.3), ("uint16", 9 / 65535, 2e-3)]
)
def test_quantized_weights(dtype: str, scale: float, tolerance: float, tmp_path: Path) -> None:
    made = loaded(TEXT, tfjs(tmp_path, {"dtype": dtype, "scale": scale, "min": 0.5}))
    assert abs(made.values["dense_1.weight"] - KERNEL).max() <= scale / 2 + 1e-6
    np.testing.assert_allclose(results(TEXT, made.values, X), WANTED, atol=tolerance * 3)


def test_what_said_how_the_kernels_lie(tmp_path: Path) -> None:
    told = {}
    for make in (torch_file, flax_file, keras_2, keras_vars, doubles, gemm, checkpoint_folder):
        made = loaded(TEXT, make(tmp_path))
        told[make.__name__] = (made.layout, [row.done for row in made.rows])
    as_it_is, transposed = ["as it is"] * 2, ["transposed", "as it is"]
    assert told == {
        "torch_file": ("(out, in), as in PyTorch: by its metadata, format=pt", transposed),
        "flax_file": (
            "(in, out) and channels last, as in Keras: by its metadata, format=flax",
            as_it_is,
        ),
        "keras_2": ("(in, out): by `dense_1/kernel:0`", as_it_is),
        "keras_vars": ("(in, out): by `layers/dense_1/vars/0`", as_it_is),
        "doubles": ("(out, in), as in PyTorch: by `dense_1.weight`", transposed),
        "gemm": ("", transposed),
        "checkpoint_folder": ("", as_it_is),
    }


def test_a_run_of_a_training_is_taken_as_it_ended(tmp_path: Path) -> None:
    """By the command line, from a text to the weights."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.random((8, 2), np.float32), y=np.arange(8) % 3)
    file = tmp_path / "m.dnn"
    file.write_text(
        'data d { train npz "d.npz" }\nmodel m { input x[2]; dense 3 | softmax }\n'
        "train m on d { loss cross_entropy; optimizer adam; batch 4; epochs 2 }\n"
    )
    run = tmp_path / "run"
    assert main(["train", str(file), "--out", str(run), "-q"]) == 0
    kept = checkpoint.read(run / "checkpoints" / "last").state
    for weights in (run, run / "checkpoints" / "last"):
        made = loaded(TEXT, weights)
        assert made.values["dense_1.weight"].tolist() == kept["dense_1.weight"].tolist()
    assert "optimizer.first_moment.dense_1.weight" in kept
    assert made.unused == ()
    assert loaded(TEXT, run).source == f"{run} (last)"
    (made,) = [loaded(TEXT, "", {"m": run}, trained="m")]
    assert made.values["dense_1.bias"].tolist() == kept["dense_1.bias"].tolist()


def test_a_run_that_is_not_finished_is_told(tmp_path: Path) -> None:
    run = run_directory(tmp_path)
    (run / "checkpoints" / "best").rename(run / "checkpoints" / "last")
    (run / "manifest.json").write_text(json.dumps({"model": "m", "state": []}))
    made = loaded(TEXT, run)
    assert made.notes == (f"the run {run} is not finished: its last checkpoint is taken",)
    near(results(TEXT, made.values, X), WANTED)


def test_weights_of_an_imported_piece(tmp_path: Path) -> None:
    from workbench import program

    from deepdsl.language.analysis.library import Imported

    (foreign,) = program("model f { input x[2]; dense 3 }").models.values()
    weights = {"dense_1.weight": KERNEL, "dense_1.bias": BIAS}
    names = {"dense_1.weight": "/fc/MatMul_W", "dense_1.bias": "fc.b"}
    made = loaded(TEXT, "", imported=Imported(weights, names, foreign), path="net")
    assert results(TEXT, made.values, X).tolist() == WANTED
    assert [row.there for row in made.rows] == ["/fc/MatMul_W", "fc.b"]
    # A file of weights beside it has the names that the graph has.
    tensors = {"classifier.1.weight": 2 * KERNEL.T.copy(), "classifier.1.bias": BIAS}
    save_file(tensors, tmp_path / "tuned.safetensors")
    names = {"dense_1.weight": "classifier.1.weight", "dense_1.bias": "classifier.1.bias"}
    imported = Imported(weights, names, foreign)
    made = loaded(TEXT, tmp_path / "tuned.safetensors", imported=imported, path="net")
    assert made.values["dense_1.weight"].tolist() == (2 * KERNEL).tolist()
