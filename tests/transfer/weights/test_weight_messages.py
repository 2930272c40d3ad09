"""What is said of weights that cannot be taken: what is wrong, where, and the way out."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from reused import USE, WEIGHTS_SPAN, loaded, model, one_problem, problems
from safetensors.numpy import save_file
from weight_files import (
    TEXT,
    run_directory,
    torch_file,
)
from workbench import Array

from deepdsl.core.source import Span
from deepdsl.diagnostics import DnnError, render, render_all
from deepdsl.transfer.weights import as_json, load_reused, table

NET = """model m {
  input x[4]
  part body { dense 3 | relu | dense 3 | relu }
  part head { dense 2 | softmax }
}"""
SHAPES = {
    "body.dense_1.weight": (3, 4),
    "body.dense_1.bias": (3,),
    "body.dense_2.weight": (3, 3),
    "body.dense_2.bias": (3,),
    "head.dense_1.weight": (2, 3),
    "head.dense_1.bias": (2,),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def state(shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> dict[str, Array]:
    return {name: np.ones(shape, np.float32) for name, shape in shapes.items()}


def file(tensors: Mapping[str, Array], name: str = "net.safetensors") -> str:
    if name.endswith(".npz"):
        np.savez(name, **tensors)
    else:
        save_file(dict(tensors), name)
    return name


def said(text: str, weights: Path | str = "", **reused: Any) -> str:
    return render_all(problems(text, weights, **reused), color=False)


# Golden -------------------------------------------------------------------------------------------


def test_the_table() -> None:
    layers = " | ".join(["dense 4"] * 9)
    shapes: dict[str, tuple[int, ...]] = {"extra.weight": (3, 3)}
    for number in range(1, 10):
        shapes |= {f"body.dense_{number}.weight": (4, 4), f"body.dense_{number}.bias": (4,)}
    text = (
        f"model m {{ input x[4]; part body {{ {layers} }}; batch_norm; part head {{ dense 2 }} }}"
    )
    norms = ("weight", "bias", "running_mean", "running_var")
    shapes |= {f"batch_norm_1.{n}": (4,) for n in norms}
    fresh = frozenset({"head.dense_1.weight", "head.dense_1.bias"})
    made = loaded(text, file(state(shapes)), fresh=fresh, path="old.net")
    assert table([made]) == (
        "weights of `old.net` from net.safetensors\n"
        "  kernels are (out, in), as in PyTorch: by the name `batch_norm_1.running_var`\n"
        "  epsilon is 0.001 in `batch_norm_1`; PyTorch's default is 1e-05\n"
        "  here                 shape  in the file          taken\n"
        "  body.dense_1.weight  4 × 4  body.dense_1.weight  transposed\n"
        "  body.dense_1.bias    4      body.dense_1.bias    as it is\n"
        "  body.dense_2.weight  4 × 4  body.dense_2.weight  transposed\n"
        "  body.dense_2.bias    4      body.dense_2.bias    as it is\n"
        "  body.dense_3.weight  4 × 4  body.dense_3.weight  transposed\n"
        "  body.dense_3.bias    4      body.dense_3.bias    as it is\n"
        "  … and 16 more transposed or as it is\n"
        "  head.dense_1.weight  4 × 2                       starts from scratch\n"
        "  head.dense_1.bias    2                           starts from scratch\n"
        "  not taken: extra.weight"
    )
    assert len(table([made], whole=True).splitlines()) == 4 + 24 + 1
    (told,) = as_json([made])
    assert json.loads(json.dumps(told)) == told
    assert len(told["tensors"]) == 24
    assert told["tensors"][0] == {
        "here": "body.dense_1.weight",
        "shape": [4, 4],
        "there": "body.dense_1.weight",
        "taken": "transposed",
    }
    assert told["left_out"] == sorted(fresh, reverse=True)


def test_a_missing_layer() -> None:
    tensors = {n.replace("body.dense_2", "fc"): v for n, v in state().items()}
    found = one_problem(NET, file(tensors))
    assert found.code == "E527"
    assert render(found, color=False) == (
        "error[E527]: net.safetensors has nothing for `weight` and `bias` of `body.dense_2`\n"
        " --> test.dnn:3:32\n"
        "  |\n"
        "3 |   part body { dense 3 | relu | dense 3 | relu }\n"
        "  |               ------- reused here\n"
        "  |                                ^^^^^^^ left over in the file: fc.bias, fc.weight\n"
        "  |\n"
        'help: names differ, and the layers fit: `rename=["fc=body.dense_2"]` or `match=shape`\n'
    )
    assert loaded(NET, "net.safetensors", rename=("fc=body.dense_2",)).unused == ()
    del tensors["fc.weight"], tensors["fc.bias"]
    found = one_problem(NET, file(tensors))
    assert found.label == "nothing in the file is left over"
    assert "`without=…`" in found.help
    tensors |= {"body.dense2.weight": np.ones((9, 9), np.float32)}
    assert (
        'is it `body.dense2`? then `rename=["body.dense2=body.dense_2"]`'
        in one_problem(NET, file(tensors)).help
    )


def test_layers_that_stand_in_one_place_are_told_together() -> None:
    text = f"model m {{ input x[3]; {' | '.join(['dense 3'] * 9)} }}"
    made = model(text, weights=file(state({"dense_1.weight": (3, 3), "q.weight": (3, 3)})))
    one = made.calls[0].span
    calls = tuple(
        replace(c, params=tuple(replace(p, span=one) for p in c.params)) for c in made.calls
    )
    with pytest.raises(DnnError) as caught:
        load_reused(replace(made, calls=calls), {})
    told = [d.message for d in caught.value.diagnostics]
    assert told == [
        "net.safetensors has not all weights of `dense_1`, `dense_2`, `dense_3`, `dense_4`, "
        "`dense_5`, `dense_6` and 3 more layers"
    ]


def test_a_head_of_another_size() -> None:
    wider = {**SHAPES, "head.dense_1.weight": (10, 3), "head.dense_1.bias": (10,)}
    found = one_problem(NET, file(state(wider)))
    assert found.code == "E528"
    assert render(found, color=False) == (
        "error[E528]: `head.dense_1.weight` is 3 × 2 here and 10 × 3 in net.safetensors\n"
        " --> test.dnn:4:15\n"
        "  |\n"
        "3 |   part body { dense 3 | relu | dense 3 | relu }\n"
        "  |               ------- reused here\n"
        "4 |   part head { dense 2 | softmax }\n"
        "  |               ^^^^^^^ as a kernel (out, in) it would be 2 × 3\n"
        "  |\n"
        "help: replace the head: leave it out with `without=head` and write a new one after it\n"
    )
    narrow = {**SHAPES, "body.dense_1.weight": (3, 5)}
    assert "to learn it from scratch" in one_problem(NET, file(state(narrow))).help


def test_nothing_that_matches() -> None:
    tensors = {f"module.{n}": v for n, v in state().items()}
    found = one_problem(NET, file(tensors))
    assert found.code == "E530"
    assert render(found, color=False) == (
        "error[E530]: nothing in net.safetensors matches `old.m`\n"
        " --> shirts.dnn:1:30\n"
        "  |\n"
        '1 | use "old.dnn" as old weights="weights"\n'
        "  |                              ^^^^^^^^^ here are `body.dense_1.weight`, "
        "`body.dense_1.bias`, `body.dense_2.weight`; in the file `module.body.dense_1.bias`, "
        "`module.body.dense_1.weight`, `module.body.dense_2.bias`\n"
        "  |\n"
        'help: the names begin with more: `prefix="module."`\n'
    )
    assert loaded(NET, "net.safetensors", prefix="module.").unused == ()
    tensors = {
        n.replace("body.dense_", "fc").replace("head.dense_1", "out"): v for n, v in state().items()
    }
    assert one_problem(NET, file(tensors)).help == "names differ, and the layers fit: `match=shape`"
    assert "`rename=" in one_problem(NET, file(state({"q": (7, 7)}))).help


def test_layouts_that_cannot_be_told() -> None:
    square = "model m { input x[3]; dense 3 }"
    found = one_problem(square, file(state({"dense_1.weight": (3, 3), "dense_1.bias": (3,)})))
    assert found.code == "E529"
    assert found.message == (
        "`dense_1.weight` of net.safetensors fits in more than one layout, "
        "and nothing says in which"
    )
    assert (
        found.help
        == "say it: `layout=torch` for (out, in) or `layout=keras` for (in, out), channels last"
    )


def test_a_bias_that_nothing_takes() -> None:
    text = "model m { input x[4]; dense 3 bias=false }"
    found = one_problem(text, file(state({"dense_1.weight": (3, 4), "dense_1.bias": (3,)})))
    assert found.code == "E532"
    assert found.message == "`dense_1` has no place for `dense_1.bias` of net.safetensors"
    assert found.help == "give the layer here its bias: leave `bias=false` out"
    norm = "model m { input x[4]; layer_norm }"
    names = ("weight", "bias", "running_mean", "running_var")
    found = one_problem(norm, file(state({f"layer_norm_1.{n}": (4,) for n in names})))
    assert "a `batch_norm`" in found.help


def test_an_ambiguous_match() -> None:
    text = "model m { input x[3]; dense 3 | dense 3 }"
    shapes: dict[str, tuple[int, ...]] = {}
    for name in "ab":
        shapes |= {f"{name}.weight": (3, 3), f"{name}.bias": (3,)}
    found = one_problem(text, file(state(shapes)), match="shape", layout="torch")
    assert found.code == "E531"
    assert "`dense_1`, `dense_2` fit more than one of `a`, `b`" in found.message


def test_rows_whose_order_is_lost() -> None:
    text = "model m { input image[3 2 2]; flatten | split 2 part=1 | dense 5 }"
    tensors = {"dense_1/kernel": np.ones((6, 5)), "dense_1/bias": np.ones(5)}
    found = one_problem(text, file(tensors, "k.npz"), layout="keras")
    assert found.code == "E534"
    assert "ONNX" in found.help


def test_renames_that_fit_nothing() -> None:
    rename = ("bodyy.dense_1=x", "nonsense", "a=b", "a=c")
    found = problems(NET, file(state()), rename=rename)
    assert {d.code for d in found} == {"E533"}
    told = {d.message.split("`")[1]: d.help for d in found}
    assert told["bodyy.dense_1=x"] == "did you mean `body.dense_1`?"
    assert told["nonsense"].startswith('write `rename=["fc1=dense_1"]`')
    assert told["a=c"] == "remove one of them"
    assert told["a=b"] == "names begin with: body, head"
    found = problems(NET, file(state()), rename=("body.dense_1=body.dense_2",))
    assert "are both called so" in found[0].message
    (wrong,) = problems(NET, file({f"module.{n}": v for n, v in state().items()}), prefix="modul.")
    assert wrong.help == 'did you mean `prefix="module."`?'


def test_batch_norms_that_were_folded_away() -> None:
    text = "model m { input image[1 4 4]; conv 2 3x3 | batch_norm }"
    made = helper.make_model(
        helper.make_graph([], "g", [], [], [numpy_helper.from_array(np.ones(3), "onnx::Conv_1")])
    )
    onnx.save(made, "net.onnx")
    assert 'folded away: `use "net.onnx" as NAME`' in one_problem(text, "net.onnx").help


# Numbers ------------------------------------------------------------------------------------------


def test_numbers_that_are_not_finite() -> None:
    tensors = state()
    tensors["body.dense_1.weight"][0, :2] = np.nan
    tensors["head.dense_1.bias"] = np.full(2, 1e300)
    found = problems(NET, file(tensors, "net.npz"))
    assert {d.code for d in found} == {"E526"}
    assert [d.message for d in found] == [
        "2 of 12 numbers in `body.dense_1.weight` are NaN or infinite (net.npz)",
        "2 of 2 numbers in `head.dense_1.bias` are too large for float32 (net.npz)",
    ]
    # What is not taken may be anything.
    fresh = frozenset(n for n in tensors if "head" in n)
    tensors["body.dense_1.weight"][:] = 1
    assert loaded(NET, file(tensors, "net.npz"), fresh=fresh).left_out


class Evil:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("opened"),))


def test_tensors_that_are_no_numbers() -> None:
    tensors: dict[str, Any] = state()
    tensors["body.dense_1.weight"] = np.ones((3, 4), np.int8)
    tensors["head.dense_1.bias"] = np.array([Evil(), Evil()])
    found = problems(NET, file(tensors, "net.npz"))
    assert {d.code for d in found} == {"E525"}
    assert [d.message for d in found] == [
        "`body.dense_1.weight` of net.npz holds int8, which are not weights",
        "`head.dense_1.bias` of net.npz holds Python objects, which are not weights",
    ]
    assert not Path("opened").exists()


# Places -------------------------------------------------------------------------------------------


def test_a_path_that_is_not_there() -> None:
    file(state())
    found = one_problem(NET, "net.safetensor")
    assert found.code == "E522"
    assert render(found, color=False) == (
        "error[E522]: net.safetensor: there is no such file or folder\n"
        " --> shirts.dnn:1:30\n"
        "  |\n"
        '1 | use "old.dnn" as old weights="weights"\n'
        "  |                              ^^^^^^^^^\n"
        "  |\n"
        "help: did you mean `../net.safetensors`?\n"
    )
    assert one_problem(NET, "deep/er/x.npz").help == "in . there are: net.safetensors"
    (Path("work") / "old.dnn").parent.mkdir(exist_ok=True)
    (Path("work") / "old.dnn").write_text("")
    told = one_problem(NET, "work/runs/old")
    assert told.help == "train it first: `dnnc train work/old.dnn --out work/runs/old`"
    Path("weights").mkdir()
    told = one_problem(NET, "work/weights")
    assert told.help == "paths are relative to the file: `../weights`"
    assert told.span == WEIGHTS_SPAN
    assert WEIGHTS_SPAN.text == '"weights"'


def test_nothing_says_where() -> None:
    found = one_problem(NET, "", path="old.m.body")
    assert found.code == "E520"
    assert found.help == (
        'write `reuse old.m.body weights="runs/NAME"`, or `weights=` on the `use` line'
    )


def test_a_model_without_a_run() -> None:
    found = one_problem(NET, "", trained="autoencoder", path="autoencoder.encoder")
    assert found.code == "E521"
    assert found.message == "`autoencoder.encoder` needs a run of the model `autoencoder`"
    section = "train autoencoder on DATA { … }"
    assert found.help == (
        f"train it first, by `{section}`: `dnnc train test.dnn --model autoencoder`"
    )
    runs = {"autoencoder": Path("runs/a")}
    (found,) = problems(NET, "", runs, trained="autoencoder")
    assert "(there is none in runs/a)" in found.message


KINDS: dict[str, tuple[bytes, str, str]] = {
    "m.h5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 file", "np.savez"),
    "m.pkl": (pickle.dumps({"w": 1}), "a pickle", "safetensors.torch.save_file(model.state_dict()"),
    "m.bin": (b"\x80\x02}q\x00.", "a pickle", "nothing is unpickled"),
    "m.npy": (b"\x93NUMPY\x01\x00" + bytes(8), "a single array", "np.savez"),
    "m.gguf": (b"GGUF" + bytes(8), "a GGUF file", "safetensors"),
    "m.gz": (b"\x1f\x8b" + bytes(8), "packed with gzip", "gunzip"),
    "lfs.safetensors.txt": (b"version https://git-lfs.github.com/spec/v1\n", "git LFS", "git lfs"),
    "page": (b"<!DOCTYPE html><html>", "a web page", "fetch the file itself"),
    "m.tflite": (bytes(4) + b"TFL3" + bytes(4), "TensorFlow Lite", "np.savez"),
    "x.json": (b'{"a": 1}', "JSON without weights", "model.json of TensorFlow.js"),
    "m.ckpt.index": (b"\x00\x00\x03", "a checkpoint of TensorFlow", "np.savez"),
    "x.txt": (b"hello", "not known", "weights are read from run directories"),
}


@pytest.mark.parametrize("name", KINDS)
def test_files_of_other_kinds(name: str) -> None:
    data, what, advice = KINDS[name]
    Path(name).write_bytes(data)
    found = one_problem(TEXT, name)
    assert found.code == "E523"
    assert what in found.message
    assert advice in found.help


def test_archives_of_other_kinds() -> None:
    for inside, what in (("m/data.pkl", "pickle"), ("model.weights.h5", "Keras"), ("x", "archive")):
        with zipfile.ZipFile("m.zip", "w") as archive:
            archive.writestr(inside, b"x")
        assert what in one_problem(TEXT, "m.zip").message


def test_folders_that_are_no_run(tmp_path: Path) -> None:
    Path("empty").mkdir()
    found = one_problem(TEXT, "empty")
    assert found.code == "E523"
    assert found.message == "empty is a folder that is no run"
    run_directory(tmp_path)
    torch_file(tmp_path)
    assert one_problem(TEXT, ".").help == "name one of what is in it: ./run"
    Path("run/manifest.json").write_text("{}")
    assert "manifest.json is not of a run" in one_problem(TEXT, "run").message
    Path("run/manifest.json").write_text("{")
    assert "manifest.json is no JSON" in one_problem(TEXT, "run").message
    Path("run/manifest.json").write_text('{"state": [], "final": "../../x"}')
    assert "says that its result is" in one_problem(TEXT, "run").message
    Path("run/manifest.json").write_text('{"state": []}')
    found = one_problem(TEXT, "run")
    assert found.message == "run is a run without a checkpoint: its training has kept nothing yet"
    Path("saved").mkdir()
    Path("saved/saved_model.pb").write_bytes(b"x")
    assert "a SavedModel of TensorFlow" in one_problem(TEXT, "saved").message


def test_all_that_is_wrong_is_told_at_once() -> None:
    shapes = {**SHAPES, "head.dense_1.weight": (9, 3), "body.dense_1.scale": (3,)}
    del shapes["body.dense_2.bias"]
    found = problems(NET, file(state(shapes)))
    assert sorted(d.code for d in found) == ["E527", "E528", "E532"]
    assert all(isinstance(d.span, Span) and d.span.source != USE for d in found)
