"""`use "net.onnx" as net`: what is said of such files, and runs that outlive them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_graphs import graph, node, run, weight

from deepdsl.cli import main
from deepdsl.compiler.front_end import check, load_program, read_source
from deepdsl.diagnostics import Diagnostic
from deepdsl.language.used_files import kept_together
from deepdsl.transfer.onnx_import import OnnxFile

TEXT = """use "nets/net.onnx" as net
data digits { train builtin digits; scale (1 / 16); take 200; valid split=20% }
model m {
  input image[8 8]
  part body { reshape [1 8 8] | reuse net until="features" }
  part head { dense 10 | softmax }
}
train m on digits { loss cross_entropy; metric accuracy; epochs 1; batch 32; seed 1 }
"""


def network(seed: int = 0) -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], name="/conv"),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], name="/norm"),
        node("Relu", ["n"], ["r"], name="/relu"),
        node("Flatten", ["r"], ["features"], name="/flat"),
        node("Gemm", ["features", "k"], ["y"], name="/head"),
    ]
    weights = {
        "w": weight(4, 1, 3, 3, seed=seed),
        **{n: np.abs(weight(4, seed=seed)) + 0.1 for n in "gbmv"},
        "k": weight(256, 3),
    }
    return graph(nodes, (1, 8, 8), weights)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    onnx.save(network(), tmp_path / "nets" / "net.onnx")
    (tmp_path / "main.dnn").write_text(TEXT)
    return tmp_path


def said(text: str = "") -> list[Diagnostic]:
    if text:
        Path("main.dnn").write_text(text)
    return list(check(read_source(Path("main.dnn")))[1])


# What is said -------------------------------------------------------------------------------------


def test_a_file_that_is_used(folder: Path) -> None:
    assert said() == []
    program, _ = load_program(read_source(Path("main.dnn")))
    (library,) = program.uses.libraries.values()
    assert isinstance(library, OnnxFile)
    assert library.shown == str(Path("nets/net.onnx"))
    assert [c.path for c in program.models["m"].calls][:4] == [
        "body.reshape_1", "body.conv_1", "body.batch_norm_1", "body.relu_1",
    ]  # fmt: skip


def test_a_file_that_cannot_be_used(folder: Path) -> None:
    (found, *_) = said(TEXT.replace("net.onnx", "nett.onnx"))
    assert (found.code, found.help) == ("E133", "did you mean `net.onnx`?")
    (folder / "nets" / "net.onnx").write_bytes(b"<html>not found</html>")
    (found, *more) = said(TEXT)
    assert found.code == "E540"
    assert found.span is not None
    assert found.span.text == '"nets/net.onnx"'
    assert "the download went wrong" in found.help
    assert more == []


def test_a_cut_that_cannot_be_made(folder: Path) -> None:
    (found, *more) = said(TEXT.replace("features", "feature"))
    assert (found.code, found.help) == ("E544", "did you mean `features`?")
    assert found.span is not None
    assert found.span.text == '"feature"'
    assert more == []
    (found, *_) = said(TEXT.replace("reshape [1 8 8] | ", ""))
    assert found.code == "E547"
    assert "`reshape [1 8 8] | reuse …`" in found.help


def test_each_file_is_opened_once(folder: Path) -> None:
    said(
        'use "nets/net.onnx" as net\nuse "nets/../nets/net.onnx" as other\n'
        + TEXT.partition("\n")[2]
    )
    program, _ = load_program(read_source(Path("main.dnn")))
    one, other = program.uses.libraries.values()
    assert one is other


def test_two_files_of_one_name_are_kept(folder: Path) -> None:
    (folder / "others").mkdir()
    onnx.save(network(1), folder / "others" / "net.onnx")
    text = 'use "nets/net.onnx" as net\nuse "others/net.onnx" as other\n' + TEXT.partition("\n")[2]
    model = TEXT[TEXT.index("model m") : TEXT.index("train m")]
    text += model.replace("model m", "model second").replace("reuse net", "reuse other")
    assert not [d for d in said(text) if d.code.startswith("E")]
    program, _ = check(read_source(Path("main.dnn")))
    assert program is not None
    assert program.file is not None
    kept = kept_together(program.file, program.uses)
    assert sorted(kept) == ["spec.dnn", "used/net-2.onnx", "used/net.onnx"]
    assert kept["used/net.onnx"] == network().SerializeToString()
    assert kept["used/net-2.onnx"] == network(1).SerializeToString()
    text = str(kept["spec.dnn"])
    assert text.startswith('use "used/net.onnx" as net\nuse "used/net-2.onnx" as other\n')


# Runs ---------------------------------------------------------------------------------------------


def dnnc(*args: str, capsys: Any) -> Any:
    status = main([*args, "--json"])
    told = capsys.readouterr()
    assert status == 0, told.out + told.err
    return json.loads(told.out)


@pytest.mark.parametrize("outside", [False, True])
def test_a_run_outlives_its_file(folder: Path, capsys: Any, outside: bool) -> None:
    """It is evaluated, exported and resumed without it; weights of external files go along."""
    place = folder / "nets" / "net.onnx"
    if outside:
        onnx.save(
            network(), place, save_as_external_data=True, location="net.data", size_threshold=16
        )
        assert (folder / "nets" / "net.data").exists()
    dnnc("train", "main.dnn", "-o", "runs/first", capsys=capsys)
    kept = folder / "runs" / "first" / "used" / "net.onnx"
    assert sorted(p.name for p in kept.parent.iterdir()) == ["net.onnx"]
    x = weight(2, 1, 8, 8)
    np.testing.assert_array_equal(run(onnx.load(kept), x), run(network(), x))
    for file in (folder / "nets").iterdir():
        file.unlink()
    assert "loss" in json.dumps(dnnc("eval", "runs/first", "--split", "valid", capsys=capsys))
    dnnc("export", "runs/first", "-o", "out.onnx", capsys=capsys)
    assert run(onnx.load("out.onnx"), weight(3, 8, 8)).shape == (3, 10)
    spec = "runs/first/spec.dnn"
    dnnc("train", spec, "--resume", "-o", "runs/first", "--epochs", "2", capsys=capsys)
    assert kept.exists()
    log = (folder / "runs" / "first" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2]


def test_the_first_state_is_that_of_the_file(folder: Path, capsys: Any) -> None:
    """With a rate of nothing, the weights are what they were."""
    frozen = TEXT.replace("seed 1 }", "seed 1; freeze body }")
    (folder / "main.dnn").write_text(frozen)
    dnnc("train", "main.dnn", "-o", "runs/frozen", capsys=capsys)
    from safetensors.numpy import load_file

    found = load_file(folder / "runs" / "frozen" / "checkpoints" / "last" / "weights.safetensors")
    np.testing.assert_array_equal(found["body.conv_1.weight"], weight(4, 1, 3, 3))
    np.testing.assert_array_equal(found["body.batch_norm_1.running_mean"], np.abs(weight(4)) + 0.1)
