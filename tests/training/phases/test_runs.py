"""From a run to another run: weights are taken, frozen ones stay, and what is made stands alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from commands import Answer, Dnnc
from places import ROOT
from safetensors.numpy import load_file

OLD = """
data digits { train builtin digits; take 300; scale (1 / 16) }
model old {
  input image[8 8]
  part body { flatten | dense 16 bias=false | batch_norm | relu | dense 12 | elu }
  part head { dense 10 | softmax }
}
train old on digits { loss cross_entropy; metric accuracy; seed 1; epochs 2 }
"""
NEW = """
use "old.dnn" as lib weights="runs/old"
data few { train builtin digits; take 200; valid split=20%; scale (1 / 16) }
model new {
  input image[8 8]
  part body { reuse lib.old.body }
  part head { dense 10 | softmax }
}
train new on few {
  loss cross_entropy; metric accuracy; seed 1
  phase warm { freeze body; optimizer sgd lr=0.1; epochs 2 }
  phase fine { unfreeze body; lr_mult body=0.1; optimizer adam; epochs 2 }
}
"""


def weights(run: Path, which: str = "last") -> dict[str, np.ndarray]:
    return load_file(run / "checkpoints" / which / "weights.safetensors")


@pytest.fixture
def old(dnnc: Dnnc, tmp_path: Path) -> Path:
    (tmp_path / "old.dnn").write_text(OLD)
    (tmp_path / "new.dnn").write_text(NEW)
    assert dnnc("train", "old.dnn", "-q").status == 0
    return tmp_path / "runs" / "old"


def trained(dnnc: Dnnc, *more: object) -> Answer:
    answer = dnnc("train", "new.dnn", "--json", *more)
    assert answer.status == 0
    return answer


def test_frozen_weights_are_those_of_the_run(dnnc: Dnnc, old: Path, tmp_path: Path) -> None:
    only = NEW[: NEW.index("  phase fine")] + "}\n"
    (tmp_path / "new.dnn").write_text(only)
    told = trained(dnnc).json
    assert told["frozen"] == [{"phase": "warm", "unchanged": {"body": 7}}]
    mine, theirs = weights(tmp_path / "runs" / "new"), weights(old)
    for name in theirs:
        if name.startswith("body."):
            assert mine[name].tobytes() == theirs[name].tobytes()
    assert not np.array_equal(mine["head.dense_1.weight"], theirs["head.dense_1.weight"])


def test_what_is_said(dnnc: Dnnc, old: Path) -> None:
    answer = dnnc("train", "new.dnn")
    for line in (
        "weights of `lib.old.body` from",
        "body.dense_2.weight",
        "warm: 2 epochs, sgd(lr=0.1)",
        "body: frozen (7 tensors)",
        "body: outputs cached for 160 + 40 rows",
        "the state of adam starts from scratch for all tensors",
    ):
        assert line in answer.err
    assert "body: 7 tensors unchanged in warm" in answer.out


def test_a_run_needs_nothing_of_what_it_stands_on(dnnc: Dnnc, old: Path, tmp_path: Path) -> None:
    trained(dnnc)
    first = dnnc("eval", "runs/new", "--data", "runs/new/spec.dnn", "--split", "valid", "--json")
    (tmp_path / "old.dnn").unlink()
    old.rename(tmp_path / "elsewhere")
    again = dnnc("eval", "runs/new", "--data", "runs/new/spec.dnn", "--split", "valid", "--json")
    assert again.json["loss"] == first.json["loss"]
    assert dnnc("export", "runs/new", "-o", "new.onnx", "-q").status == 0
    session = ort.InferenceSession(tmp_path / "new.onnx", providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"image": np.zeros((3, 8, 8), np.float32)})
    np.testing.assert_allclose(made.sum(1), 1, rtol=1e-5)


def test_a_run_is_taken_up_without_its_source(dnnc: Dnnc, old: Path, tmp_path: Path) -> None:
    """A run that goes on has its weights; more epochs of the last phase are trained."""
    trained(dnnc)
    old.rename(tmp_path / "elsewhere")
    text = (
        (tmp_path / "new.dnn")
        .read_text()
        .replace("optimizer adam; epochs 2", "optimizer adam; epochs 3")
    )
    (tmp_path / "new.dnn").write_text(text)
    answer = dnnc("train", "new.dnn", "--out", "runs/new", "--resume", "--json")
    assert answer.status == 0
    assert answer.json["epochs"] == 5


def test_a_run_with_other_phases_is_another_one(dnnc: Dnnc, old: Path, tmp_path: Path) -> None:
    trained(dnnc)
    text = (tmp_path / "new.dnn").read_text().replace("freeze body", "freeze body.dense_1")
    (tmp_path / "new.dnn").write_text(text.replace("unfreeze body;", "unfreeze body.dense_1;"))
    answer = dnnc("train", "new.dnn", "--out", "runs/new", "--resume", "--json")
    assert answer.codes == ["E605"]
    assert "what is frozen in phase `warm`" in answer.err


PRETRAIN = """
data pixels { train builtin digits; take 300; target input; scale (1 / 16) }
data few { train builtin digits; take 120; valid split=25%; scale (1 / 16) }
model classifier {
  input image[8 8]
  part body { reuse coder.encoder }
  part head { dense 10 | softmax }
}
model coder {
  input image[8 8]
  part encoder { flatten | dense 24 | elu }
  part decoder { dense 64 tie=encoder.dense_1 | sigmoid; reshape [8 8] }
}
train classifier on few { loss cross_entropy; seed 1; epochs 2; freeze body }
train coder on pixels { loss mean_squared_error; seed 1; epochs 1 }
"""


def test_trainings_of_a_file_run_in_the_order_of_their_needs(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "pre.dnn").write_text(PRETRAIN)
    answer = dnnc("train", "pre.dnn", "--json")
    assert answer.status == 0
    coder, classifier = answer.json["runs"]
    assert (coder["run"], classifier["run"]) == ("runs/pre-coder", "runs/pre-classifier")
    assert classifier["frozen"] == [{"phase": None, "unchanged": {"body": 2}}]
    theirs, mine = (weights(tmp_path / r["run"]) for r in (coder, classifier))
    assert np.array_equal(mine["body.dense_1.weight"], theirs["encoder.dense_1.weight"])
    assert "decoder.dense_1.weight" not in theirs


def test_a_model_stands_on_the_last_run_of_another(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "pre.dnn").write_text(PRETRAIN)
    alone = dnnc("train", "pre.dnn", "--model", "classifier", "--json")
    assert alone.status != 0
    assert "dnnc train" in alone.err
    assert "--model coder" in alone.err
    assert dnnc("train", "pre.dnn", "--model", "coder", "-q").status == 0
    assert dnnc("train", "pre.dnn", "--model", "coder", "--seed", 9, "-q").status == 0
    assert dnnc("train", "pre.dnn", "--model", "classifier", "-q").status == 0
    theirs, mine = (weights(tmp_path / "runs" / n) for n in ("pre-coder-2", "pre-classifier"))
    assert np.array_equal(mine["body.dense_1.weight"], theirs["encoder.dense_1.weight"])


def test_the_plan_of_a_file(dnnc: Dnnc, old: Path) -> None:
    told = dnnc("plan", "new.dnn", "--json").json
    assert [p["name"] for p in told["phases"]] == ["warm", "fine"]
    warm, fine = ({t["path"]: t for t in phase["tensors"]} for phase in told["phases"])
    path = "body.dense_1.weight"
    assert (warm[path]["frozen"], warm[path]["lr"]) == (True, None)
    assert (fine[path]["frozen"], fine[path]["lr"]) == (False, pytest.approx(1e-4))
    assert warm[path]["source"].startswith("lib.old.body (")
    assert warm["head.dense_1.weight"]["source"] == "glorot_uniform"
    assert told["phases"][0]["cached"] == ["body.batch_norm_1", "body.dense_1", "body.dense_2"]
    text = dnnc("plan", "new.dnn")
    assert text.out.splitlines()[2].split()[:2] == ["layer", "numbers"]
    assert "frozen, cached" in text.out
    each = dnnc("plan", "new.dnn", "--tensors")
    assert "body.batch_norm_1.running_mean" in each.out


def test_other_commands_begin_from_the_reused_weights(
    dnnc: Dnnc, old: Path, tmp_path: Path
) -> None:
    assert dnnc("build", "new.dnn", "-o", "build", "-q").status == 0
    session = ort.InferenceSession(
        tmp_path / "build/new/init.onnx", providers=["CPUExecutionProvider"]
    )
    (made,) = session.run(["body.dense_1.weight"], {})
    assert np.array_equal(made, weights(old)["body.dense_1.weight"])
    manifest = json.loads((tmp_path / "build/new/manifest.json").read_text())
    assert manifest["phases"][0]["frozen"][0].startswith("body.")
    assert dnnc("bench", "new.dnn", "--steps", 2, "-q").status == 0
    assert dnnc("probe", "new.dnn", "-q").status == 0
    assert dnnc("inspect", "new.dnn", "-q").status == 0


def test_the_text_of_a_run_finds_its_data_and_its_pieces(
    dnnc: Dnnc, old: Path, tmp_path: Path
) -> None:
    """Everything but the data may be gone: the run goes on from what it keeps."""
    rows = np.load(ROOT / "deepdsl" / "data" / "digits.npz")
    np.savez(tmp_path / "rows.npz", x=rows["x"][:200], y=rows["y"][:200])
    text = (
        (tmp_path / "new.dnn").read_text().replace("train builtin digits", 'train npz "rows.npz"')
    )
    (tmp_path / "new.dnn").write_text(text)
    trained(dnnc, "--out", "runs/deep/new")
    for gone in (old, tmp_path / "old.dnn", tmp_path / "new.dnn"):
        gone.rename(tmp_path / f"{gone.name}.gone")
    kept = tmp_path / "runs/deep/new/spec.dnn"
    kept.write_text(kept.read_text().replace("adam; epochs 2", "adam; epochs 3"))
    answer = dnnc("train", kept, "--out", "runs/deep/new", "--resume", "--json")
    assert answer.status == 0
    assert answer.json["epochs"] == 5
