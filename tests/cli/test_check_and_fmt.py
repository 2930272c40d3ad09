"""`dnnc check` and `dnnc fmt`: what they print, and the status they leave."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from commands import SPEC, Dnnc

BROKEN = "model net {\n  input x[4]\n  densse 3 | softmax\n}\n"
WARNED = "let unused = 3\nmodel net {\n  input x[4]\n  dense 3 | softmax\n}\n"


def stdin(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))


def test_a_right_file(dnnc: Dnnc, spec: Path) -> None:
    answer = dnnc("check", "net.dnn")
    assert (answer.status, answer.out, answer.err) == (0, "net.dnn: no mistakes found\n", "")
    assert dnnc("check", "-q", "net.dnn").out == ""
    told = dnnc("check", "--json", "net.dnn")
    assert told.json == {"diagnostics": []}
    assert told.err == ""


def test_a_wrong_file(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "bad.dnn").write_text(BROKEN)
    answer = dnnc("check", "bad.dnn")
    assert answer.status == 1
    assert answer.out == ""
    assert "error[E101]: there is no layer, part or value `densse`" in answer.err
    assert " --> bad.dnn:3:3" in answer.err
    assert answer.err.endswith("1 error\n")
    told = dnnc("check", "--json", "bad.dnn")
    assert told.status == 1
    assert told.json["diagnostics"] == [
        {
            "code": "E101",
            "severity": "error",
            "message": "there is no layer, part or value `densse`",
            "help": "did you mean `dense`?",
            "file": "bad.dnn",
            "line": 3,
            "column": 3,
        }
    ]


def test_warnings_count_with_strict_only(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "warned.dnn").write_text(WARNED)
    answer = dnnc("check", "warned.dnn")
    assert answer.status == 0
    assert "warning[W401]" in answer.err
    assert dnnc("check", "--strict", "warned.dnn").status == 1
    told = dnnc("check", "--strict", "--json", "warned.dnn")
    assert (told.status, told.codes) == (1, ["W401"])
    assert told.json["diagnostics"][0]["severity"] == "warning"


def test_several_files(dnnc: Dnnc, spec: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.dnn").write_text(BROKEN)
    (tmp_path / "warned.dnn").write_text(WARNED)
    told = dnnc("check", "--json", "warned.dnn", "net.dnn", "bad.dnn")
    assert told.status == 1
    assert [(d["file"], d["code"]) for d in told.json["diagnostics"]] == [
        ("warned.dnn", "W401"),
        ("bad.dnn", "E101"),
    ]


def test_a_dash_is_stdin(dnnc: Dnnc, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, "\ufeff" + SPEC)
    assert dnnc("check", "-").status == 0
    stdin(monkeypatch, BROKEN)
    told = dnnc("check", "--json", "-")
    assert told.status == 1
    assert told.json["diagnostics"][0]["file"] == "<stdin>"
    stdin(monkeypatch, b"let a = \xff\n")
    answer = dnnc("check", "-")
    assert answer.status == 3
    assert "not UTF-8" in answer.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_only_on_a_terminal_and_never_with_no_color(
    dnnc: Dnnc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepdsl.cli import main

    (tmp_path / "bad.dnn").write_text(BROKEN)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" not in dnnc("check", "bad.dnn").err
    for value, coloured in (("", True), ("1", False)):
        terminal = Terminal()
        with monkeypatch.context() as patch:
            patch.setattr("sys.stderr", terminal)
            if value:
                patch.setenv("NO_COLOR", value)
            assert main(["check", "bad.dnn"]) == 1
        assert ("\x1b[1;31m" in terminal.getvalue()) == coloured
        assert "did you mean `dense`?" in terminal.getvalue()


def test_an_allowed_warning_is_not_said(dnnc: Dnnc, tmp_path: Path) -> None:
    text = """model net {
  input x[4]
  dense 8 init=he_normal | selu@behind
  # a comment between
  @above
  dense 8 init=he_normal | selu
  dense 3 | softmax
}
"""
    place = tmp_path / "a.dnn"
    both = ("  # dnnc: allow W403", "# dnnc: allow W401, W403")
    for behind, above, lines in [
        ("", "", [3, 6]),
        (both[0], "", [6]),
        ("", both[1], [3]),
        (*both, []),
        ("  # dnnc: allow W402", "# allow W403", [3, 6]),
    ]:
        place.write_text(text.replace("@behind", behind).replace("@above", above))
        found = dnnc("check", "--json", place).json["diagnostics"]
        assert [(d["code"], d["line"]) for d in found] == [("W403", line) for line in lines]
        assert dnnc("check", "--strict", place).status == (1 if lines else 0)


# fmt ----------------------------------------------------------------------------------------------

MESSY = "model net {\n input   x[4]\n    dense 3|softmax # end\n}\n"
TIDY = "model net {\n  input   x[4]\n  dense 3 | softmax # end\n}\n"


def test_fmt_changes_what_is_not_canonical(dnnc: Dnnc, tmp_path: Path) -> None:
    place = tmp_path / "a.dnn"
    place.write_text(MESSY)
    would = dnnc("fmt", "--check", "a.dnn")
    assert (would.status, would.out) == (1, "a.dnn would be formatted\n")
    assert place.read_text() == MESSY
    told = dnnc("fmt", "--check", "--json", "a.dnn")
    assert (told.status, told.json) == (1, {"changed": ["a.dnn"]})
    assert dnnc("fmt", "a.dnn").status == 0
    tidy = place.read_text()
    assert "dense 3 | softmax" in tidy
    assert "# end" in tidy
    again = dnnc("fmt", "--check", "a.dnn")
    assert (again.status, again.out) == (0, "")
    assert place.read_text() == tidy
    place.write_bytes(tidy.replace("\n", "\r\n").encode())
    assert dnnc("fmt", "--check", "a.dnn").status == 1
    assert dnnc("fmt", "a.dnn").status == 0
    assert place.read_bytes() == tidy.encode()


def test_fmt_of_stdin_goes_to_stdout(dnnc: Dnnc, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, MESSY)
    answer = dnnc("fmt", "-")
    assert answer.status == 0
    assert "dense 3 | softmax" in answer.out
    assert answer.err == ""
    stdin(monkeypatch, MESSY)
    assert dnnc("fmt", "--check", "-").status == 1


def test_fmt_leaves_what_cannot_be_read(dnnc: Dnnc, tmp_path: Path) -> None:
    place = tmp_path / "a.dnn"
    place.write_text("model net {\n  dense 3,\n")
    answer = dnnc("fmt", "a.dnn")
    assert answer.status == 1
    assert "E0" in answer.err
    assert place.read_text() == "model net {\n  dense 3,\n"
    assert os.listdir(tmp_path) == ["a.dnn"]


# Usage --------------------------------------------------------------------------------------------


def test_usage(dnnc: Dnnc) -> None:
    nothing = dnnc()
    assert nothing.status == 2
    assert "COMMAND" in nothing.err
    assert nothing.out == ""
    misspelt = dnnc("trian")
    assert misspelt.status == 2
    assert "there is no command `trian`; did you mean `train`?" in misspelt.err
    assert dnnc("check").status == 2
    assert "FILE" in dnnc("check").err
    assert dnnc("check", "--wrong", "a.dnn").status == 2
    assert dnnc("bench", "net.dnn", "--steps", "many").status == 2
    for command in ("check", "fmt", "inspect", "train", "eval", "predict", "export", "build"):
        helped = dnnc(command, "--help")
        assert helped.status == 0
        assert f"dnnc {command}" in helped.out
        assert "--json" in helped.out
    version = dnnc("--version")
    assert version.status == 0
    assert version.out.startswith("dnnc ")
