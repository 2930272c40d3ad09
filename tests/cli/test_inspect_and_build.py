"""`dnnc inspect`, `build`, `new`, `bench`, `doctor`."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from commands import SPEC, Dnnc


def test_the_numbers_of_inspect(dnnc: Dnnc, spec: Path) -> None:
    told = dnnc("inspect", "--json", "net.dnn").json
    assert [(r["path"], r["kind"], r["output"], r["params"]) for r in told["layers"]] == [
        ("body.flatten_1", "flatten", [64], 0),
        ("body.dense_1", "dense", [16], 64 * 16),
        ("body.batch_norm_1", "batch_norm", [16], 4 * 16),
        ("body.relu_1", "relu", [16], 0),
        ("body.dropout_1", "dropout", [16], 0),
        ("head.dense_1", "dense", [10], 16 * 10 + 10),
        ("head.softmax_1", "softmax", [10], 0),
    ]
    trainable = 64 * 16 + 2 * 16 + 170
    assert told["params"] == {
        "total": trainable + 32,
        "trainable": trainable,
        "non_trainable": 32,
    }
    # Adam keeps two numbers beside each weight, and the state is kept twice.
    assert told["memory"]["training_state_bytes"] == 2 * 4 * (trainable + 32 + 2 * trainable)
    assert told["memory"]["parameters_bytes"] == 4 * (trainable + 32)
    assert told["flops_per_row"] >= 2 * (64 * 16 + 16 * 10)
    human = dnnc("inspect", "net.dnn").out
    assert "body.dense_1" in human
    assert f"{trainable + 32:,} ({trainable:,} trainable, 32 not)" in human
    assert "adam lr=0.01" in human


TWO = """model a { input x[4]; dense 3 | softmax }
model b { input x[4]; dense 5 | tanh | dense 3 | softmax }
"""


def test_which_model(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "two.dnn").write_text(TWO)
    both = dnnc("inspect", "two.dnn", "--json").json
    assert [m["model"] for m in both["models"]] == ["a", "b"]
    one = dnnc("inspect", "two.dnn", "--model", "b", "--json").json
    assert (one["model"], one["params"]["total"]) == ("b", 4 * 5 + 5 + 5 * 3 + 3)
    wrong = dnnc("inspect", "two.dnn", "--model", "c", "--json")
    assert (wrong.status, wrong.codes) == (1, ["E309"])
    assert "choose with --model: a, b" in wrong.err
    (tmp_path / "none.dnn").write_text("let a = 1\n")
    none = dnnc("inspect", "none.dnn")
    assert none.status == 1
    assert "the file has no models" in none.err


def test_a_shared_layer_counts_once(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "pairs.dnn").write_text(
        "model pairs {\n  input a[4]\n  input b[4]\n  part tower { dense 8 | tanh }\n"
        "  x = a | tower\n  y = b | tower\n  concat x y | dense 1 | sigmoid\n}\n"
    )
    told = dnnc("inspect", "pairs.dnn", "--json").json
    assert told["params"]["total"] == 4 * 8 + 8 + 16 + 1
    assert [r["shared"] for r in told["layers"] if r["path"] == "tower.dense_1"] == [False, True]


def test_build_writes_files_that_run(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    answer = dnnc("build", "net.dnn", "-o", "out", "--json")
    assert answer.status == 0
    files = [
        "eval.onnx",
        "forward.onnx",
        "infer.onnx",
        "init.onnx",
        "manifest.json",
        "step.onnx",
    ]
    assert answer.json == {"directory": "out/net", "files": files}
    place = tmp_path / "out" / "net"
    assert sorted(p.name for p in place.iterdir()) == files
    for name in files:
        if name.endswith(".onnx"):
            onnx.checker.check_model(onnx.load(place / name), full_check=True)
    manifest = json.loads((place / "manifest.json").read_text())
    assert (manifest["model"], manifest["seed"], manifest["batch"]) == ("net", 7, 64)
    assert manifest["classes"] == [str(d) for d in range(10)]
    # The step, driven by the manifest alone.
    init = ort.InferenceSession(place / "init.onnx", providers=["CPUExecutionProvider"])
    state = dict(zip([o.name for o in init.get_outputs()], init.run(None, {}), strict=True))
    assert set(state) == {t["name"] for t in manifest["state"]}
    step = ort.InferenceSession(place / "step.onnx", providers=["CPUExecutionProvider"])
    batch = {"image": np.zeros((4, 8, 8), np.float32), "target": np.zeros(4, np.int64)}
    fed = {**state, **batch}
    wanted = {i.name for i in step.get_inputs()}
    assert wanted <= set(fed)
    outputs = [o.name for o in step.get_outputs()]
    made = dict(zip(outputs, step.run(None, {n: fed[n] for n in wanted}), strict=True))
    assert made["all_finite"]
    assert made["loss"] > 0
    assert {t["next"] for t in manifest["state"] if t["next"]} <= set(made)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("ast", ["File", "Model", "softmax"]),
        ("ir", ["body.dense_1.weight", "f32[N,10]"]),
        (
            "train",
            [
                "input %target: i64[N]",
                "update %body.dense_1.weight = ",
                "param %body.dense_1.weight",
            ],
        ),
        ("onnx-text", ["net_step", "body.dense_1.weight", "ir_version"]),
    ],
)
def test_build_shows_each_stage(
    dnnc: Dnnc, spec: Path, tmp_path: Path, stage: str, words: list[str]
) -> None:
    answer = dnnc("build", "net.dnn", "--emit", stage)
    assert answer.status == 0
    for word in words:
        assert word in answer.out, word
    told = dnnc("build", "net.dnn", "--emit", stage, "--json").json
    assert {name: text.rstrip("\n") for name, text in told.items()} == {
        stage: answer.out.rstrip("\n")
    }
    assert [p.name for p in tmp_path.iterdir()] == ["net.dnn"]


def test_new_writes_a_file_that_is_right(dnnc: Dnnc, tmp_path: Path) -> None:
    assert dnnc("new", "First-Try", "--json").json == {"file": "First-Try.dnn"}
    assert dnnc("check", "--strict", "First-Try.dnn").status == 0
    assert dnnc("fmt", "--check", "First-Try.dnn").status == 0
    assert dnnc("inspect", "First-Try.dnn", "--json").json["model"] == "first_try"
    before = (tmp_path / "First-Try.dnn").read_text()
    again = dnnc("new", "First-Try")
    assert again.status == 3
    assert "exists already" in again.err
    assert (tmp_path / "First-Try.dnn").read_text() == before
    for name in ("2nd", "größe", "model", "dense", "softmax", "in", "data", "train", "..."):
        assert dnnc("new", name).status == 0, name
        file = name if name.endswith(".dnn") else f"{name}.dnn"
        assert dnnc("check", "--strict", file).status == 0, name
    nowhere = dnnc("new", "nowhere/net", "--json")
    assert (nowhere.status, nowhere.codes) == (3, ["E609"])
    assert "nowhere/net.dnn: no such file or directory" in nowhere.err


def test_bench(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    answer = dnnc("bench", "net.dnn", "--steps", 5, "--threads", 1, "--json")
    told = answer.json
    assert answer.status == 0
    assert 0 < told["step_us"]["min"] <= told["step_us"]["median"]
    assert told["rows_per_s"] > 0
    assert 0 < told["compile_s"] < told["first_step_s"]
    assert told["peak_rss_mb"] > 10
    assert (told["batch"], told["steps"], told["device"]) == (64, 5, "cpu")
    assert "rows/s" in dnnc("bench", "net.dnn", "--steps", 2, "--set", "batch=16").out
    assert [p.name for p in tmp_path.iterdir()] == ["net.dnn"]


def test_doctor(dnnc: Dnnc) -> None:
    answer = dnnc("doctor", "--json")
    told = answer.json
    assert answer.status == (4 if told["problems"] else 0)
    assert told["devices"]["cpu"] == {"works": True, "reason": ""}
    assert set(told["packages"]) >= {"numpy", "onnx", "lark"}
    human = dnnc("doctor").out
    assert "cpu" in human
    assert "works" in human


def test_a_file_that_is_wrong_fails_every_command(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "bad.dnn").write_text(SPEC.replace("softmax", "sofmax"))
    for command in ("inspect", "build", "train", "bench"):
        answer = dnnc(command, "bad.dnn", "--json")
        assert answer.status == 1, command
        assert answer.codes == ["E101"]
        assert "did you mean `softmax`?" in answer.err
    assert [p.name for p in tmp_path.iterdir()] == ["bad.dnn"]


def test_build_takes_the_settings_of_train(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    answer = dnnc("build", "net.dnn", "--seed", 77, "--set", "batch=16", "-o", "made", "--json")
    assert answer.status == 0
    manifest = json.loads((tmp_path / answer.json["directory"] / "manifest.json").read_text())
    assert (manifest["seed"], manifest["batch"]) == (77, 16)


def test_explain_knows_options(dnnc: Dnnc) -> None:
    told = dnnc("explain", "lr").out
    assert "`lr` of the optimizer `sgd`" in told
    assert "default 0.01" in told


DECAY = """
data d { train builtin digits }
model m { input x[8 8]; flatten | dense 8 | batch_norm | prelu | dense 10 | softmax }
train m on d { loss cross_entropy; optimizer adamw lr=1e-3; schedule linear warmup=2; %s seed 1 }
"""


def test_inspect_tells_how_it_is_trained(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "m.dnn").write_text(DECAY % "accumulate 4; clip norm=2;")
    told = dnnc("inspect", "m.dnn", "--json").json
    training = told["training"]
    assert training["optimizer"] == {
        "name": "adamw",
        "options": {
            "lr": 1e-3,
            "beta_1": 0.9,
            "beta_2": 0.999,
            "epsilon": 1e-7,
            "weight_decay": 4e-3,
        },
    }
    assert training["schedule"]["name"] == "linear"
    assert training["schedule"]["options"]["warmup"] == 2
    assert (training["accumulate"], training["clip"]["norm"]) == (4, 2)
    assert training["weight_decay"] == {
        "value": 4e-3,
        "on": ["dense_1.weight", "dense_2.weight"],
        "not_on": [
            "dense_1.bias",
            "batch_norm_1.gamma",
            "batch_norm_1.beta",
            "prelu_1.slope",
            "dense_2.bias",
        ],
    }
    # Two slots of adamw, and the gradients that are added up.
    trainable, total = told["params"]["trainable"], told["params"]["total"]
    assert told["memory"]["training_state_bytes"] == 2 * 4 * (total + 3 * trainable)
    human = dnnc("inspect", "m.dnn").out
    assert "weight decay 0.004 on 2 tensors; not on dense_1.bias, batch_norm_1.gamma" in human
    assert "and 1 more" in human
    assert "schedule     linear end=0 per=epoch warmup=2" in human
    assert "clip         norm=2" in human
    assert "batch 32, 4 batches an update" in human
    (tmp_path / "n.dnn").write_text(DECAY.replace("adamw", "lion") % "")
    none = dnnc("inspect", "n.dnn")
    assert "weight decay none" in none.out
    (tmp_path / "o.dnn").write_text("model m { input x[4]; dense 3 | softmax }")
    assert dnnc("inspect", "o.dnn", "--json").json["training"] is None


def test_inspect_draws(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "net.dnn").write_text(
        "model net { input x[4]; part body { dense 8 | relu }; dense 3 | softmax }"
    )
    told = dnnc("inspect", "net.dnn", "--svg", "net.svg", "--json").json
    assert told == {"model": "net", "file": "net.svg"}
    root = ET.fromstring((tmp_path / "net.svg").read_text())
    assert (
        len(
            [
                r
                for r in root.iter("{http://www.w3.org/2000/svg}rect")
                if r.attrib["class"] == "group"
            ]
        )
        == 1
    )
    flat = dnnc("inspect", "net.dnn", "--svg", "-", "--depth", "0").out
    texts = [
        "".join(t.itertext()) for t in ET.fromstring(flat).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert "bodybody" in texts  # its tip and its name
    assert 'class="group"' not in flat
    wrong = dnnc("inspect", "net.dnn", "--svg", "-", "--depth", "-1")
    assert wrong.status == 2
    gone = dnnc("inspect", "net.dnn", "--svg", "nowhere/net.svg")
    assert gone.status == 3
