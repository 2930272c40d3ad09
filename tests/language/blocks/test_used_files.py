"""`use "other.dnn" as name`: what it brings, what is said of it, runs that outlive the files."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deepdsl
from deepdsl.cli import main
from deepdsl.compiler.front_end import check, diagnose, load_program, read_source
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic, render_all
from deepdsl.language.fixes import fix

LIBRARY = """
let width = 8
default dense init=he_normal bias=false
block unit(width, act=relu) { dense width | batch_norm | act }
block stack(inner, depth=2) { repeat depth { inner } }
model trunk {
  input image[8 8]
  flatten | unit 16
  h = unit width
  output h
}
model small { input image[8 8]; flatten | unit 12 act=tanh | dense 10 bias=true | softmax }
"""
MAIN = """use "parts/library.dnn" as lib
data digits { train builtin digits; scale (1 / 16) }
block own(size) { lib.unit size act=elu }
model net {
  input image[8 8]
  lib.trunk
  lib.unit lib.width | own (lib.width * 2)
  lib.stack own(6) depth=3
  dense 10 | softmax
}
train net on digits { loss cross_entropy; metric accuracy; epochs 1; seed 1 }
train lib.small on digits { loss cross_entropy; metric accuracy; epochs 1; seed 1 }
export lib.small { onnx "small.onnx" }
"""
NET = "model net { input x[4]; dense 3 | softmax }"


def said(file: str = "main.dnn") -> list[Diagnostic]:
    return list(check(read_source(Path(file)))[1])


def told(file: str = "main.dnn") -> list[tuple[str, str]]:
    return [(d.code, repr(d.span)) for d in said(file)]


def normal(text: str) -> str:
    return text.replace("\\\\", "/").replace("\\", "/")


# What it brings -----------------------------------------------------------------------------------


def test_blocks_models_and_constants(files: Any) -> None:
    files(main=MAIN, parts__library=LIBRARY)
    assert said() == []
    program, _ = load_program(read_source(Path("main.dnn")))
    found = {call.path: call.layer.show() for call in program.models["net"].calls}
    assert [p for p in found if "dense" in p] == [
        "trunk_1.unit_1.dense_1",
        "trunk_1.unit_2.dense_1",
        "unit_1.dense_1",
        "own_1.unit_1.dense_1",
        "stack_1.own_1.unit_1.dense_1",
        "stack_1.own_2.unit_1.dense_1",
        "stack_1.own_3.unit_1.dense_1",
        "dense_1",
    ]
    # Its defaults are for its own lines.
    assert found["own_1.unit_1.dense_1"] == "dense(16 init=he_normal bias=false)"
    assert found["dense_1"] == "dense(10 init=glorot_uniform)"
    assert found["stack_1.own_2.unit_1.elu_1"] == "elu"
    assert list(program.models) == ["net", "lib.small"]
    assert [t.model for t in program.trainings] == ["net", "lib.small"]
    assert program.exports["lib.small"].file == "small.onnx"


def test_files_of_files_are_read_once(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files(
        main='use "a.dnn" as a; use "sub/b.dnn" as b\n'
        "model net { input x[4]; a.unit | b.unit | dense 3 | softmax }",
        a='use "sub/c.dnn" as c\nblock unit() { c.unit }',
        sub__b='use "c.dnn" as c; use "../sub/c.dnn" as d\nblock unit() { c.unit | d.unit }',
        sub__c="block unit() { dense 8 | relu }",
    )
    read: list[str] = []
    real = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(normal(str(path)))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    assert said() == []
    assert read == ["main.dnn", "a.dnn", "sub/c.dnn", "sub/b.dnn"]


def test_a_text_without_a_file(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """From stdin paths start in the current folder, from Python in the folder that is named."""
    folder = files(parts__library=LIBRARY, elsewhere__parts__library=LIBRARY)
    stdin = io.TextIOWrapper(io.BytesIO(MAIN.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["check", "-", "-q"]) == 0
    assert deepdsl.loads(MAIN, folder=folder / "elsewhere").ok
    assert deepdsl.loads(MAIN).ok
    lost = deepdsl.loads(MAIN, folder="nowhere")
    assert [d.code for d in lost.diagnostics] == ["E133"]


def test_settings_keep_the_folder(files: Any) -> None:
    folder = files(sub__main=MAIN, sub__parts__library=LIBRARY)
    assert main(["check", "sub/main.dnn"]) == 0
    answer = main(["build", "sub/main.dnn", "--model", "net", "--epochs", "2", "-o", "made"])
    assert answer == 0
    assert (folder / "made" / "net" / "step.onnx").exists()


# What is said -------------------------------------------------------------------------------------


def test_a_mistake_is_shown_in_its_own_file(files: Any) -> None:
    files(
        main='use "lib.dnn" as lib\n' + NET.replace("dense 3", "lib.unit 8 | lib.unit 9 | dense 3"),
        lib="block unit(width) {\n  dense width | rleu\n}\n",
    )
    (error,) = said()
    assert (error.code, repr(error.span), error.elsewhere) == ("E101", "lib.dnn:2:17", 1)
    assert render_all([error]) == (
        """error[E101]: there is no layer, block, part or value `rleu`
 --> lib.dnn:2:17
  |
