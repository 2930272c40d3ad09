"""Pieces of networks: what is taken, what it is called where it is put, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepdsl.compiler.front_end import check, load_program
from deepdsl.core.source import Source
from deepdsl.language.analysis import Model

SOURCE = """
block unit(n) { dense n bias=false | batch_norm | relu }
model old {
  input x[8]
  part body {
    unit 6 | unit 6
    part top { dense 5 | elu }
    dropout 20%
  }
  part head { dense 3 | softmax }
}
"""


def checked(
    body: str, source: str = SOURCE, folder: Path | None = None
) -> tuple[Model | None, list[str]]:
    text = f"{source}\nmodel new {{\n  input x[8]\n  {body}\n}}\n"
    program, report = check(Source("t.dnn", text, str((folder or Path()) / "t.dnn")))
    model = program.models.get("new") if program is not None else None
    return model, [d.code for d in report]


def layers(body: str, source: str = SOURCE) -> list[str]:
    model, codes = checked(body, source)
    assert codes == []
    assert model is not None
    return [c.path for c in model.calls]


def tensors(body: str, source: str = SOURCE) -> dict[str, str]:
    model, codes = checked(body, source)
    assert codes == []
    assert model is not None
    return {k: v for r in model.reused for k, v in r.tensors.items()}


WHOLE = [
    *(f"unit_{n}.{layer}_1" for n in (1, 2) for layer in ("dense", "batch_norm", "relu")),
    *("top.dense_1", "top.elu_1", "dropout_1"),
]


def test_layers_have_the_names_that_they_would_have_if_they_were_written_here() -> None:
    assert layers("reuse old.body; dense 2 | softmax") == [*WHOLE, "dense_1", "softmax_1"]
    inside = layers("part trunk { reuse old.body }; dense 2 | softmax")
    assert inside == [*(f"trunk.{name}" for name in WHOLE), "dense_1", "softmax_1"]


def test_numbers_go_on_behind_what_stands_before() -> None:
    found = layers(
        "dense 8 | elu; reuse old.body.top | dense 2 | softmax",
        "model old { input x[8]; part body { part top { dense 5 | elu } } }",
    )
    assert found == ["dense_1", "elu_1", "dense_2", "elu_2", "dense_3", "softmax_1"]
    twice = layers("reuse old.body.unit_1; dense 6 | elu; reuse old.body.unit_2; dense 2 | softmax")
    assert [p for p in twice if "batch_norm" in p] == ["batch_norm_1", "batch_norm_2"]


def test_tensors_know_where_they_come_from() -> None:
    found = tensors(
        "part trunk { reuse old.body.top }; dense 2 | softmax",
        SOURCE.replace("input x[8]", "input x[6]")
        .replace("unit 6 | unit 6", "unit 6 | unit 8")
        .replace("x[6]", "x[8]"),
    )
    assert found == {
        "trunk.dense_1.weight": "body.top.dense_1.weight",
        "trunk.dense_1.bias": "body.top.dense_1.bias",
    }


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        ("old.body until=unit_2", WHOLE[:6]),
        ("old.body until=top", WHOLE[:8]),
        ("old.body until=unit_2.dense_1", WHOLE[:4]),
        ("old.body without=[dropout_1]", WHOLE[:8]),
        ("old.body without=top", [*WHOLE[:6], WHOLE[8]]),
        ("old without=[head body.dropout_1]", [f"body.{n}" for n in WHOLE[:8]]),
        ("old until=body", [f"body.{n}" for n in WHOLE]),
        ("old.body.unit_1", ["dense_1", "batch_norm_1", "relu_1"]),
        ("old.body.unit_1.dense_1", ["dense_1"]),
    ],
)
def test_cuts(cut: str, left: list[str]) -> None:
    found = layers(f"reuse {cut} | tanh; dense 2 | sigmoid")
    assert found[: len(left)] == left
    assert len(found) == len(left) + 3


def test_a_piece_from_the_middle() -> None:
    found = layers("dense 6 | elu; reuse old.body from=unit_2; dense 2 | softmax")
    assert found == [
        "dense_1",
        "elu_1",
        *(n.replace("unit_2", "unit_1") for n in WHOLE[3:]),
        "dense_2",
        "softmax_1",
    ]


RESIDUAL = """
model old {
  input x[8]
  part body {
    a = in | dense 8 | relu
    in + a | dense 8 | relu
  }
}
"""


def test_a_residual_connection_is_taken_whole_or_not_at_all() -> None:
    assert len(layers("reuse old.body; dense 2 | softmax", RESIDUAL)) == 7
    assert checked("reuse old.body from=add_1; dense 2 | softmax", RESIDUAL)[1] == ["E501"]
    assert len(layers("reuse old.body from=dense_2; dense 2 | softmax", RESIDUAL)) == 4


def test_a_part_that_is_used_twice_shares_what_it_reuses() -> None:
    body = (
        "part tower { reuse old.body }; a = x | tower; b = x | tower\n"
        "concat a b | dense 2 | softmax"
    )
    model, codes = checked(body)
    assert (codes, model is not None) == ([], True)
    assert model is not None
    assert len(model.reused) == 1
    assert [c.path for c in model.calls].count("tower.top.dense_1") == 2


def test_a_shared_part_of_the_source_is_taken_once() -> None:
    source = (
        "model old { input a[8]; input b[8]; part t { dense 6 | relu }\n"
        "  u = a | t; v = b | t; concat u v | dense 1 | sigmoid }"
    )
    assert layers("reuse old.t; dense 2 | softmax", source) == [
        "dense_1",
        "relu_1",
        "dense_2",
        "softmax_1",
    ]
    assert checked("reuse old; dense 2 | softmax", source)[1] == ["E501"]


def test_the_first_layers_keep_their_weights() -> None:
    model, _ = checked("part body { reuse old.body layers=1 }; dense 2 | softmax")
    assert model is not None
    (reused,) = model.reused
    kept = sorted(reused.tensors.keys() - reused.fresh)
    # The norm goes with the layer in front of it.
    norm = ("beta", "gamma", "running_mean", "running_variance")
    assert kept == [
        *(f"body.unit_1.batch_norm_1.{name}" for name in norm),
        "body.unit_1.dense_1.weight",
    ]
    none, _ = checked("part body { reuse old.body layers=0 }; dense 2 | softmax")
    assert none is not None
    assert none.reused[0].fresh == none.reused[0].tensors.keys()


def test_what_begins_afresh_is_not_frozen() -> None:
    train = (
        'data d { train npz "x.npz" }\ntrain new on d { loss cross_entropy; seed 1; freeze body }\n'
    )
    body = "part body { reuse old.body layers=1 }; dense 2 | softmax"
    text = f"{SOURCE}\nmodel new {{ input x[8]; {body} }}\n{train}"
    program, _ = load_program(Source("t.dnn", text))
    freezing = program.trainings[0].freezing
    assert {t for t in freezing.tensors if t.endswith("weight")} == {"body.unit_1.dense_1.weight"}
    assert "body.top.dense_1" not in freezing.calls


def test_a_piece_of_a_piece() -> None:
    trunk = "part trunk { reuse old.body until=unit_1 }; dense 2 | softmax"
    source = f"{SOURCE}\nmodel mid {{ input x[8]; {trunk} }}"
    found = tensors("reuse mid.trunk.unit_1; dense 2 | softmax", source)
    assert found["dense_1.weight"] == "trunk.unit_1.dense_1.weight"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("reuse old.bdy; dense 2 | softmax", "E500"),
        ("reuse old.body until=unit_3; dense 2 | softmax", "E500"),
        ("reuse old.body without=[tip]; dense 2 | softmax", "E500"),
        ("reuse old.body until=unit_1 from=unit_2; dense 2 | softmax", "E501"),
        ("reuse unit; dense 2 | softmax", "E501"),
        ("part a { dense 8 }; reuse a; dense 2 | softmax", "E501"),
        ("reuse ol.body; dense 2 | softmax", "E114"),
        ("dense 7; reuse old.body; dense 2 | softmax", "E504"),
        ("reuse old.body layers=9; dense 2 | softmax", "E505"),
        ("reuse old.body match=exact; dense 2 | softmax", "E103"),
        ("reuse old.body upto=unit_1; dense 2 | softmax", "E102"),
        ("reuse new; dense 2 | softmax", "E503"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(body: str, code: str) -> None:
    _, codes = checked(body)
    assert [c for c in codes if c.startswith("E")][:1] == [code]


def test_a_file_without_weights(tmp_path: Path) -> None:
    (tmp_path / "old.dnn").write_text(SOURCE)
    said = checked("reuse o.old.body; dense 2 | softmax", 'use "old.dnn" as o\n', tmp_path)
    assert said[1] == ["E502"]
    given = 'use "old.dnn" as o weights="runs/old"\n'
    model, codes = checked("reuse o.old.body; dense 2 | softmax", given, tmp_path)
    assert codes == []
    assert model is not None
    assert model.reused[0].weights == str(tmp_path / "runs" / "old")
    here, _ = checked('reuse o.old.body weights="w.npz"; dense 2 | softmax', given, tmp_path)
    assert here is not None
    assert here.reused[0].weights == str(tmp_path / "w.npz")


def test_a_file_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "old.dnn").write_text(SOURCE)
    given = 'use "old.dnn" as o weights="runs/old"\n'
    assert checked("reuse o; dense 2 | softmax", given, tmp_path)[1] == ["E501"]
    assert checked("reuse o.body; dense 2 | softmax", given, tmp_path)[1] == ["E500"]


def test_nothing_is_said_of_layers_that_were_made_elsewhere() -> None:
    """Lints are for what is written here: the bias before batch norm was another's decision."""
    source = "model old { input x[8]; part body { dense 6 | batch_norm | relu } }"
    assert checked("part body { reuse old.body }; dense 2 | softmax", source)[1] == ["W402"]
