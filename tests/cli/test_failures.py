"""What goes wrong while something runs: a status, one clear message, and never a traceback."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import SPEC, Dnnc

import deepdsl.cli.commands.check
from deepdsl.diagnostics import DnnError
from deepdsl.graph.backend import open_backend

ONE = ("--threads", 1)


@pytest.fixture
def run(run_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    place = tmp_path / "run"
    shutil.copytree(run_folder, place)
    return place


def test_files_that_cannot_be_read(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "latin.dnn").write_bytes("let größe = 3\n".encode("latin-1"))
    (tmp_path / "folder.dnn").mkdir()
    for name, words in [
        ("nowhere.dnn", "cannot read nowhere.dnn: no such file or directory"),
        ("latin.dnn", "it is not UTF-8 text (byte 6)"),
        ("folder.dnn", "is a directory"),
    ]:
        for command in ("check", "fmt", "inspect", "train", "build", "bench"):
            answer = dnnc(command, name, "--json")
            assert (answer.status, answer.codes) == (3, ["E608"]), (command, name)
            assert words in answer.err


def test_data_that_is_not_there(dnnc: Dnnc, tmp_path: Path) -> None:
    text = SPEC.replace("train builtin digits", 'train npz "pairs.npz"').replace(
        "  test  builtin digits\n", ""
    )
    (tmp_path / "net.dnn").write_text(text)
    answer = dnnc("train", "net.dnn", "--json")
    assert (answer.status, answer.codes) == (3, ["E401"])
    assert answer.json["diagnostics"][0]["line"] == 2
    assert not (tmp_path / "runs").exists()
    np.savez(tmp_path / "pairs.npz", x=np.zeros((9, 4, 4)), y=np.arange(9))
    shapes = dnnc("train", "net.dnn", "--json")
    assert (shapes.status, shapes.codes) == (3, ["E436"])


def test_a_place_that_cannot_be_written(
    dnnc: Dnnc, spec: Path, run_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    for command in (
        ("train", "net.dnn", "--out", "file/run"),
        ("build", "net.dnn", "-o", "file/out"),
        ("export", run_folder, "-o", "file/net.onnx"),
    ):
        answer = dnnc(*command, "--json")
        assert (answer.status, answer.codes) == (3, ["E609"]), command
        assert "file" in answer.err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_no_fault_of_this_program(
    dnnc: Dnnc, spec: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    for command, place in (
        (("train", "net.dnn", "--epochs", "1", "--out", "full", *ONE), "full/"),
        (("export", run_folder, "-o", "full.onnx"), "full.onnx:"),
        (("inspect", "net.dnn", "--svg", "net.svg"), "net.svg:"),
    ):
        answer = dnnc(*command, "--json")
        assert (answer.status, answer.codes) == (3, ["E609"]), command
        told = answer.json["diagnostics"][0]
        assert told["message"].startswith(place)
        assert told["message"].endswith(os.strerror(number).lower())
        assert "make room" in told["help"]
        assert ".tmp" not in answer.err


def test_a_reader_that_has_gone(spec: Path) -> None:
    spec.write_text("model net { input x[4]; dense 3 | softmaxx }\n" * 2000)
    program = "import sys; from deepdsl.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "train", str(spec), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read().decode()
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_help_is_that_of_the_command(dnnc: Dnnc) -> None:
    for words in (("plan", "net.dnn", "--out", "x"), ("train", "net.dnn", "--epochz", "3")):
        answer = dnnc(*words)
        assert answer.status == 2
        assert answer.err.endswith(f"`dnnc {words[0]} --help` says what there is\n")
    assert dnnc("bogus").err.endswith("`dnnc --help` says what there is\n")


def test_cuda_where_there_is_none(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    try:
        open_backend("cuda")
    except DnnError:
        pass
    else:
        pytest.skip("this machine has CUDA")
    for command in ("train", "bench"):
        answer = dnnc(command, "net.dnn", "--device", "cuda", "--json")
        assert (answer.status, answer.codes) == (4, ["E601"])
        assert "the device `cuda` cannot be used: " in answer.err
        assert "--device cpu" in answer.err
        assert answer.err.count("\n") <= 4
    assert not (tmp_path / "runs").exists()
    auto = dnnc("train", "net.dnn", "--device", "auto", *ONE, "--epochs", 1)
    assert auto.status == 0
    assert "on cpu" in auto.err


def test_a_device_that_does_not_exist(dnnc: Dnnc, spec: Path) -> None:
    answer = dnnc("train", "net.dnn", "--device", "cdua", "--json")
    assert (answer.status, answer.codes) == (4, ["E601"])
    assert "did you mean `cuda`?" in answer.err
    for count in ("0", "-3"):
        assert dnnc("train", "net.dnn", "--threads", count).status == 2


DIVERGING = """\
data rows { train npz "rows.npz" }
model net { input x[4]; dense 8 init=normal(std=1) | relu | dense 8 | relu | dense 1 }
train net on rows {
  loss mean_squared_error
  optimizer sgd lr=1e30
  batch 8
  epochs 5
  seed 1
}
"""


def test_numbers_that_go_wrong(dnnc: Dnnc, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 4)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=x.sum(1, keepdims=True))
    (tmp_path / "net.dnn").write_text(DIVERGING)
    answer = dnnc("train", "net.dnn", *ONE, "--json")
    assert (answer.status, answer.codes) == (5, ["E602"])
    message = answer.json["diagnostics"][0]["message"]
    # The first step is finite, its update is not small: in the second one, a layer overflows.
    assert "in step 2 (epoch 1)" in message
    assert any(name in message for name in ("dense_1", "dense_2", "dense_3", "the loss"))
    assert "infinite" in message or "NaN" in message
    assert "smaller lr" in answer.err
    mended = dnnc(
        "train", "net.dnn", *ONE, "--set", "optimizer.lr=1e-3", "--out", "mended", "--json"
    )
    assert mended.status == 0
    assert mended.json["train"]["loss"] > 0


def test_a_last_step_that_ruins_the_weights_is_no_success(dnnc: Dnnc, tmp_path: Path) -> None:
    """The loss of the only step is finite, what it makes of the weights is not."""
    x = np.ones((8, 4), np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=1e4 * x[:, :1])
    text = DIVERGING.replace("lr=1e30", "lr=1e38").replace("epochs 5", "epochs 1")
    (tmp_path / "net.dnn").write_text(text)
    answer = dnnc("train", "net.dnn", *ONE, "--json")
    assert (answer.status, answer.codes) == (5, ["E602"])
    assert "weight" in answer.json["diagnostics"][0]["message"]
    assert "step 1" in answer.json["diagnostics"][0]["message"]
    assert not (tmp_path / "runs" / "net" / "checkpoints" / "last").exists()


def test_the_first_bad_tensor_is_named(dnnc: Dnnc, tmp_path: Path) -> None:
    x = np.full((8, 4), 1e38, np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=np.ones((8, 1), np.float32))
    (tmp_path / "net.dnn").write_text(DIVERGING.replace("normal(std=1)", "constant(100)"))
    answer = dnnc("train", "net.dnn", *ONE)
    assert answer.status == 5
    assert "the output of `dense_1` is infinite in step 1 (epoch 1)" in answer.err


def test_no_such_run(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{")
    for command in (
        ("eval", "nowhere"),
        ("eval", "empty"),
        ("eval", "bad"),
        ("export", "nowhere"),
        ("export", "empty"),
        ("predict", "nowhere", "net.dnn"),
        ("predict", "net.dnn", "net.dnn"),
        ("train", "net.dnn", "--resume", "--out", "nowhere"),
    ):
        answer = dnnc(*command, "--json")
        assert (answer.status, answer.codes) == (3, ["E603"]), command
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_checkpoint(dnnc: Dnnc, run: Path, tmp_path: Path) -> None:
    weights = run / "checkpoints" / "last" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    (tmp_path / "net.dnn").write_text(SPEC)
    for command in (
        ("export", "run", "-o", "net.onnx"),
        ("eval", "run"),
        ("train", "net.dnn", "--resume", "--out", "run", "--epochs", 3),
    ):
        answer = dnnc(*command, "--json")
        assert (answer.status, answer.codes) == (3, ["E604"]), command
        assert "its checksum differs" in answer.err
    assert dnnc("export", "run", "-o", "net.onnx", "--checkpoint", "best").status == 0
    weights.unlink()
    assert dnnc("eval", "run", "--json").codes == ["E604"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "dense 16",
            "dense 17",
            "layer 2 of its model was `dense(16 bias=false)` and is now `dense(17 bias=false)`",
        ),
        ("dense 10 |", "dense 10 bias=false |", "is now `dense(10 bias=false)`"),
        ("relu", "tanh", "layer 4 of its model was `relu` and is now `tanh`"),
        ("| dropout 20%", "", "layer 5 of its model was `dropout"),
        ("image[8 8]", "picture[8 8]", "`image[8, 8]` and is now `picture[8, 8]`"),
        ("cross_entropy", "cross_entropy smoothing=0.1", "its loss was `cross_entropy` and is now"),
        ("split=10%", "split=30%", "the row `valid` of its data was `valid(split=0.1 "),
        ("train builtin digits", "train builtin digits; take 500", "`take` of its data was absent"),
        ("scale (1 / 16)", "scale 2", "transform 1 of its data was `scale(0.0625)` and is now"),
        ("scale (1 / 16)", "scale (1 / 16); standardize", "transform 2 of its data was absent"),
        ("seed      7", "seed 8", "its seed was 7 and is now 8"),
        ("batch     64", "batch 32", "its batch was 64 and is now 32"),
        ("batch     64", "batch 64; accumulate 2", "its accumulate was 1 and is now 2"),
        ("adam lr=1e-2", "sgd lr=0.1", "its optimizer was adam and is now sgd"),
        (
            "seed      7",
            "seed 7; schedule plateau",
            "its schedule was `constant` and is now `plateau`, which keeps other tensors",
        ),
    ],
)
def test_resuming_another_training(
    dnnc: Dnnc, run: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in SPEC
    (tmp_path / "net.dnn").write_text(SPEC.replace(old, new))
    answer = dnnc("train", "net.dnn", "--resume", "--out", "run", "--epochs", 3, "--json")
    assert (answer.status, answer.codes) == (3, ["E605"])
    assert words in answer.err
    assert (run / "spec.dnn").read_text() == SPEC


def test_what_may_change_when_a_run_is_resumed(dnnc: Dnnc, run: Path, tmp_path: Path) -> None:
    text = SPEC.replace("adam lr=1e-2", "adam lr=1e-3 beta_1=0.8; clip global_norm=1")
    text = text.replace("metric    accuracy", "metric top5; stop patience=9; schedule cosine")
    text = text.replace("  test  builtin digits\n", "").replace("# ", "")
    (tmp_path / "net.dnn").write_text(text)
    options = ("--resume", "--out", "run", "--epochs", 3, "--json")
    told = dnnc("train", "net.dnn", *options)
    assert told.status == 0
    assert list(told.json["valid"]) == ["loss", "top5"]
    # A text that this version cannot read leaves the tensors to compare.
    (run / "spec.dnn").write_text("of another version")
    assert dnnc("train", "net.dnn", *options).status == 0
    (run / "spec.dnn").write_text("of another version")
    (tmp_path / "net.dnn").write_text(text.replace("dense 16", "dense 17"))
    assert "was f32[16] and is now f32[17]" in dnnc("train", "net.dnn", *options).err


def test_an_onnx_file_that_the_runtime_refuses(dnnc: Dnnc, run: Path, tmp_path: Path) -> None:
    import onnx

    assert dnnc("export", "run", "-o", "net.onnx").status == 0
    model = onnx.load(tmp_path / "net.onnx")
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, tmp_path / "odd.onnx")
    answer = dnnc("predict", "odd.onnx", "net.onnx", "--json")
    assert (answer.status, answer.codes) == (4, ["E607"])
    assert "loading a graph failed: " in answer.err
    (tmp_path / "text.onnx").write_text("no model")
    assert dnnc("predict", "text.onnx", "net.onnx", "--json").codes == ["E603"]


def test_an_unexpected_exception_is_one_line(
    dnnc: Dnnc, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the roof fell in\nand more")

    monkeypatch.setattr(deepdsl.cli.commands.check, "check", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = dnnc("check", "net.dnn")
    assert answer.status == 4
    first, second = answer.err.splitlines()[:2]
    assert first == "error[E699]: dnnc failed unexpectedly: RuntimeError: the roof fell in"
    (report,) = tmp_path.glob("dnnc-report-*.txt")
    assert str(report) in second
    written = report.read_text()
    assert "the roof fell in\nand more" in written
    assert "Traceback" in written
    told = dnnc("check", "net.dnn", "--json")
    assert (told.status, told.codes) == (4, ["E699"])


def test_a_broken_pipe_and_ctrl_c_are_no_faults(
    dnnc: Dnnc, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deepdsl.cli.commands.check, "check", interrupt)
    answer = dnnc("check", "net.dnn")
    assert (answer.status, answer.out, answer.err) == (130, "", "interrupted\n")


def test_ctrl_c_while_a_command_is_loaded(dnnc: Dnnc, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(command: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deepdsl.cli._module", interrupted)
    answer = dnnc("check", "any.dnn")
    assert (answer.status, answer.out, answer.err) == (130, "", "interrupted\n")


def test_a_run_whose_manifest_is_of_another_kind(dnnc: Dnnc, run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    for broken in (
        [],
        {"state": []},
        {**manifest, "model": "other"},
        {**manifest, "final": "none"},
    ):
        (run / "manifest.json").write_text(json.dumps(broken))
        answer = dnnc("eval", "run", "--json")
        assert answer.status in (1, 3), broken
        assert answer.codes[0] != "E699", broken


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("trian",), "there is no command `trian`; did you mean `train`?"),
        (("train",), "FILE"),
        (("train", "net.dnn", "--epoch-count", 3), "--epoch-count"),
        (("train", "net.dnn", "--threads", "many"), "`many` is no whole number of at least 1"),
        (("eval", "run", "--split", "tset"), "tset"),
        (("lr-find", "net.dnn", "--from", 2, "--to", 1), "must be below"),
    ],
)
def test_wrong_usage_is_one_json_object_too(
    dnnc: Dnnc, arguments: tuple[object, ...], said: str
) -> None:
    human = dnnc(*arguments)
    assert (human.status, human.out) == (2, "")
    assert human.err.startswith("dnnc: ")
    assert said in human.err
    answer = dnnc(*arguments, "--json")
    assert (answer.status, answer.err) == (2, human.err)
    (told,) = answer.json["diagnostics"]
    assert (told["code"], told["severity"]) == ("usage", "error")
    assert said in told["message"]
