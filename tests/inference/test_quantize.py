"""Weights in eight bits: how far off they are, which they are, and what the files compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from workbench import near, program

import deepdsl
from deepdsl.cli import main
from deepdsl.compiler.training_step import inference_graph
from deepdsl.graph import verify
from deepdsl.graph.backend import open_backend
from deepdsl.graph.emit import emit
from deepdsl.inference.batch_norm_folding import fold_batch_norms
from deepdsl.inference.quantize import in_eight_bits, quantize_weights

Array = np.ndarray[Any, Any]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    values=arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    axis=st.integers(0, 2),
)
def test_no_number_is_off_by_more_than_half_a_step(values: Array, axis: int) -> None:
    whole, scale = in_eight_bits(values, axis)
    assert whole.dtype == np.int8
    assert np.abs(whole.astype(int)).max() <= 127
    assert scale.shape == tuple(n if i == axis else 1 for i, n in enumerate(values.shape))
    back = whole.astype(np.float64) * scale
    # Rounding the scale to float32 shifts the largest numbers by its last digit.
    assert (np.abs(back - values) <= scale * 0.5001).all()
    others = tuple(n for n in range(3) if n != axis)
    assert (np.abs(values).max(others) <= 127.01 * scale.reshape(-1)).all()


def test_a_channel_of_zeros_stays_zero() -> None:
    values = np.zeros((3, 2), np.float32)
    values[:, 1] = 5
    whole, scale = in_eight_bits(values, 1)
    near(whole * scale, values)
    assert np.isfinite(scale).all()


# Body, the shape of its input, and the tensors in int8 with the axis of their scale.
BODIES = {
    "dense": ("dense 40 | relu | dense 5", "30", {"dense_1.weight": 1, "dense_2.weight": 1}),
    "tied": ("dense 40 | tanh | dense 30 tie=dense_1", "30", {"dense_1.weight": 1}),
    "convolutions": (
        "conv 8 3x3 | relu | conv_transpose 12 3x3 | flatten | dense 4",
        "3 8 8",
        {"conv_1.weight": 0, "conv_transpose_1.weight": 1, "dense_1.weight": 1},
    ),
    "in groups": ("conv 64 3x3 groups=2 | flatten | dense 3", "4 6 6", None),
    "depthwise": ("conv 64 3x3 | conv 64 3x3 groups=depthwise", "3 9 9", None),
    "folded": (
        "conv 24 3x3 pad=same bias=false | batch_norm | relu | flatten | dense 9 | batch_norm",
        "4 6 6",
        {"conv_1.folded_weight": 0, "dense_1.folded_weight": 1},
    ),
    "lstm": ("lstm 16 | dense 3", "5 8", None),
    "gru": ("gru 16 direction=both | dense 3", "5 8", None),
    "attention": ("attention heads=4 | flatten | dense 3", "5 24", None),
    "a shared part": (
        "part p { dense 30 | tanh }; a = x | p; b = a | p; a + b | dense 4",
        "30",
        {"p.dense_1.weight": 1},
    ),
}


def compiled(body: str, shape: str) -> tuple[Any, dict[str, Array]]:
    model = program(f"model m {{ input x[{shape}]; {body} }}").models["m"]
    graph = inference_graph(model)
    rng = np.random.default_rng(3)
    weights = {
        p.name: (
            rng.uniform(0.5, 2, p.type.shape)
            if p.role in ("statistic", "norm")
            else rng.normal(size=p.type.shape) / np.sqrt(max(1, (p.fans or (1,))[0]))
        ).astype(np.float32)
        for p in graph.params
    }
    graph, weights, _ = fold_batch_norms(graph, weights)
    return graph, dict(weights)


def run(graph: Any, weights: dict[str, Array], x: Array) -> Array:
    model = emit(verify(graph), "m", weights)
    model.check()
    made: Array = open_backend("cpu", 1).runner(model.serialize()).run({"x": x})["output"]
    return made


@pytest.mark.parametrize("name", BODIES)
def test_the_file_computes_with_the_rounded_weights(name: str) -> None:
    body, shape, wanted = BODIES[name]
    graph, weights = compiled(body, shape)
    quantized, values, whole = quantize_weights(graph, weights)
    assert whole
    if wanted is not None:
        assert set(whole) == set(wanted)
        for path, axis in wanted.items():
            sizes = values[f"{path}:scale"].shape
            assert [n for n, size in enumerate(sizes) if size > 1] == [axis]
    rounded = {
        k: v if k not in whole else values[f"{k}:int8"] * values[f"{k}:scale"]
        for k, v in weights.items()
    }
    x = np.random.default_rng(5).normal(size=(6, *map(int, shape.split()))).astype(np.float32)
    made = run(quantized, values, x)
    near(made, run(graph, rounded, x), 1e-5)
    plain = run(graph, weights, x)
    assert 0 < np.abs(made - plain).max() < 0.05 * np.abs(plain).max()


def test_what_is_kept_and_what_would_not_get_smaller() -> None:
    body = (
        "part a { dense 50 | batch_norm | relu }; part b { dense 40 | relu | dense 30 | relu }; "
        "dense 2"
    )
    graph, weights = compiled(body, "30")
    everything = ["a.dense_1.folded_weight", "b.dense_1.weight", "b.dense_2.weight"]
    for keep, left in [
        ((), everything),
        (("a",), everything[1:]),
        (("a.dense_1.weight",), everything[1:]),
        (("b.dense_2",), everything[:2]),
        (("b", "a"), []),
        (("b.dense",), everything),  # no path of a layer, though one begins so
    ]:
        assert list(quantize_weights(graph, weights, keep)[2]) == left


def test_the_given_graph_and_weights_stay() -> None:
    graph, weights = compiled("dense 40 | relu | dense 40", "30")
    copies = {k: v.copy() for k, v in weights.items()}
    before = (graph.params, graph.nodes)
    quantize_weights(graph, weights)
    assert (graph.params, graph.nodes) == before
    assert all(np.array_equal(copies[k], weights[k]) for k in copies)


# Exports ------------------------------------------------------------------------------------------

SPEC = """\
data digits { train builtin digits; take 600; valid split=30% stratify=true; scale (1 / 16) }
model net {
  input image[8 8]
  part body { flatten | dense 64 bias=false | batch_norm | relu | dense 64 | relu }
  part head { dense 10 | softmax }
}
train net on digits {
  loss cross_entropy; metric accuracy; optimizer adam lr=1e-2; batch 32; epochs 6; seed 1
}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantize")
    (folder / "net.dnn").write_text(SPEC)
    run = folder / "run"
    assert main(["train", str(folder / "net.dnn"), "-q", "-o", str(run)]) == 0
    return run


