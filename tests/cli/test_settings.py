"""Settings on the command line: what they change in the text that is run."""

from __future__ import annotations

import pytest

from deepdsl.diagnostics import DnnError
from deepdsl.frontend import load_program
from deepdsl.settings import apply_settings
from deepdsl.source import Source

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


@pytest.mark.parametrize("setting", ["", "lr", "=3", "optimizer.lr", "a.b.c=1"])
def test_a_setting_of_another_form_is_refused(setting: str) -> None:
    with pytest.raises(DnnError, match="E310"):
        apply_settings(Source("net.dnn", TEXT), [setting])
