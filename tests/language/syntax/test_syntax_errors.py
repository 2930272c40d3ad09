"""Syntax messages: each page does what it says, and whole messages are kept as golden files."""

from __future__ import annotations

import os
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDEN

from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic, DnnError, render_all
from deepdsl.diagnostics.language import structure, syntax, text
from deepdsl.language.syntax.parser import parse, parse_partial

PAGES = {
    each.code: each.page()
    for module in (syntax, structure, text)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, Diagnostic) and each.code
}
FATAL = {"E017", "E018"}


def codes(written: str) -> list[str]:
    return [each.code for each in parse_partial(Source("a.dnn", written))[1]]


def fenced(page: str, kind: str) -> str:
    (program,) = re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)
    return str(program)


@pytest.mark.parametrize("code", sorted(PAGES))
def test_the_page_is_true(code: str) -> None:
    assert codes(fenced(PAGES[code], "wrong")) == [code]
    assert codes(fenced(PAGES[code], "right")) == []


@pytest.mark.parametrize("code", sorted(PAGES.keys() - FATAL))
def test_the_rest_of_the_file_is_still_read(code: str) -> None:
    wrong = fenced(PAGES[code], "wrong") + "\nlet last = 1\n"
    file, _ = parse_partial(Source("a.dnn", wrong))
    assert file is not None
    # Where a brace is never closed, nothing tells what stands behind it.
    assert code == "E003" or type(file.items[-1]).__name__ == "Let"


@pytest.mark.parametrize("case", sorted(path.stem for path in (GOLDEN / "syntax").glob("*.dnn")))
def test_message(case: str) -> None:
    written = (GOLDEN / "syntax" / f"{case}.dnn").read_bytes().decode()
    with pytest.raises(DnnError) as raised:
        parse(Source(f"{case}.dnn", written))
    expected = GOLDEN / "syntax" / f"{case}.txt"
    said = render_all(raised.value.diagnostics)
    if os.environ.get("DNN_UPDATE_GOLDEN"):
        expected.write_text(said, encoding="utf-8")
    assert said == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("model a {\n  dense 3, 4\n}", "2:10"),
        ("model a {\r\n  dense 3, 4\r\n}", "2:10"),
        ("model a {\n\tdense 3, 4\n}", "2:9"),
        ('let ä = "é" , 3', "1:5"),
        ('let a = "é" , 3', "1:13"),
        ("\ufefflet a = ,", "1:10"),
        ("model a {\n  dense 3 |\n}", "2:11"),
        ("let a =  # nothing\n", "1:7"),
        ("model a {\n  input x  # none\n}", "2:10"),
        ("model", "1:6"),
    ],
)
def test_the_column_is_exact(written: str, place: str) -> None:
    _, found = parse_partial(Source("a.dnn", written))
    assert [f"{each.span.line}:{each.span.column}" for each in found if each.span] == [place]


@pytest.mark.parametrize(
    "written",
    [
        *(mark * 100_000 for mark in "([{"),
        *(mark * 10_000 for mark in "}])|\n;-+.,"),
        "let x = " + "(" * 100_000,
        "let x = (" + "1+" * 100_000 + "1)",
        "let x = " + "9" * 100_000,
        "let x = (" + "-" * 100_000 + "1)",
        "model a { b = " + "if a == b then c else " * 10_000 + "d }",
        "model a { " + "repeat 2 { " * 50_000,
        'use "' + "a" * 1_000_000,
        "#" + "a" * 1_000_000,
        "a" * 1_000_000,
        "\0" * 1000,
        "\ud800",
        "﻿",
        "\u2028\u2029\x85\x0b\x0c",
        "let a = 1\rlet b = 2",
    ],
    ids=lambda written: repr(written[:20]),
)
def test_strange_texts_are_refused_or_read(written: str) -> None:
    file, found = parse_partial(Source("a.dnn", written))
    assert file is not None or found
    assert len(found) <= 20
    # Each message shows its line in part only, however long that is.
    assert all(len(render_all([each])) < 2000 for each in found)


MODELS = [path.read_text() for path in sorted((GOLDEN / "language").glob("*.dnn"))]
WORDS = [
    *[
        "model",
        "part",
        "data",
        "train",
        "on",
        "export",
        "phase",
        "block",
        "use",
        "as",
        "let",
        "default",
        "input",
        "repeat",
        "reuse",
    ],
    *[
        "if",
        "then",
        "else",
        "dense",
        "x",
        "in",
        "true",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "|",
        "=",
        "==",
        ",",
        ":",
        ";",
        ".",
        "+",
        "-",
        "*",
        "/",
        "->",
        "//",
    ],
    *["3", "0.5", "1e-3", "20%", "3x3", ".5", "0x1", "relu(", '"a"', '"', "'", "é", "#", "!", "<="],
    *(" ", "\t", "\n", "\r\n", ""),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join) | st.text(max_size=60))
def test_any_text_gives_a_tree_or_messages(written: str) -> None:
    check(written)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_change_of_a_right_file_gives_a_tree_or_messages(rnd: random.Random) -> None:
    written = rnd.choice(MODELS)
    for _ in range(rnd.randint(1, 3)):
        start = rnd.randrange(len(written))
        end = start + rnd.choice([0, 0, 1, 2, 5, 30])
        written = written[:start] + rnd.choice(["", *WORDS]) + written[end:]
    check(written)


def check(written: str) -> None:
    file, found = parse_partial(Source("a.dnn", written))
    assert file is not None or found
    for each in found:
        assert each.span is not None
        assert 0 <= each.span.start <= each.span.end <= len(written)
        assert each.message
    render_all(found)
