"""The parser: the trees of whole files, exact places, and the grammar itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from places import GOLDEN

from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.language.syntax import ast, tables
from deepdsl.language.syntax.dump import dump
from deepdsl.language.syntax.parser import parse, parse_partial
from deepdsl.language.syntax.tree import TreeBuilder

FILES = sorted((GOLDEN / "language").glob("*.dnn"))


def tree(text: str) -> ast.File:
    return parse(Source("a.dnn", text))


def value(text: str) -> ast.Value:
    (item,) = tree(f"let x = {text}").items
    assert isinstance(item, ast.Let)
    return item.value


def statements(text: str) -> tuple[ast.Statement, ...]:
    (model,) = tree(f"model a {{\n{text}\n}}").items
    assert isinstance(model, ast.Model)
    return model.body.statements


def nodes(node: ast.Syntax) -> Iterator[ast.Syntax]:
    yield node
    for each in fields(node):
        held = getattr(node, each.name)
        for child in held if isinstance(held, tuple) else (held,):
            if isinstance(child, ast.Syntax):
                yield from nodes(child)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tree_of_a_file(path: Path) -> None:
    shown = dump(tree(path.read_text()))
    expected = GOLDEN / "syntax" / f"{path.stem}.tree"
    if os.environ.get("DNN_UPDATE_GOLDEN"):
        expected.write_text(shown)
    assert shown == expected.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_places_go_from_the_first_character_to_the_last(path: Path) -> None:
    file = tree(path.read_text())
    for item in file.items:
        for node in nodes(item):
            text = node.span.text
            assert text == text.strip()
            assert text.count("{") == text.count("}")
            assert text.count("(") == text.count(")")
            for child in nodes(node):
                assert node.span.start <= child.span.start <= child.span.end <= node.span.end


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_line_ends_of_windows_change_nothing(path: Path) -> None:
    text = path.read_text()
    windows = tree(text.replace("\n", "\r\n"))
    assert windows == tree(text)
    assert dump(windows) == dump(tree(text))


@pytest.mark.parametrize("text", ["", "\n", " \n\t", "# only a comment", ";;\n;", "\ufeff"])
def test_a_file_may_be_empty(text: str) -> None:
    assert tree(text).items == ()


def test_what_a_value_is() -> None:
    assert dump(value("(depth -1)")) == (
        "Binary - 1:9\n  left: Path depth 1:10\n  right: Number 1 1:17\n"
    )
    assert value("(depth -1)") == value("( depth - 1 )")
    assert dump(value("-0.5")) == "Number -0.5 1:9\n"
    assert dump(value("(-0.5)")) == "Number -0.5 1:9\n"
    assert dump(value("-20%")) == "Percent -20% 1:9\n"
    assert dump(value("(-x)")) == "Binary - 1:9\n  left: Number 0 1:10\n  right: Path x 1:11\n"
    assert value("(1 - 2 - 3)") == value("((1 - 2) - 3)")
    assert value("(1 - 2 * 3)") == value("(1 - (2 * 3))")
    assert value("(-x * y)") == value("((0 - x) * y)")
    assert value("(2 * -1)") != value("(2 - 1)")
    assert value("((3))") == value("3")
    assert dump(value("2x3x4")) == "Size 2x3x4 1:9\n"
    assert dump(value('"a # b"')) == "String 'a # b' 1:9\n"
    assert dump(value("[1 -2 [x.y]]")).splitlines()[2:] == [
        "  Number -2 1:12",
        "  List 1:15",
        "    Path x.y 1:16",
    ]


def test_arguments_are_separated_by_blanks() -> None:
    (chain,) = statements("dense 3 -1 init=normal(std=1) body.x=0.1 0:0.1 (1 + 2)")
    assert isinstance(chain, ast.Chain)
    layer = chain.head
    assert isinstance(layer, ast.Layer)
    kinds = [type(each).__name__ for each in layer.args]
    assert kinds == ["Number", "Number", "Keyword", "Keyword", "Pair", "Binary"]
    assert [each.name.text for each in layer.args if isinstance(each, ast.Keyword)] == [
        "init",
        "body.x",
    ]


def test_a_line_goes_on_with_a_pipe_or_an_else() -> None:
    (bound,) = statements("a = in\n\n# why\n  | relu # so\n\n| elu")
    assert isinstance(bound, ast.Bind)
    assert isinstance(bound.flow, ast.Chain)
    assert len(bound.flow.rest) == 2
    (choice,) = statements("if a == 1 then in\n# no\nelse if b < 2 then x | y\nelse z\n | v")
    assert isinstance(choice, ast.Choose)
    assert isinstance(choice.otherwise, ast.Choose)
    assert isinstance(choice.otherwise.otherwise, ast.Chain)
    assert len(choice.otherwise.otherwise.rest) == 1


def test_words_of_the_language_are_names_where_they_cannot_mean_anything_else() -> None:
    text = "data data { target input }\ntrain model on data { metric train; loss on }\n"
    data, train = tree(text).items
    assert isinstance(data, ast.Data)
    assert isinstance(train, ast.Train)
    assert train.model.text == "model"
    assert [row.name.text for row in train.rows if isinstance(row, ast.Row)] == ["metric", "loss"]


def test_statements_that_are_right_are_there_beside_faulty_ones() -> None:
    text = "let a = 1\nmodel b {\n  input x[4]\n  dense 3 ) 4\n  dense ,\n  relu\n}\nlet = 3\n"
    file, found = parse_partial(Source("a.dnn", text))
    assert file is not None
    assert len(found) == 3
    model = file.items[1]
    assert isinstance(model, ast.Model)
    assert [each.span.text for each in model.body.statements] == [
        "input x[4]",
        "dense 3",
        "dense",
        "relu",
    ]


def test_no_more_than_twenty_messages() -> None:
    with pytest.raises(DnnError) as raised:
        tree("let = 3\n" * 100)
    assert len(raised.value.diagnostics) == 20


def test_the_grammar_has_no_conflicts() -> None:
    pytest.importorskip("interegular")
    from lark import Lark

    Lark(tables.grammar_text(), parser="lalr", lexer="contextual", strict=True)


def cached(folder: Path) -> Path:
    (file,) = (folder / "deepdsl").iterdir()
    return file


def parses(builder: TreeBuilder) -> bool:
    parser = tables.load(builder)
    builder.begin(Source("a.dnn", "let a = 1\n"))
    parsed: object = parser.parse("let a = 1\n")
    return parsed == tree("let a = 1\n")


def test_tables_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    assert parses(TreeBuilder())
    file = cached(tmp_path / "new")
    written = file.stat().st_mtime_ns
    assert parses(TreeBuilder())
    assert cached(tmp_path / "new").stat().st_mtime_ns == written
    if sys.platform != "win32":
        assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b"no pickle", b"\x80\x04}."])
def test_damaged_tables_are_made_anew(
    damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert parses(TreeBuilder())
    file = cached(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert parses(TreeBuilder())
    assert len(file.read_bytes()) > len(whole) // 2


def test_no_place_for_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert parses(TreeBuilder())
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "file" / "home")
    assert parses(TreeBuilder())


@pytest.mark.skipif(sys.platform == "win32", reason="no owners and modes")
def test_tables_that_others_can_write_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert parses(TreeBuilder())
    (tmp_path / "deepdsl").chmod(0o777)
    read: list[Path] = []
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.append(self) or b"")
    assert parses(TreeBuilder())
    assert not read
