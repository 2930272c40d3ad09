"""`dnnc surgery`: where files can be cut, and the starter files that it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import Dnnc
from small_onnx import convolutions, letters, model, perceptron, two_inputs, words

from deepdsl.transfer.cut_points import CutPointInfo, recommended, stages
from deepdsl.transfer.template import identifier

STARTER = """\
# A new head on the body of net.onnx: first the head alone, then all of it.
# Name your own rows in `data`, put your number of classes into the head; then `dnnc train`.
use "net.onnx" as net

data rows {
  train csv "rows.csv" target=label
  valid split=20% stratify=true
}

model classifier {
  input x[12]
  part body { reuse net until="features" }  # gives 8
  part head { dense 10 | softmax }  # one output for each of your classes
}

train classifier on rows {
  loss   cross_entropy
  metric accuracy
  batch  32
  seed   7

  phase warm_up {
    freeze    body                   # weights, batch norms' running values, dropout off
    optimizer adam lr=1e-3
    epochs    5
  }
  phase fine_tune {
    unfreeze  body
    lr_mult   body=0.1
    optimizer adam lr=1e-3
    epochs    15
    stop      patience=4 on=valid.loss restore=best
  }
}

export classifier { onnx "classifier.onnx" }
"""


def save(file: onnx.ModelProto, name: str = "net.onnx") -> None:
    onnx.save(file, name)


def test_the_places_and_the_starter(dnnc: Dnnc, tmp_path: Path) -> None:
    save(perceptron())
    answer = dnnc("surgery", "net.onnx")
    assert (answer.status, answer.err) == (0, "")
    table = """\
input   x  12  float32
output  probabilities  3  float32

   tensor         one row  depth  parameters before  made by
   h              8            1                 96  MatMul
   hb             8            2                104  Add
→  features       8            3                104  Relu
   z              3            4                128  MatMul
   logits         3            5                131  Add
   probabilities  3            6                131  Softmax
→ before the classifier: until="features"