2 |   dense width | rleu
  |                 ^^^^
 ::: main.dnn:2:25
  |
2 | model net { input x[4]; lib.unit 8 | lib.unit 9 | dense 3 | softmax }
  |                         ---------- `lib.unit` is used here, and 1 more time
  |
help: did you mean `relu`?

1 error
"""
    )


def test_what_cannot_be_read_has_the_way_to_it(files: Any) -> None:
    files(
        main=f'use "a.dnn" as a\n{NET.replace("dense 3", "a.unit | dense 3")}',
        a='use "b.dnn" as b\nlet n = (1 / 0)\nblock unit() { b.unit }',
        b="block unit() { dense 8 | | relu }\nblok other() { relu }\n",
    )
    found = said()
    assert {d.span.source.name for d in found if d.span} == {"a.dnn", "b.dnn"}
    assert [[(u.name, repr(u.span)) for u in d.uses] for d in found] == [
        [("`a`", "main.dnn:1:1")],
        *[[("`b`", "a.dnn:1:1"), ("`a`", "main.dnn:1:1")]] * (len(found) - 1),
    ]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ('use "librari.dnn" as lib', "E133", "there is no such file"),
        ('use "library" as lib', "E133", "did you mean `library.dnn`?"),
        ('use "folder.dnn" as lib', "E133", "it is a folder"),
        ('use "" as lib', "E133", "it is neither a .dnn nor an .onnx file"),
        ('use "weights.npz" as lib', "E133", "it is neither a .dnn nor an .onnx file"),
        ('use "bytes.dnn" as lib', "E133", "it looks like a zip or npz file"),
        ('use "net.onnx" as lib', "E133", "there is no such file"),
        ('use "library.dnn" as lib weights=runs', "E103", "`weights`"),
        ('use "library.dnn" as lib "runs/a"', "E105", "weights="),
        ('use "library.dnn" as lib wieghts="runs/a"', "E102", "did you mean `weights`?"),
        ('use "main.dnn" as lib', "E134", "uses itself"),
    ],
)
def test_what_cannot_be_used(files: Any, line: str, code: str, words: str) -> None:
    """And what stands in such a file is not called unknown."""
    text = f"{line}\nmodel net {{ input x[4]; lib.unit lib.width | dense lib.width | softmax }}"
    text += "\ndata d { train builtin digits }\ntrain lib.net on d { loss cross_entropy; seed 1 }"
    folder = files(main=text, library="let width = 3\nblock unit(n) { dense n | relu }")
    (folder / "folder.dnn").mkdir()
    (folder / "bytes.dnn").write_bytes(b"PK\x03\x04\xff\xfe")
    (found, *more) = said()
    assert found.code == code
    assert words in f"{found.message} {found.help}"
    assert [d.code for d in more] == (["E114"] if "library.dnn" in line else [])


def test_a_name_that_a_file_does_not_have(files: Any) -> None:
    text = """use "parts/library.dnn" as lib
    model net { input x[8 8]; flatten | lib.unti 8 | lib.unit lib.wdth | lib.small | softmax }
    data d { train builtin digits }
    train lib.smal on d { loss cross_entropy; seed 1 }
    """
    files(main=text, parts__library=LIBRARY)
    found = said()
    assert [(d.code, d.help) for d in found] == [
        ("E101", "did you mean `lib.unit`?"),
        ("E109", "did you mean `lib.width`?"),
        ("E114", "did you mean `lib.small`?"),
    ]


def test_files_in_a_circle(files: Any) -> None:
    files(main=f'use "a.dnn" as a\n{NET}', a='use "b.dnn" as b', b='let n = 1\nuse "a.dnn" as a')
    found = [d for d in said() if d.code == "E134"]
    assert [(d.message, repr(d.span)) for d in found] == [
        ("files use each other: a.dnn → b.dnn → a.dnn", "b.dnn:2:5")
    ]
    assert [(n.text, repr(n.span)) for n in found[0].notes] == [("b.dnn is used here", "a.dnn:1:5")]
    files(main=f'use "c.dnn" as c\n{NET}', c='use "./main.dnn" as me')
    assert [(d.code, d.message) for d in said() if d.code.startswith("E")] == [
        ("E134", "files use each other: main.dnn → c.dnn → main.dnn")
    ]


def test_a_model_that_cannot_stand_in_a_flow(files: Any) -> None:
    files(
        main='use "lib.dnn" as lib\nmodel net { input x[4]; lib.two | lib.ends | lib.wide | '
        "lib.none | dense 3 | softmax }\nmodel ok { input x[4]; lib.one | softmax }\n"
        "model more { input x[4]; lib.one 3 | softmax }\n"
        "model wide { input x[5]; lib.one | softmax }\n",
        lib="""
        model two { input a[4]; input b[4]; a + b | dense 3 }
        model one { input a[4]; dense 3 }
        """,
    )
    found = said()
    assert [d.code for d in found] == ["E135", "E101", "E101", "E101", "E105", "E201"]
    assert "it has 2 inputs" in found[0].message
    files(
        main='use "lib.dnn" as lib\nmodel net { input x[4]; lib.ends | dense 3 | softmax }',
        lib="model ends { input a[4]; b = dense 3 | tanh; c = a | dense 2; output b c }",
    )
    (error,) = said()
    assert (error.code, error.message) == (
        "E135",
        "the model `lib.ends` cannot be used as a layer: it has 2 outputs",
    )


def test_unused_files_and_what_they_could_say(files: Any) -> None:
    net = NET.replace("dense", "lib.u | dense")
    files(
        main=f'use "lib.dnn" as lib\nuse "lib.dnn" as other\n{net}',
        lib="let lost = 3\nblock u(extra=1) { dense 8 | relu }\nblock v() { relu }\n"
        "model spare { input x[3]; dense 3 | softmax }",
    )
    # What concerns the used file alone is said where that file is checked.
    assert [(d.code, d.message) for d in said()] == [("W401", "the file `other` is never used")]
    assert [d.code for d in said("lib.dnn")] == ["W401"] * 4


def test_fixes_stay_in_their_file(files: Any) -> None:
    text = 'use "lib.dnn" as lib\nlet lost = 3\n' + NET.replace("dense 3", "lib.u 8 | dense 3")
    folder = files(main=text, lib="block u(n) { dense n | batch_norm | relu }\n")
    found = said()
    assert [(d.code, bool(d.fixes)) for d in found] == [("W402", False), ("W401", True)]
    fixed = fix(read_source(Path("main.dnn")), diagnose)
    assert fixed.source.text == text.replace("let lost = 3\n", "")
    assert [d.code for d in fixed.left] == ["W402"]
    assert main(["check", "--fix", "main.dnn", "lib.dnn", "-q"]) == 0
    assert (folder / "lib.dnn").read_text() == "block u(n) { dense n | batch_norm | relu }\n"


def test_warnings_are_allowed_where_they_stand(files: Any) -> None:
    text = 'use "lib.dnn" as lib\n' + NET.replace("dense 3", "lib.u 8 | dense 3")
    files(main=text, lib="block u(n) { dense n | batch_norm | relu }  # dnnc: allow W402\n")
    assert said() == []


def test_so_many_files_and_no_more(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = {f"f{n}": f'use "f{n + 1}.dnn" as next\nblock u() {{ relu }}' for n in range(120)}
    files(main=f'use "f0.dnn" as f\n{NET.replace("dense", "f.u | dense")}', **chain)
    found = [d for d in said() if d.code == "E116"]
    assert [d.message for d in found] == ["101 files are used up to here; the limit is 100"]
    assert [len(d.uses) for d in found] == [100]
    monkeypatch.setattr("deepdsl.language.used_files.MOST_BYTES", 1000)
    found = [d for d in said() if d.code == "E116"]
    assert "bytes up to here; the limit is 1,000" in found[0].message


# Runs ---------------------------------------------------------------------------------------------


def test_a_run_outlives_the_files(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    inner = LIBRARY.replace("\nlet", '\nuse "b/library.dnn" as base\nlet', 1)
    inner = inner.replace("{ dense width |", "{ base.keep | dense width |")
    keep = "block keep() { in }"
    folder = files(sub__main=MAIN, sub__parts__library=inner, sub__parts__b__library=keep)
    for model in ("net", "lib.small"):
        assert main(["train", "sub/main.dnn", "--model", model, "-o", f"runs/{model}", "-q"]) == 0
    run = folder / "runs" / "lib.small"
    names = {p.relative_to(run).as_posix() for p in run.rglob("*.dnn")}
    assert names == {"spec.dnn", "used/library.dnn", "used/library-2.dnn"}
    assert (run / "spec.dnn").read_text() == MAIN.replace("parts/library.dnn", "used/library.dnn")

    rows = np.zeros((2, 8, 8), np.float32)
    before = deepdsl.open_run(run).predict(rows)
    hashes = {json.loads((folder / "runs" / m / "manifest.json").read_text())["spec_sha256"]
              for m in ("net", "lib.small")}  # fmt: skip
    shutil.rmtree(folder / "sub")
    assert np.array_equal(deepdsl.open_run(run).predict(rows), before)
    assert main(["export", "runs/lib.small", "-o", "small.onnx", "-q"]) == 0
    assert main(["report", "runs/net", "-q"]) == 0
    page = (folder / "runs/net/report.html").read_text()
    assert "block stack(inner, depth=2)" in page
    assert "used/library-2.dnn" in normal(page)
    assert main(["check", "runs/net/spec.dnn", "--strict"]) == 0
    assert len(hashes) == 1
    capsys.readouterr()


def test_resuming_compares_what_is_meant(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = files(main=MAIN, parts__library=LIBRARY)
    train = ["train", "main.dnn", "--model", "lib.small", "-o", "run", "-q"]
    assert main(train) == 0
    spec = json.loads((folder / "run/manifest.json").read_text())["spec_sha256"]
    # Blocks of other names have other weights.
    files(main=MAIN.replace("lib.unit", "lib.piece"))
    files(parts__library=LIBRARY.replace("unit", "piece"))
    assert main([*train, "--resume", "--epochs", "2"]) == 3
    assert "`piece_1.batch_norm_1.beta` was absent" in capsys.readouterr().err
    # Another text of the same meaning.
    files(main=MAIN, parts__library="# a comment\n" + LIBRARY)
    assert main([*train, "--resume", "--epochs", "2"]) == 0
    assert json.loads((folder / "run/manifest.json").read_text())["spec_sha256"] != spec
    assert (folder / "run/used/library.dnn").read_text().startswith("# a comment")
    # Another meaning.
    files(parts__library=LIBRARY.replace("unit 12", "unit 14"))
    capsys.readouterr()
    assert main([*train, "--resume", "--epochs", "3"]) == 3
    assert "dense(12" in capsys.readouterr().err


def test_all_texts_are_in_the_hash(files: Any) -> None:
    from deepdsl.compiler.build import spec_hash

    main_, used = Source("a", "one"), Source("b", "two")
    hashes = [spec_hash(main_), spec_hash(main_, (used,)), spec_hash(main_, (used, used))]
    assert len({*hashes, spec_hash(Source("a", "onetwo"))}) == 4


def test_commands_on_several_files(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    files(main=MAIN, parts__library=LIBRARY)
    assert main(["inspect", "main.dnn", "--model", "lib.small"]) == 0
    assert "unit_1.dense_1" in capsys.readouterr().out
    for stage in ("ast", "ir"):
        assert main(["build", "main.dnn", "--model", "net", "--emit", stage]) == 0
    shown = capsys.readouterr().out
    assert "trunk_1.unit_1.dense_1.weight" in shown
    assert main(["fmt", "main.dnn", "--check"]) in (0, 1)
    assert re.search(r"use \"parts/library.dnn\" as lib", Path("main.dnn").read_text())
    assert os.path.exists("main.dnn")
