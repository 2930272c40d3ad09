"""The formatter: fixed points, the same tree, every comment."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDEN

from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.language.syntax.parser import parse
from deepdsl.language.syntax.printer import format_source
from deepdsl.language.syntax.scan import scan

FILES = sorted((GOLDEN / "language").glob("*.dnn"))


def formatted(text: str) -> str:
    return format_source(Source("a.dnn", text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_in_its_form_stays_as_it_is(path: Path) -> None:
    assert formatted(path.read_text()) == path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_indentation_and_line_ends_come_back(path: Path) -> None:
    text = path.read_text().replace("3x3               |", "3x3 |")
    flat = re.sub(r"^  +", "", text, flags=re.MULTILINE).replace("\n", " \r\n") + "\r\n\r\n"
    assert formatted(flat) == text


CASES = {
    "spacing": (
        "model  a{input x [3 4]\n  dense  3  init = normal( std=1 )|relu\n b=x+x}",
        "model a { input x[3 4]\n          dense 3 init=normal(std=1) | relu\n"
        "          b = x + x }\n",
    ),
    "numbers": (
        "let a=( n -1*-2/( - x) )\nlet b = - 3\nlet c = [ -1  -2 ]",
        "let a = (n - 1 * -2 / (-x))\nlet b = -3\nlet c = [-1 -2]\n",
    ),
    "paths": ("let a = b . c\nlet d = [ [1] [2] ]\n", "let a = b.c\nlet d = [[1] [2]]\n"),
    "separators": (
        ";;let a = 1;;let b = 2 ; # two\n;\nmodel c{ ;x;\n;y; }\n",
        "let a = 1; let b = 2  # two\n\nmodel c { x\n          y }\n",
    ),
    "blank lines": (
        "\n\nlet a = 1\n\n\n\nlet b = 2\nmodel c {\n\n  x\n\n\n  | y\n\n}\n\n\n",
        "let a = 1\n\nlet b = 2\nmodel c {\n  x\n    | y\n}\n",
    ),
    "comments": (
        "#a  \nlet b = 1 # c\nmodel d { # e\n# f\nx# g\n  # h\n}# i\n# j",
        "#a\nlet b = 1  # c\nmodel d {  # e\n  # f\n  x  # g\n  # h\n}  # i\n# j\n",
    ),
    "comment columns": (
        "model a {\n    x        # far\n    yyy  # near\n    z    # near\n"
        "    wwwwwww # pushed\n}\n",
        "model a {\n  x        # far\n  yyy  # near\n  z    # near\n  wwwwwww  # pushed\n}\n",
    ),
    "pushed comments": (
        "model a {\n  x  # one\n  dense  3 # two\n  y      # three\n  dense  300  # four\n}\n",
        "model a {\n  x  # one\n  dense 3  # two\n  y      # three\n  dense 300  # four\n}\n",
    ),
    "pipes": (
        "model a {\n  m = in | x\n | y\n    n\n | y\n | z\n"
        "  s = if a == 1 then in | v\n  | w\nelse in\n| q\n}\n",
        "model a {\n  m = in | x\n         | y\n  n\n    | y\n    | z\n"
        "  s = if a == 1 then in | v\n                        | w\n      else in\n        | q\n}\n",
    ),
    "aligned": (
        "model a {\n  a = left   | t\n  bc = right | t\n}\n",
        "model a {\n  a = left   | t\n  bc = right | t\n}\n",
    ),
    "aligned with nothing": (
        "model a {\n  a = left    | t\n  bc = right | t\n}\n",
        "model a {\n  a = left | t\n  bc = right | t\n}\n",
    ),
    "rows": (
        "train a on b {\n  loss c\n  optimizer sgd lr=1\n"
        "  phase p {\n  epochs 3\n  batch 100\n  }\n}",
        "train a on b {\n  loss      c\n  optimizer sgd lr=1\n"
        "  phase p {\n    epochs 3\n    batch  100\n  }\n}\n",
    ),
    "rows with two blanks": (
        "data a {\n  train  idx x\n  scale  (1/255)\n  standardize\n}\n"
        "data b {\n  valid  x\n  test   y\n}\n",
        "data a {\n  train       idx x\n  scale       (1 / 255)\n  standardize\n}\n"
        "data b {\n  valid  x\n  test   y\n}\n",
    ),
    "blocks": (
        "block a ( b,c = 3 ){\nrepeat(b -1){ d }|e\n}\n",
        "block a(b, c=3) {\n  repeat (b - 1) { d } | e\n}\n",
    ),
    "call or value": (
        "model a {\n  dense init=normal(std=1) (n+1) other (2)\n}\n",
        "model a {\n  dense init=normal(std=1) (n + 1) other (2)\n}\n",
    ),
    "empty": (" \n\n", ""),
    "byte order mark": ("\ufefflet a = 1", "let a = 1\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_form(case: str) -> None:
    before, after = CASES[case]
    assert formatted(before) == after
    assert formatted(after) == after


def test_a_faulty_file_is_refused() -> None:
    with pytest.raises(DnnError):
        formatted("let a =\n")


# Random texts that are right ---------------------------------------------------------------------

names = st.sampled_from(["a", "bc", "def", "x_1"])
numbers = st.sampled_from(["3", "0.5", "1e-3", "20%"])
gaps = st.sampled_from([" ", " ", " ", "  ", "    ", "\t"])
no_gaps = st.sampled_from(["", "", "", " ", "  "])
ends = st.sampled_from(["\n", "\n", "\n\n", "\n\n\n", "; ", " ;\n", "\r\n", "  # c\n", "\n # d\n"])
breaks = st.sampled_from(["", "", "\n", "\n\n  ", "  # e\n    "])

computed = st.recursive(
    names | numbers,
    lambda inner: (
        st.builds("{}{}{}{}{}".format, inner, no_gaps, st.sampled_from("+-*/"), no_gaps, inner)
        | st.builds("({}{}{})".format, no_gaps, inner, no_gaps)
        | inner.map(lambda each: each if each.startswith("-") else f"(-{each})")
    ),
    max_leaves=4,
)
values = st.recursive(
    names
    | numbers
    | computed.map("({})".format)
    | st.sampled_from(["-2", "3x3", '"s # t"', "a.b"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda each: f"[{' '.join(each)}]")
        | st.builds("{}({})".format, names, inner)
    ),
    max_leaves=4,
)
arguments = values | st.builds("{}{}={}{}".format, names, no_gaps, no_gaps, values)


@st.composite
def layers(draw: st.DrawFn) -> str:
    given = draw(st.lists(arguments, max_size=3))
    return draw(names) + "".join(draw(gaps) + each for each in given)


@st.composite
def bodies(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    lines = draw(st.lists(inner, max_size=4))
    opening = draw(st.sampled_from(["{ ", "{", "{\n", "{  # o\n"]))
    closing = draw(st.sampled_from([" }", "}", "\n}", ";\n }", "  # q\n}"]))
    return opening + "".join(draw(ends) + each for each in lines) + closing


def flows(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    units = layers() | st.builds("repeat{}2 {}".format, gaps, bodies(inner))
    pipes = st.builds("{}{}|{}".format, breaks, no_gaps, no_gaps)
    chains = st.builds(
        lambda head, rest: head + "".join(pipe + each for pipe, each in rest),
        units | st.builds("{}{}+ {}".format, names, gaps, names),
        st.lists(st.tuples(pipes, units), max_size=3),
    )
    return chains | st.builds("if a == 1 then {}{} else {}".format, chains, breaks, chains)


def lines(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    flow = flows(inner)
    return (
        flow
        | st.builds("{}{}={}{}".format, names, no_gaps, no_gaps, flow)
        | st.builds("part{}{} {}".format, gaps, names, bodies(inner))
        | st.builds("input{}x{}[3 4]".format, gaps, no_gaps)
        | st.builds("let{}x{}={}{}".format, gaps, no_gaps, no_gaps, values)
    )


body_lines = st.recursive(layers(), lines, max_leaves=6)
items = (
    st.builds("model{}m{}{}".format, gaps, no_gaps, bodies(body_lines))
    | st.builds("data{}d {}".format, gaps, bodies(layers()))
    | st.builds(
        "train a on{}d {}".format,
        gaps,
        bodies(layers() | st.builds("phase p {}".format, bodies(layers()))),
    )
    | st.builds("let{}x{}={}{}".format, gaps, no_gaps, no_gaps, values)
    | st.builds("block b{}(c,{}d = 3) {}".format, no_gaps, no_gaps, bodies(body_lines))
)


@st.composite
def files(draw: st.DrawFn) -> str:
    return "".join(draw(ends) + each for each in draw(st.lists(items, max_size=4)))


@settings(max_examples=120, deadline=None)
@given(files())
def test_any_right_text_keeps_its_tree_and_comments(text: str) -> None:
    check(text)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(FILES), st.randoms(use_true_random=False))
def test_any_blanks_keep_the_tree_and_comments(path: Path, rnd: random.Random) -> None:
    def moved(match: re.Match[str]) -> str:
        return " " * rnd.choice([len(match[0]), len(match[0]), 1, 2, 5])

    check(re.sub(r" +", moved, path.read_text()))


def check(text: str) -> None:
    tree = parse(Source("a.dnn", text))
    once = formatted(text)
    assert parse(Source("a.dnn", once)) == tree
    assert comments(once) == comments(text)
    assert formatted(once) == once
    assert once == "" or (once.endswith("\n") and not once.endswith("\n\n"))
    assert "\r" not in once
    assert "\n\n\n" not in once


def comments(text: str) -> list[str]:
    return [token.text.rstrip() for token in scan(text) if token.kind == "comment"]
