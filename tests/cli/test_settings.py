"""Settings on the command line: what they change in the text that is run."""

from __future__ import annotations

import pytest

from deepdsl.compiler.front_end import load_program
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.language.overrides import apply_settings
from deepdsl.language.syntax.parser import parse

TEXT = """\
data digits { train builtin digits }
model net { input image[8 8]; flatten | dense 10 | softmax }
train net on digits {
  loss cross_entropy  # as ever
  optimizer sgd lr=0.1 momentum=0.9
  batch 32; seed 1
}
"""


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("optimizer.lr=0.5", "  optimizer sgd lr=0.5 momentum=0.9"),
        ("optimizer.nesterov=true", "  optimizer sgd lr=0.1 momentum=0.9 nesterov=true"),
        ("optimizer=adam lr=3e-4", "  optimizer adam lr=3e-4"),
        ("optimizer=adam", "  optimizer adam"),
        ("loss.smoothing=0.1", "  loss cross_entropy smoothing=0.1  # as ever"),
        ("batch=64", "  batch 64; seed 1"),
        ("epochs=3", "; epochs 3 }"),
        ("clip.norm=2", "; clip norm=2 }"),
    ],
)
def test_a_setting_changes_its_row_and_nothing_else(setting: str, line: str) -> None:
    changed = apply_settings(Source("net.dnn", TEXT), [setting])
    lines = changed.text.splitlines()
    assert line in lines
    assert sum(a != b for a, b in zip(lines, TEXT.splitlines(), strict=True)) == 1
    load_program(changed)


FULL = """\
use "old.dnn" as old
let depth = (2 + 1)  # three
default dense init=he_normal
data digits { train builtin digits; take 400 stratify=true }
data others { train builtin digits; take 10 }
model net {
  input image[8 8]
  let inner = 4
  part body { reuse old.net.body }
  part tail { reuse old.net.tail layers=1 | relu }
}
model other { input image[8 8]; reuse old.net.body }
train net on digits {
  phase warm { epochs 3; optimizer sgd lr=0.1 }
  phase fine { epochs 5 }
}
"""


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("let.depth=5", "let depth = 5  # three"),
        ("let.depth=(3 * 2)", "let depth = (3 * 2)  # three"),
        ("let.inner=7", "  let inner = 7"),
        ("warm.epochs=9", "  phase warm { epochs 9; optimizer sgd lr=0.1 }"),
        ("warm.optimizer.lr=1", "  phase warm { epochs 3; optimizer sgd lr=1 }"),
        ("fine.optimizer=adam", "  phase fine { epochs 5 ; optimizer adam }"),
        ("data.take=9", "data digits { train builtin digits; take 9 stratify=true }"),
        (
            "data.take.stratify=false",
            "data digits { train builtin digits; take 400 stratify=false }",
        ),
        ("default.dense.init=zeros", "default dense init=zeros"),
        ("default.dense.l2=1e-4", "default dense init=he_normal l2=1e-4"),
        ("reuse:old.net.body.layers=3", "  part body { reuse old.net.body layers=3 }"),
        ("reuse:old.net.tail.layers=3", "  part tail { reuse old.net.tail layers=3 | relu }"),
        ("seed=3", "; seed 3 }"),
    ],
)
def test_settings_of_the_rest_of_a_file(setting: str, line: str) -> None:
    changed = apply_settings(Source("net.dnn", FULL), [setting], "net").text
    lines = changed.splitlines()
    assert line in lines
    assert sum(a != b for a, b in zip(lines, FULL.splitlines(), strict=True)) == 1
    parse(Source("changed", changed))


def test_a_default_that_is_not_there_stands_in_front() -> None:
    changed = apply_settings(Source("net.dnn", FULL), ["default.conv.bias=false"]).text
    assert changed == FULL.replace("let depth", "default conv bias=false\nlet depth")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("let.dept=3", "did you mean `depth`?"),
        ("let=3", "let.NAME=VALUE"),
        ("worm.optimizer.lr=3", "did you mean `warm`?"),
        ("warm=3", "`warm` is a phase"),
        ("data=3", "data.ROW=VALUE"),
        ("default.dense=3", "default.LAYER.OPTION=VALUE"),
        ("reuse.layers=3", "reuse:old.net.body.layers"),
        ("reuse:old.net.boddy.layers=3", "did you mean `old.net.body`?"),
        ("reuse=3", "reuse.OPTION=VALUE"),
    ],
)
def test_settings_that_the_file_does_not_have(setting: str, words: str) -> None:
    with pytest.raises(DnnError, match="E310") as raised:
        apply_settings(Source("net.dnn", FULL), [setting], "net")
    assert words in str(raised.value)


def test_one_reuse_needs_no_path() -> None:
    text = FULL.replace("reuse old.net.tail layers=1 | relu", "dense 3")
    changed = apply_settings(Source("net.dnn", text), ["reuse.layers=0"], "net").text
    assert "part body { reuse old.net.body layers=0 }" in changed
    assert "image[8 8]; reuse old.net.body }" in changed


@pytest.mark.parametrize("setting", ["", "lr", "=3", "optimizer.lr", "a.b.c=1"])
def test_a_setting_of_another_form_is_refused(setting: str) -> None:
    with pytest.raises(DnnError, match="E310"):
        apply_settings(Source("net.dnn", TEXT), [setting])
