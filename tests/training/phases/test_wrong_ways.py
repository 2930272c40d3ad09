"""The ways in which reuse goes wrong: each has a message of its own, with a way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commands import Dnnc
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

OLD = """
data digits { train builtin digits; take 100; scale (1 / 16) }
block res(n) { a = in | dense n | relu; in + a | relu }
model old { input x[8 8]; part body { flatten | dense 8 | relu | res 8 }; dense 10 | softmax }
train old on digits { loss cross_entropy; seed 1; epochs 1 }
"""
DATA = "data few { train builtin digits; take 60; scale (1 / 16) }\n"
MODEL = "model new {{ input x[8 8]; part body {{ {body} }}; part head {{ dense 10 | softmax }} }}\n"
TRAIN = "train new on few {{ loss cross_entropy; seed 1; epochs 1; {rows} }}\n"
PLAIN = "flatten | dense 8 | relu"


def text(body: str = PLAIN, rows: str = "", head: str = "") -> str:
    return head + DATA + MODEL.format(body=body) + TRAIN.format(rows=rows)


def used(weights: str, body: str = "reuse old.old.body") -> str:
    return text(body, head=f'use "old.dnn" as old weights="{weights}"\n')


def graph(folder: Path, operator: str = "Relu", **tensor: Any) -> None:
    weights = numpy_helper.from_array(np.ones((64, 4), np.float32), "w")
    for key, value in tensor.items():
        setattr(weights, key, value)
    made = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["hidden"]),
            helper.make_node(operator, ["hidden"], ["out"], name="last"),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 4])],
        [weights],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "net.onnx").write_bytes(model.SerializeToString())


def outside(folder: Path) -> None:
    """A tensor whose numbers are in a file outside of the folder."""
    graph(folder)
    model = onnx.load(folder / "net.onnx")
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere.bin")
    (folder / "net.onnx").write_bytes(model.SerializeToString())


def weights(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        tensors: dict[str, Any] = {
            "dense_1.weight": np.ones((8, 64), np.float32),
            "dense_1.bias": np.zeros(8, np.float32),
        }
        change(tensors)
        save_file(tensors, folder / "w.safetensors")

    return write


def damaged(folder: Path) -> None:
    (folder / "w.safetensors").write_bytes(b"\x10\x27\0\0\0\0\0\0{" + b"x" * 40)


def pickled(folder: Path) -> None:
    (folder / "w.pt").write_bytes(b"\x80\x04\x95" + bytes(40))


def cut_short(folder: Path) -> None:
    graph(folder)
    whole = (folder / "net.onnx").read_bytes()
    (folder / "net.onnx").write_bytes(whole[: len(whole) // 2])


ONNX = 'use "net.onnx" as net\n'
OTHER = "model other { input x[8 8]; part body { reuse new.body }; dense 10 | softmax }\ntrain new"
BODY = "reuse old.old.body until=relu_1"
SQUARE = "flatten | dense 64 | relu"
# What is wrong: the text, the files beside it, the code, and words of the way out.
WAYS: dict[str, tuple[str, Callable[[Path], None] | None, str, str]] = {
    "a pattern that matches nothing": (text(rows="freeze bdy"), None, "E506", "`body`"),
    "thawing what is free": (text(rows="phase a { unfreeze body }"), None, "E507", "leave the row"),
    "a weight that is half frozen": (
        text(f"{PLAIN} | dense 64 tie=dense_1 | relu", "freeze body.dense_1"), None,
        "E508", "freeze `body.dense_2` too",
    ),
    "nothing left to train": (text(rows="freeze body head"), None, "E509", "unfreeze a layer"),
    "training through a foreign operator": (
        text("reuse net", head=ONNX), lambda f: graph(f, "Hardmax"), "E510", "freeze everything",
    ),
    "a row that is no phase's": (
        text(rows="phase a { batch 8 }"), None, "E511", "before the phases",
    ),
    "a phase twice": (
        text(rows="phase a { epochs 1 }; phase a { epochs 2 }"), None, "E108", "rename one of them",
    ),
    "a piece that is not there": (used("runs/old", "reuse old.old.bdy"), None, "E500", "`body`"),
    "a cut through a residual connection": (
        used("runs/old", "flatten | dense 8; reuse old.old.body from=res_1.add_1"), None,
        "E501", "cut where nothing flows beside",
    ),
    "a file without weights": (
        text("reuse old.old.body", head='use "old.dnn" as old\n'), None, "E502", 'weights="runs/',
    ),
    "models that stand on each other": (
        text("reuse other.body").replace("train new", OTHER), None,
        "E503", "must be trained first",
    ),
    "an input of another size": (
        used("runs/old").replace("input x[8 8]", "input x[8 4]"), None, "E504", "8 × 8",
    ),
    "more layers than there are": (
        used("runs/old", "reuse old.old.body layers=7"), None, "E505", "dense_1",
    ),
    "a used file that uses its user": (
        'use "back.dnn" as back\n' + text(),
        lambda f: (f / "back.dnn").write_text('use "new.dnn" as new\n'), "E134", "file of its own",
    ),
    "no such run": (used("runs/older"), None, "E522", "old"),
    "a folder that is no run": (used("runs"), None, "E52", "old"),
    "a pickle": (used("w.pt", BODY), pickled, "E523", "save_file"),
    "a damaged file of weights": (used("w.safetensors", BODY), damaged, "E524", "fetch it again"),
    "a tensor that is missing": (
        used("w.safetensors", BODY), weights(lambda t: t.pop("dense_1.bias")),
        "E527", "`match=order`",
    ),
    "a tensor of another shape": (
        used("w.safetensors", BODY),
        weights(lambda t: t.update({"dense_1.weight": np.ones((8, 60), np.float32)})),
        "E528", "",
    ),
    "a kernel that lies either way": (
        text("reuse sq.sq.body", head='use "sq.dnn" as sq weights="w.npz"\n'),
        lambda f: (
            (f / "sq.dnn").write_text(f"model sq {{ input x[8 8]; part body {{ {SQUARE} }} }}"),
            np.savez(f / "w.npz", **{
                "dense_1.weight": np.random.default_rng(0).standard_normal((64, 64)),
                "dense_1.bias": np.zeros(64),
            }),
        ),
        "E529", "layout=",
    ),
    "weights that are not finite": (
        used("w.safetensors", BODY),
        weights(lambda t: t.update({"dense_1.bias": np.full(8, np.inf, np.float32)})),
        "E526", "",
    ),
    "a graph that is cut short": (text("reuse net", head=ONNX), cut_short, "E54", ""),
    "a cut at a tensor that is not there": (
        text('reuse net until="hiden"', head=ONNX), graph, "E54", "`hidden`",
    ),
    "numbers outside of the folder": (text("reuse net", head=ONNX), outside, "E54", ""),
    "a tie to nothing": (
        text("flatten | dense 8 | relu | dense 64 tie=dens_1"), None, "E590", "`dense_1`",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run to stand on."""
    import os

    from deepdsl.cli import main

    folder = tmp_path_factory.mktemp("ways")
    (folder / "old.dnn").write_text(OLD)
    here = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "old.dnn", "-q"]) == 0
    finally:
        os.chdir(here)
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_get_it_wrong(way: str, trained: Path, dnnc: Dnnc, tmp_path: Path) -> None:
    """One message, of this code, that says how to mend it; nothing is trained."""
    import shutil

    source, prepare, code, words = WAYS[way]
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    if prepare is not None:
        prepare(tmp_path)
    (tmp_path / "new.dnn").write_text(source)
    answer = dnnc("train", "new.dnn", "--json")
    assert answer.status != 0
    told = json.loads(answer.out)["diagnostics"]
    errors = [d for d in told if d["severity"] == "error"]
    assert [d["code"].startswith(code) for d in errors] == [True], errors
    assert errors[0]["help"]
    assert words in errors[0]["help"]
    assert not (tmp_path / "runs" / "new").exists()


def test_each_way_has_a_message_of_its_own() -> None:
    codes = [code for _, _, code, _ in WAYS.values() if len(code) == 4]
    assert len(codes) == len(set(codes))
    assert len(WAYS) >= 20
