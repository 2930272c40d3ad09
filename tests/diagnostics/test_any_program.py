"""Whatever is written, checking it gives diagnostics, each at a place of the text."""

from __future__ import annotations

import json
import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDEN

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.diagnostics import render, render_all

WHOLE = [path.read_text() for path in sorted((GOLDEN / "language").glob("*.dnn"))]
COMPILED = [
    """let units = 16
default dense init=he_normal
data digits { train builtin digits; valid split=10% stratify=true; scale (1 / 16) }
model net {
  input image[8 8]
  part body { flatten | repeat 2 { dense units bias=false | batch_norm | elu } | dropout 20% }
  a = image | body
  b = image | body
  a + b | dense (units * 2) init=normal(std=0.3) | relu | dense 10 init=glorot_uniform | softmax
}
train net on digits {
  loss cross_entropy smoothing=0.1
  metric accuracy
  optimizer sgd lr=1e-2 momentum=0.9
  schedule piecewise 0:0.1 80:0.01
  clip global_norm=1
  batch 32
  epochs 3
  stop patience=2 on=valid.loss restore=best
  seed 7
}
export net { onnx "net.onnx" verify=1e-5 }
""",
    """model pairs {
  input left[4 4]
  input right[4 4]
  part tower { flatten | dense 8 | tanh }
  x = left | tower
  y = right | tower
  concat x y | reshape [4 4] | flatten | leaky_relu 0.1 | dense 1 | sigmoid
}
data d { train npz "pairs.npz" left=x1 right=x2 target=same; take 10; standardize }
train pairs on d { loss binary_cross_entropy; metric accuracy auc; optimizer adam lr=1e-3; seed 1 }
""",
    """let wide = 12
let start = normal(std=0.1)
block unit(width, act=relu, init=start, other=none) {
  part inner { dense width init=init | act }
  kept = in | inner
  side = if width == wide then kept else if other == none then kept | dense width else kept
  kept + side | act
}
block stack(depth, unit, width=(2 * wide)) {
  repeat (depth - 1) { unit width }
  unit width act=leaky_relu(slope=0.2)
}
block join(a, b) { concat a b | unit 4 other=none }
model net {
  input x[8]
  stack 3 unit width=wide
  a = unit wide tanh
  join a b=x | dense 3 | softmax
}
data d { train csv "x.csv" target=kind; standardize }
train net on d { loss cross_entropy; optimizer adam; seed 1 }
""",
]
PIECES = """
unit stack join if then else < >= != in depth width act
model part data train on dense relu softmax flatten concat reshape in x a b true none 0
1 -1 2.5 1e400 10000000000000000000000000 20% 3x3 [ ] ( ) { } | = == + - * / ; : let
default repeat input output if then else reuse use block "x" "" init=he_normal
bias=false units=3 lr=0.1 loss metric schedule piecewise 0:1 stop on=valid.loss
split=10% first=5 target input=x # é
"""
WORDS = [*PIECES.split(), "", "\t"]
TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


def mutated(text: str, rnd: random.Random) -> str:
    """A text with a few of its tokens or lines dropped, doubled, exchanged or replaced."""
    for _ in range(rnd.randint(1, 4)):
        by_line = rnd.random() < 0.3
        pieces = text.splitlines(keepends=True) if by_line else TOKEN.findall(text)
        if not pieces:
            return text
        here, there = rnd.randrange(len(pieces)), rnd.randrange(len(pieces))
        match rnd.choice(["drop", "double", "exchange", "replace", "insert"]):
            case "drop":
                del pieces[here]
            case "double":
                pieces.insert(there, pieces[here])
            case "exchange":
                pieces[here], pieces[there] = pieces[there], pieces[here]
            case "replace" if not by_line:
                pieces[here] = rnd.choice(WORDS)
            case _:
                pieces.insert(here, f" {rnd.choice(WORDS)} ")
        text = "".join(pieces)
    return text


def assert_sound(text: str) -> None:
    source = Source("any.dnn", text)
    _, report = check(source)
    found = list(report)
    for each in found:
        assert each.span is not None
        assert 0 <= each.span.start <= each.span.end <= len(text)
        assert each.message
        assert "None" not in f"{each.message} {each.label} {each.help}"
        for note in each.notes:
            assert 0 <= note.span.start <= note.span.end <= len(text)
        told = json.loads(json.dumps(each.as_json()))
        words = {"code", "severity", "message", "help", "fixable", "uses"}
        assert set(told) == words | {"file", "line", "column"}
        assert told["severity"] in ("error", "warning")
        assert re.fullmatch(r"[EW]\d{3}", told["code"])
        assert told["file"] == "any.dnn"
        assert 1 <= told["line"] <= source.line_count
        assert 1 <= told["column"] <= len(source.line(told["line"])) + 2
        assert each.code in render(each, color=True)
    shown = render_all(found)
    assert bool(shown) == bool(found)
    shown.encode()


@settings(max_examples=700, deadline=None)
@given(st.integers(0, 2**32))
def test_a_changed_program_is_checked_without_failing(seed: int) -> None:
    rnd = random.Random(seed)
    # Those that compile come more often: a change of them reaches deeper.
    assert_sound(mutated(rnd.choice([*WHOLE, *COMPILED * 4]), rnd))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
def test_any_body_of_a_model(body: str) -> None:
    assert_sound(f"model net {{\n  input x[4]\n  {body}\n  dense 3 | softmax\n}}\n")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.booleans())
def test_any_row_of_a_section(row: str, of_data: bool) -> None:
    data, train = (row, "loss cross_entropy") if of_data else ("train builtin digits", row)
    assert_sound(
        "model net { input x[8 8]; flatten | dense 10 | softmax }\n"
        f"data d {{\n  {data}\n}}\ntrain net on d {{\n  {train}\n}}\n"
    )


def test_the_programs_that_are_changed_are_right() -> None:
    for text in COMPILED:
        assert [d.code for d in check(Source("any.dnn", text))[1]] in ([], ["W402"])