"""
    assert answer.out == table + STARTER
    written = dnnc("surgery", "net.onnx", "-o", "starter.dnn")
    assert (tmp_path / "starter.dnn").read_text(encoding="utf-8") == STARTER
    assert written.out == f"{table}starter.dnn: now `dnnc check starter.dnn`\n"
    # It is in canonical layout.
    assert dnnc("fmt", "--check", "starter.dnn").status == 0
    told = dnnc("surgery", "net.onnx", "--json").json
    assert told["starter"] == STARTER
    assert (told["recommended"], told["params"]) == ("features", 131)
    assert told["inputs"] == [{"name": "x", "shape": [12], "dtype": "float32"}]
    assert told["places"][2] == {
        "tensor": "features",
        "shape": [8],
        "depth": 3,
        "params": 104,
        "operator": "Relu",
        "recommended": True,
    }
    assert sum(p["recommended"] for p in told["places"]) == 1


def test_a_starter_is_not_overwritten(dnnc: Dnnc, tmp_path: Path) -> None:
    save(perceptron())
    (tmp_path / "starter.dnn").write_text("mine")
    answer = dnnc("surgery", "net.onnx", "-o", "starter.dnn", "--json")
    assert (answer.status, answer.codes) == (3, ["E566"])
    assert (tmp_path / "starter.dnn").read_text() == "mine"
    assert dnnc("surgery", "net.onnx", "-o", "starter.dnn", "--force").status == 0
    assert (tmp_path / "starter.dnn").read_text(encoding="utf-8") == STARTER


def test_the_starter_finds_the_file_from_its_folder(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "work").mkdir()
    save(perceptron(), "nets/net.onnx")
    assert dnnc("surgery", "nets/net.onnx", "-o", "work/a.dnn").status == 0
    assert 'use "../nets/net.onnx" as net\n' in (tmp_path / "work" / "a.dnn").read_text()


def test_free_sizes(dnnc: Dnnc) -> None:
    save(convolutions())
    answer = dnnc("surgery", "net.onnx")
    assert answer.status == 2
    # The places are shown all the same.
    assert '→ before the classifier: until="features"' in answer.out
    assert "   relu_1         4 × ? × ?" in answer.out
    assert answer.err == (
        "error[E570]: net.onnx: the sizes of its input are free: `image` 3 × ? × ?\n"
        "help: say which ones to work with: --size 3x224x224\n"
        "\n"
        "1 error\n"
    )
    assert dnnc("surgery", "net.onnx", "--json").codes == ["E570"]
    sized = dnnc("surgery", "net.onnx", "--size", "3x32x64")
    assert sized.status == 0
    assert "   relu_1         4 × 16 × 32" in sized.out
    assert '  train images "rows" size=32x64  # one folder a class; values 0 to 1\n' in sized.out
    assert "  input image[3 32 64]\n" in sized.out
    for size, told in (
        ("3x32", "rows of 3x32 do not fit its input `image`, 3 × ? × ?"),
        ("1x32x32", "do not fit"),
        ("3x0x32", "cannot be the sizes"),
        ("3x99999x32", "cannot be the sizes"),
        ("3×32×32", "are no sizes"),
        ("big", "are no sizes"),
    ):
        wrong = dnnc("surgery", "net.onnx", "--size", size, "--json")
        assert (wrong.status, wrong.codes) == (2, ["E570"]), size
        assert told in wrong.err
        assert "--size 3x" in wrong.err or "at most" in wrong.err


def test_several_inputs(dnnc: Dnnc) -> None:
    save(two_inputs())
    answer = dnnc("surgery", "net.onnx")
    assert answer.status == 2
    assert "`a` 4, `b` 4" in answer.err
    assert 'from="TENSOR"' in answer.err
    assert dnnc("surgery", "net.onnx", "--size", "4").status == 2


def test_long_lists_are_shortened(dnnc: Dnnc) -> None:
    save(convolutions(256, 256, stages=8))
    short = dnnc("surgery", "net.onnx").out
    # Of places of one shape the last is shown: the relu behind the convolution.
    assert "10 of 20 places; -v shows all" in short
    assert "conv_3 " not in short
    assert "   relu_3         4 × 32 × 32" in short
    every = dnnc("surgery", "net.onnx", "-v").out
    assert "conv_3 " in every
    assert "places; -v" not in every


def places(*rows: tuple[str, tuple[int, ...] | None, int]) -> list[CutPointInfo]:
    return [
        CutPointInfo(f"t{n}", shape, n, params, op) for n, (op, shape, params) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        # The bias of the last layer is an operator of its own, behind it.
        ([("Relu", (9,), 10), ("MatMul", (2,), 28), ("Add", (2,), 30)], "t0"),
        # A product without weights (attention) is no classifier.
        ([("Relu", (9,), 10), ("Gemm", (2,), 30), ("MatMul", (2,), 30)], "t0"),
        # A flattened pool is as good as the pool, whose shape is known.
        ([("GlobalAveragePool", (9, 1, 1), 10), ("Reshape", None, 10), ("Gemm", (2,), 30)], "t0"),
        ([("Relu", None, 10), ("Reshape", None, 10), ("Gemm", (2,), 30)], "t1"),
        # Nothing that ends it: the last place with weights behind it.
        ([("Relu", (9,), 10), ("Mul", (9,), 12), ("PRelu", (9,), 14)], "t1"),
        ([("Relu", (9,), 0), ("Softmax", (9,), 0)], None),
        ([("Gemm", (9,), 9)], None),
        ([], None),
    ],
)
def test_which_place_is_recommended(
    rows: list[tuple[str, tuple[int, ...] | None, int]], wanted: str | None
) -> None:
    found = recommended(places(*rows))
    assert (found and found.tensor) == wanted


def test_stages_keep_the_recommended_one() -> None:
    many = places(*[("Relu", (n,), n) for n in range(40)])
    kept = stages(many, many[3])
    assert kept[0] is many[3]
    assert kept[1:] == tuple(many[-16:])


def test_what_is_no_onnx_file(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x80\x04K\x01.")
    answer = dnnc("surgery", "net.onnx", "--json")
    assert (answer.status, answer.codes) == (3, ["E540"])
    assert dnnc("surgery", "nowhere.onnx").status == 3
    assert dnnc("surgery").status == 2


@pytest.mark.parametrize(
    ("file", "size", "line"),
    [
        (perceptron, None, "  input x[12]\n"),
        (convolutions, "3x20x30", "  input image[3 20 30]\n"),
        (lambda: convolutions(64, 64, 3), None, "  input image[3 64 64]\n"),
        (words, None, "  input ids[6] dtype=int64\n"),
        (letters, None, "  input bytes[9]\n"),
    ],
    ids=["perceptron", "free sizes", "convolutions", "indices", "bytes"],
)
def test_a_starter_has_no_mistakes(
    dnnc: Dnnc, file: Callable[[], onnx.ModelProto], size: str | None, line: str
) -> None:
    save(file())
    sizes = ["--size", size] if size else []
    assert dnnc("surgery", "net.onnx", *sizes, "-o", "starter.dnn").status == 0
    assert line in Path("starter.dnn").read_text(encoding="utf-8")
    checked = dnnc("check", "--strict", "starter.dnn")
    assert (checked.status, checked.err) == (0, "")
    assert dnnc("fmt", "--check", "starter.dnn").status == 0
    planned = dnnc("plan", "starter.dnn", "--json").json["phases"]
    assert [p["name"] for p in planned] == ["warm_up", "fine_tune"]
    frozen = [{t["path"]: t["frozen"] for t in p["tensors"]} for p in planned]
    body = [path for path in frozen[0] if path.startswith("body.")]
    assert all(frozen[0][path] for path in body)
    assert not any(frozen[0][path] for path in frozen[0] if path.startswith("head."))


def test_a_body_without_weights_has_nothing_to_freeze(dnnc: Dnnc) -> None:
    nodes = [
        onnx.helper.make_node("Tanh", ["x"], ["y"]),
        onnx.helper.make_node("Exp", ["y"], ["z"]),
    ]
    save(model(nodes, {"x": ["N", 4]}, {"z": ["N", 4]}, {}))
    assert dnnc("surgery", "net.onnx", "-o", "starter.dnn").status == 0
    assert "phase" not in Path("starter.dnn").read_text(encoding="utf-8")
    assert dnnc("check", "--strict", "starter.dnn").err == ""
    assert dnnc("fmt", "--check", "starter.dnn").status == 0


def test_a_starter_trains(dnnc: Dnnc, tmp_path: Path) -> None:
    """The body stays as it was in the first phase, and moves in the second one."""
    save(perceptron())
    assert dnnc("surgery", "net.onnx", "-o", "starter.dnn").status == 0
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 12))
    lines = [",".join([*(f"x{n}" for n in range(12)), "label"])]
    lines += [",".join([*map(str, row), "ab"[int(row[0] > 0)]]) for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    text = (tmp_path / "starter.dnn").read_text(encoding="utf-8").replace("dense 10", "dense 2")
    (tmp_path / "starter.dnn").write_text(text, encoding="utf-8")
    answer = dnnc("train", "starter.dnn", "--out", "run", "--threads", 1, "--json")
    assert answer.status == 0, answer.err
    assert answer.json["valid"]["accuracy"] > 0.7
    assert (
        dnnc("zoo", "publish", "run", "--to", "zoo", "--name", "ab", "--licence", "MIT").status == 0
    )
    assert dnnc("zoo", "verify", "--index", "zoo").status == 0


def test_our_own_exports(dnnc: Dnnc, run_folder: Path, tmp_path: Path) -> None:
    assert dnnc("export", run_folder, "-o", "ours.onnx").status == 0
    told = dnnc("surgery", "ours.onnx", "--json").json
    assert [p["shape"] for p in told["places"] if p["recommended"]] == [[16]]
    assert told["inputs"] == [{"name": "image", "shape": [8, 8], "dtype": "float32"}]


def test_names_of_files_become_names_of_the_language() -> None:
    for name, wanted in (
        ("resnet18", "resnet18"),
        ("ResNet-18 v2", "resnet_18_v2"),
        ("input.1", "input_1"),
        ("model", "net_model"),
        ("dense", "net_dense"),
        ("2net", "net_2net"),
        ("网络", "net"),
    ):
        assert identifier(name) == wanted, name