def export(run: Path, out: Path, capsys: Any, *more: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main(["export", str(run), "-o", str(out), *more])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_a_file_in_int8_is_small_and_as_accurate(
    trained: Path, tmp_path: Path, capsys: Any
) -> None:
    plain, small = tmp_path / "plain.onnx", tmp_path / "small.onnx"
    assert export(trained, plain, capsys)[0] == 0
    status, out, _ = export(trained, small, capsys, "--quantize", "int8", "--verify", "0.05")
    assert status == 0
    assert "3 tensors in int8" in out
    assert 0 < float(out.split()[-1]) < 0.05
    assert small.stat().st_size < plain.stat().st_size / 2.5
    model = onnx.load(small)
    onnx.checker.check_model(model, full_check=True)
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    assert sum(kind == onnx.TensorProto.INT8 for kind in kinds.values()) == 3
    assert {p.key: p.value for p in model.metadata_props}["deepdsl.inference.quantize"] == "int8"
    figures = []
    for file in (plain, small):
        capsys.readouterr()
        spec = trained.parent / "net.dnn"
        main(["eval", str(file), "--data", str(spec), "--split", "valid", "--json"])
        figures.append(json.loads(capsys.readouterr().out))
    accuracies = [each["accuracy"] for each in figures]
    assert accuracies[0] > 0.85
    assert abs(accuracies[0] - accuracies[1]) <= 2 / 180


def test_what_costs_most_is_named(trained: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "net.onnx"
    given = ("--quantize", "int8", "--verify", "1e-6", "--json")
    status, told, err = export(trained, out, capsys, *given)
    assert (status, out.exists()) == (5, False)
    assert [d["code"] for d in json.loads(told)["diagnostics"]] == ["E595"]
    assert "keep_float=[" in err
    assert "each alone: `" in err


def test_from_python(trained: Path, tmp_path: Path) -> None:
    run = deepdsl.open_run(trained)
    made = run.export(tmp_path / "net.onnx", quantize="int8", tolerance=0.1)
    assert len(made.quantized) == 3
    assert 1e-5 < made.max_abs_error < 0.1
    assert run.export(tmp_path / "plain.onnx").bytes > 2.5 * made.bytes


def test_what_stays_float_is_exact(trained: Path, tmp_path: Path, capsys: Any) -> None:
    given = ("--quantize", "int8", "--keep-float", "body", "--keep-float", "head")
    status, out, _ = export(trained, tmp_path / "net.onnx", capsys, *given, "--verify", "1e-5")
    assert (status, "int8" in out) == (0, False)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("--quantize", "int8", "--keep-float", "body.dense_3"), "E596"),
        (("--keep-float", "body.dense_1"), "E597"),
    ],
)
def test_what_cannot_stay_float(
    given: tuple[str, ...], code: str, trained: Path, tmp_path: Path, capsys: Any
) -> None:
    status, _, err = export(trained, tmp_path / "net.onnx", capsys, *given)
    assert (status, f"error[{code}]" in err) == (1, True)


def test_the_section_says_what_the_command_does_not(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    section = 'export net { onnx "net.onnx" quantize=int8 verify=0.2 keep_float=[head] }\n'
    Path("net.dnn").write_text(SPEC.replace("epochs 6", "epochs 1") + section)
    assert main(["train", "net.dnn", "-q", "-o", "run"]) == 0
    for more, count in [((), 2), (("--quantize", "none"), 0), (("--keep-float", "body"), 1)]:
        capsys.readouterr()
        assert main(["export", "run", "--json", *more]) == 0
        told = json.loads(capsys.readouterr().out)
        assert len(told["quantized"]) == count
        assert (told["max_abs_error"] < 1e-5) == (count == 0)
