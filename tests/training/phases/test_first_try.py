"""Mistakes of a first try: one message for each, at its place, with a way out that is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from deepdsl.compiler.front_end import check, load_program, training_of
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.training.workflow import prepare

OLD = """\
model old {
  input image[2 8 8]
  part body { conv 4 3x3 | relu | conv 6 3x3 | relu }
}
"""
NEW = """\
use "old.dnn" as old weights="w.safetensors"
data rows { train npz "rows.npz" }
model net {
  input image[2 8 8]
  part body { reuse old.old.body OPTIONS }
  part head { flatten | dense 3 | softmax }
}
train net on rows { loss cross_entropy; seed 1 }
"""
ROWS = "data d { train builtin digits; scale (1 / 16) }\n"
NET = "model n { input x[8 8]; part body { flatten | dense 8 | relu }; dense 10 | softmax }\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.dnn").write_text(OLD)
    np.savez("rows.npz", x=np.zeros((8, 2, 8, 8), np.float32), y=np.arange(8) % 3)
    shapes = {"a.weight": (4, 2, 3, 3), "a.bias": (4,), "b.weight": (6, 4, 3, 3), "b.bias": (6,)}
    save_file({n: np.ones(s, np.float32) for n, s in shapes.items()}, "w.safetensors")


def problems(options: str) -> tuple[Diagnostic, ...]:
    """What a training says of its weights."""
    source = Source("new.dnn", NEW.replace("OPTIONS", options))
    program, _ = load_program(source)
    with pytest.raises(DnnError) as raised:
        prepare(program, training_of(program, None), Path(), Path("run"), "cpu", 1, False)
    return tuple(raised.value.diagnostics)


def told(text: str) -> tuple[Diagnostic, ...]:
    return tuple(check(Source("net.dnn", text))[1])


def test_a_prefix_that_fits_nothing_is_told_alone() -> None:
    (found,) = problems('prefix="module." rename=["a=conv_1" "b=conv_2"]')
    assert found.code == "E533"
    assert found.help == "names begin with: a, b"


def test_a_rename_is_shown_where_it_stands() -> None:
    (found,) = problems('rename=["c=conv_1" "b=conv_2"]')
    assert found.span is not None
    assert (found.code, found.span.line) == ("E533", 5)
    assert "rename=" in found.span.text


def test_a_layout_that_turns_kernels_that_fit() -> None:
    (found,) = problems('layout=keras rename=["a=conv_1" "b=conv_2"]')
    assert found.code == "E528"
    assert found.label == "with `layout=keras` it would be 3 × 3 × 2 × 4 in the file"
    assert "leave `layout=` out" in found.help


def test_where_to_write_how_weights_are_found() -> None:
    (found,) = problems("")
    assert (found.code, "`match=shape`" in found.help) == ("E530", True)
    text = NEW.replace("OPTIONS", "").replace('safetensors"', 'safetensors" match=order')
    found, *others = told(text)
    assert (found.code, others) == ("E102", [])
    assert found.help == "write it behind `reuse`, as in `reuse old.… match=order`"


def test_a_freeze_that_matches_nothing_is_told_alone() -> None:
    rows = "phase a { freeze bdy }; phase b { unfreeze body }"
    text = f"{ROWS}{NET}train n on d {{ loss cross_entropy; seed 1; {rows} }}\n"
    assert [d.code for d in told(text)] == ["E506"]


def test_a_row_of_paths_has_no_options() -> None:
    rows = "phase a { freeze body }; phase b { unfreeze body until=1 }"
    text = f"{ROWS}{NET}train n on d {{ loss cross_entropy; seed 1; {rows} }}\n"
    (found,) = told(text)
    assert (found.code, found.help) == ("E102", "`unfreeze` takes no options")


@pytest.mark.parametrize("behind", ["", "train n on d { loss cross_entropy; seed 1 }\n"])
def test_a_list_over_several_lines_is_one_mistake(behind: str) -> None:
    piece = 'reuse old.old.body rename=[\n    "a=conv_1"\n    "b=conv_2" "c=conv_3"\n  ]\n'
    found = told(f"model n {{\n  input x[8 8]\n  {piece}}}\n{behind}")
    assert [(d.code, d.help) for d in found if d.code[:2] == "E0"] == [
        ("E006", "write `]` where it ends, on the same line")
    ]
