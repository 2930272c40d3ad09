"""`tie=`: one tensor used twice, once transposed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workbench import Training, near, opened, program, run, training_file

from deepdsl.cli import main
from deepdsl.compiler.front_end import check, load_program, read_source
from deepdsl.compiler.training_step import inference_graph
from deepdsl.core.source import Source
from deepdsl.graph import verify
from deepdsl.graph.gemm import Gemm
from deepdsl.insight.summary import inspect_model, layer_rows
from deepdsl.language.lints import lint

Array = np.ndarray[Any, Any]

AUTOENCODER = """\
input x[6]
part encoder { dense 5 init=lecun_normal | tanh | dense 3 | tanh }
part decoder { dense 5 tie=encoder.dense_2 | tanh | dense 6 tie=encoder.dense_1 }
"""
TRAIN = "loss mean_squared_error; optimizer sgd lr=0.1; batch 4; seed 3"


def trained(model: str = AUTOENCODER, train: str = TRAIN) -> Training:
    return Training(training_file(model, train, "target input"))


def by_hand(state: dict[str, Array], x: Array) -> Array:
    w1, w2 = (state[f"encoder.dense_{n}.weight"] for n in (1, 2))
    b = {n: state[f"{n}.bias"] for n in ("encoder.dense_1", "encoder.dense_2")}
    d = {n: state[f"{n}.bias"] for n in ("decoder.dense_1", "decoder.dense_2")}
    h = np.tanh(np.tanh(x @ w1 + b["encoder.dense_1"]) @ w2 + b["encoder.dense_2"])
    return np.tanh(h @ w2.T + d["decoder.dense_1"]) @ w1.T + d["decoder.dense_2"]


def test_the_output_is_that_of_the_transposed_weights() -> None:
    made = trained()
    rng = np.random.default_rng(0)
    made.state = {
        k: rng.standard_normal(v.shape).astype(v.dtype) if k.endswith("bias") else v
        for k, v in made.state.items()
    }
    x = rng.standard_normal((7, 6)).astype(np.float32)
    near(made.infer(x=x), by_hand(made.state, x), 2e-6)


def test_gradients_of_both_uses_add_up() -> None:
    made = trained()
    x = np.random.default_rng(1).standard_normal((4, 6))
    gradient = made.gradient(x=x.astype(np.float32))
    state = {k: v.astype(np.float64) for k, v in made.state.items() if "coder" in k}

    def loss(at: dict[str, Array]) -> Any:
        return ((by_hand(at, x) - x) ** 2).mean()

    assert set(gradient) == set(state)
    for name, value in state.items():
        numeric = np.zeros_like(value)
        for place in np.ndindex(*value.shape):
            step = np.zeros_like(value)
            step[place] = 1e-5
            up, down = (loss({**state, name: value + s * step}) for s in (1, -1))
            numeric[place] = (up - down) / 2e-5
        near(gradient[name], numeric, 2e-6)


def test_one_tensor_is_trained_and_counted_once() -> None:
    whole = program(training_file(AUTOENCODER, TRAIN, "target input"))
    model, (training,) = whole.models["m"], whole.trainings
    assert [p.name for p in model.params] == [
        "encoder.dense_1.weight",
        "encoder.dense_1.bias",
        "encoder.dense_2.weight",
        "encoder.dense_2.bias",
        "decoder.dense_1.bias",
        "decoder.dense_2.bias",
    ]
    tied = next(c for c in model.calls if c.path == "decoder.dense_1")
    owner = next(c for c in model.calls if c.path == "encoder.dense_2")
    assert tied.params[0] == owner.params[0]
    inspected = inspect_model(model, None, training)
    assert inspected.total == 6 * 5 + 5 + 5 * 3 + 3 + 5 + 6
    row = next(r for r in layer_rows(model) if r.path == "decoder.dense_1")
    assert (row.params, row.shared, row.detail) == (5, False, "tied to encoder.dense_2")


def test_without_a_bias_the_layer_has_nothing_of_its_own() -> None:
    whole = program("model m { input x[4]; dense 3 | tanh | dense 4 tie=dense_1 bias=false }")
    rows = layer_rows(whole.models["m"])
    assert [(r.params, r.shared) for r in rows] == [(15, False), (0, False), (0, True)]


@pytest.mark.parametrize(
    ("body", "owner"),
    [
        ("dense 3 | tanh | dense 4 tie=dense_1", "dense_1"),
        ("part a { dense 3 | tanh | dense 4 tie=dense_1 }", "a.dense_1"),
        ("dense 4 | part a { dense 4 | tanh | dense 4 tie=dense_1 }", "a.dense_1"),
        # Of the layers before it: its own path is no other layer's.
        ("dense 4 | part a { dense 4 tie=dense_1 }", "dense_1"),
        ("part a { dense 3 | part b { tanh | dense 4 tie=a.dense_1 } }", "a.dense_1"),
        ("part a { dense 3 | part b { tanh | dense 4 tie=dense_1 } }", "a.dense_1"),
    ],
)
def test_a_path_is_looked_up_from_the_inside_out(body: str, owner: str) -> None:
    body = body.replace(" | part", "; part")
    model = program(f"model m {{ input x[4]; {body} }}").models["m"]
    assert [c.layer.tie for c in model.calls if getattr(c.layer, "tie", None)] == [owner]


def test_in_blocks_and_used_files_the_paths_are_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("inner.dnn").write_text(
        "model net { input y[4]; part e { dense 2 | tanh }; part d { dense 4 tie=e.dense_1 } }"
    )
    Path("m.dnn").write_text(
        'use "inner.dnn" as lib\n'
        "block both(units) { dense units | tanh | dense 4 tie=dense_1 | tanh }\n"
        "model m { input x[4]; both 3 | both 5 | lib.net }\n"
    )
    model = load_program(read_source(Path("m.dnn")))[0].models["m"]
    ties = [c.layer.tie for c in model.calls if getattr(c.layer, "tie", None)]
    assert ties == ["both_1.dense_1", "both_2.dense_1", "net_1.e.dense_1"]


def test_the_start_is_the_owners() -> None:
    text = "model m { input x[9]; dense 5 | relu | dense 9 tie=dense_1 | tanh }"
    alone = "model m { input x[9]; dense 5 | relu | dense 9 | tanh }"
    tied, free = (program(t).models["m"].params[0] for t in (text, alone))
    assert tied.init.name == free.init.name == "he_normal"


def test_defaults_of_dense_layers_count_for_the_owner_alone() -> None:
    model = program(
        "default dense init=lecun_normal l2=1e-3 max_norm=3; "
        "model m { input x[9]; dense 5 | selu | dense 9 tie=dense_1 | tanh }"
    ).models["m"]
    (weight,) = (p for p in model.params if p.role == "weight")
    assert weight.init.name == "lecun_normal"
    assert weight.regularizer.l2 == 1e-3


def test_along_a_sequence() -> None:
    made = trained("input x[3 4]; dense 2 per=position | tanh | dense 4 per=position tie=dense_1")
    x = np.random.default_rng(2).standard_normal((5, 3, 4)).astype(np.float32)
    w = made.state["dense_1.weight"]
    near(made.infer(x=x), np.tanh(x @ w) @ w.T, 2e-6)


def test_a_penalty_is_taken_once() -> None:
    x = np.zeros((4, 6), np.float32)
    made = trained("input x[6]; dense 3 l2=0.5 bias=false | dense 6 tie=dense_1 bias=false")
    before = made.weight("dense_1.weight").copy()
    made.step(x=x)
    near(made.weight("dense_1.weight"), before - 0.1 * 2 * 0.5 * before, 1e-6)


def test_nothing_is_predicted_behind_tied_weights() -> None:
    whole, _ = load_program(Source("m", training_file(AUTOENCODER, TRAIN, "target input")))
    assert [d.code for d in lint(whole)] == []


def test_no_transposition_is_computed() -> None:
    model = program("model m { input x[4]; dense 3 | tanh | dense 4 tie=dense_1 }").models["m"]
    graph = verify(inference_graph(model))
    assert [n.op for n in graph.nodes if isinstance(n.op, Gemm)] == [Gemm(), Gemm(False, True)]


DIGITS = """\
data pixels {{ train builtin digits; target input; valid split=10%; scale (1 / 16) }}
model net {{
  input image[8 8]
  part encoder {{ flatten | dense 24 | elu | dense 8 | elu }}
  part decoder {{ dense 24 {0} | elu; dense 64 {1} | sigmoid; reshape [8 8] }}
}}
train net on pixels {{
  loss mean_squared_error; optimizer adam lr=1e-2; batch 64; epochs 6; seed 1
}}
"""
TIED = DIGITS.format("tie=encoder.dense_2", "tie=encoder.dense_1")


def test_an_autoencoder_learns_digits() -> None:
    made = run(TIED)
    # The mean digit leaves 0.074 of the squares.
    assert made.valid["loss"] < 0.04
    assert {k for k in made.state if k.startswith("decoder")} == {
        "decoder.dense_1.bias",
        "decoder.dense_2.bias",
    }


def test_an_export_of_tied_weights_has_them_once(tmp_path: Any, capsys: Any) -> None:
    spec = tmp_path / "ae.dnn"
    spec.write_text(TIED.replace("epochs 6", "epochs 1"))
    assert main(["train", str(spec), "-o", str(tmp_path / "run"), "--quiet"]) == 0
    out = tmp_path / "ae.onnx"
    assert main(["export", str(tmp_path / "run"), "-o", str(out)]) == 0
    job, _ = opened(TIED)
    numbers = sum(p.type.count or 0 for p in job.task.model.params)
    assert 4 * numbers < out.stat().st_size < 4 * numbers + 6000


def said(body: str, more: str = "") -> str:
    text = f"{more}model m {{ input x[8]; {body} }}"
    report = check(Source("m.dnn", text))[1]
    return "\n".join(
        f"{d.code} {d.span!r} {d.message}; {d.label}; {d.help}; "
        + ", ".join(f"{n.text} {n.span!r}" for n in d.notes)
        for d in report
    )


MESSAGES = {
    "a part": (
        "part encoder { dense 3 | tanh | dense 2 }; dense 3 tie=encoder",
        "not a layer: name one inside, `tie=encoder.dense_2`",
    ),
    "another number": (
        "part encoder { dense 3 | tanh }; dense 8 tie=encoder.dense_2",
        "did you mean `encoder.dense_1`?",
    ),
    "nothing above": ("dense 8 tie=encoder.dense_1", "there is no dense layer above"),
    "a name from within": (
        "part a { dense 3 | tanh | dense 8 tie=dence_1 }",
        "did you mean `dense_1`?",
    ),
    "a chain": (
        "dense 3 | dense 8 tie=dense_1 | dense 3 tie=dense_2",
        "`dense_2` has no weights of its own: it is tied to `dense_1`",
    ),
    "itself": ("dense 8 tie=dense_1", "`dense_1` is this layer itself"),
    "one below": ("dense 3 tie=dense_2 | tanh | dense 8", "`dense_2` comes later"),
    "other sizes": (
        "part e { dense 5 | dense 3 }; dense 4 tie=e.dense_2",
        "`dense_2` has 5 × 3, its transpose takes 3 and gives 5; "
        "this layer takes 3 and gives 4; write `dense 5 tie=…`",
    ),
    "another input": (
        "part e { dense 5 | dense 3 }; dense 8 tie=e.dense_1",
        "let 5 numbers flow into it",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str) -> None:
    body, words = MESSAGES[name]
    made = said(body)
    assert words in made
    assert made.count("\n") == 0  # one mistake is told once


def test_mistakes_in_a_block_lead_to_their_use() -> None:
    block = "block b(units) { dense units tie=dense_7 | tanh }\n"
    report = list(check(Source("m.dnn", f"{block}model m {{ input x[8]; b 3 | b 4 }}"))[1])
    assert [d.code for d in report] == ["E590"]
    assert [use.name for use in report[0].uses] == ["`b`"]
