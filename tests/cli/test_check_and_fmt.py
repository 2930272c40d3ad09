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
    assert "error[E101]: there is no layer, block, part or value `densse`" in answer.err
    assert " --> bad.dnn:3:3" in answer.err
    assert answer.err.endswith("1 error\n")
    told = dnnc("check", "--json", "bad.dnn")
    assert told.status == 1
    assert told.json["diagnostics"] == [
        {
            "code": "E101",
            "severity": "error",
            "message": "there is no layer, block, part or value `densse`",
            "help": "did you mean `dense`?",
            "fixable": False,
            "uses": [],
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


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("let a = 3\n".encode("utf-16"), "it looks like UTF-16: `iconv -f UTF-16 -t UTF-8 a.dnn"),
        ("let ä = 3\n".encode("latin-1"), "it looks like ISO-8859-1: `iconv -f ISO-8859-1"),
        ("# 3 € “\n".encode("cp1252"), "it looks like WINDOWS-1252"),
        ("let ÿ = 3\n".encode("utf-16-le"), "it looks like UTF-16LE"),
        (b"\x93NUMPY\x01\0", "it looks like an npy file"),
        (b"\x08\x07\x12\0\xff\x01\x02\x03" * 20, "it looks like a binary file"),
    ],
)
def test_what_a_file_that_is_not_utf_8_looks_like(
    dnnc: Dnnc, tmp_path: Path, raw: bytes, words: str
) -> None:
    (tmp_path / "a.dnn").write_bytes(raw)
    answer = dnnc("check", "a.dnn")
    assert answer.status == 3
    assert words in answer.err


def test_a_file_without_a_model_says_so(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "a.dnn").write_text("data d { train builtin digits; scale (1 / 16) }\n")
    answer = dnnc("check", "a.dnn")
    assert (answer.status, answer.out) == (0, "a.dnn: there is no model in it\n")
    assert dnnc("check", "a.dnn", "--json").json == {"diagnostics": []}


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n"])
def test_a_file_with_nothing_in_it_is_warned_of(dnnc: Dnnc, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.dnn").write_text(text)
    answer = dnnc("check", "a.dnn")
    assert answer.status == 0
    assert "warning[W437]: there is nothing in this file" in answer.err
    assert dnnc("check", "a.dnn", "--strict").status == 1
    assert dnnc("check", "a.dnn", "--strict", "--allow", "W437").status == 0


def test_quiet_leaves_out_warnings_and_says_errors(dnnc: Dnnc, tmp_path: Path) -> None:
    (tmp_path / "bad.dnn").write_text(BROKEN)
    (tmp_path / "warned.dnn").write_text(WARNED)
    bad = dnnc("check", "-q", "bad.dnn")
    assert (bad.status, bad.out) == (1, "")
    assert "error[E101]" in bad.err
    warned = dnnc("check", "-q", "warned.dnn")
    assert (warned.status, warned.out, warned.err) == (0, "", "")
    strict = dnnc("check", "-q", "--strict", "warned.dnn")
    assert strict.status == 1
    assert "warning[W401]" in strict.err


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


def test_warnings_that_are_allowed_on_the_command_line(dnnc: Dnnc, tmp_path: Path) -> None:
    place = tmp_path / "a.dnn"
    place.write_text(FIXABLE)
    codes = ["W401", "W403", "W402"]
    assert dnnc("check", "--json", place).codes == codes
    assert dnnc("check", "--json", place, "--allow", "W403").codes == ["W401", "W402"]
    assert dnnc("check", "--json", place, "--allow", "W403,W401").codes == ["W402"]
    some = dnnc("check", "--strict", place, "--allow", "W403", "--allow", "W401,W402")
    assert (some.status, some.out) == (0, f"{place}: no mistakes found\n")
    for wrong, why in [
        ("W40", "no code of a warning"),
        ("W402,W426", "there is no warning W426; the nearest is W42"),
        ("E101", "errors cannot be allowed"),
    ]:
        answer = dnnc("check", place, "--allow", wrong)
        assert answer.status == 2
        assert why in answer.err
    place.write_text(f"# dnnc: allow-file W401 W403, W402\n{FIXABLE}")
    assert dnnc("check", "--json", place).codes == []


# check --fix --------------------------------------------------------------------------------------

FIXABLE = """let spare = 3
model net {
  input x[4]
  dense 8 init=he_normal | selu       # the first
  dense 8 | batch_norm | relu
  dense 3 | softmax
}
"""
FIXED = """model net {
  input x[4]
  dense 8 init=lecun_normal | selu       # the first
  dense 8 bias=false | batch_norm | relu
  dense 3 | softmax
}
"""


def test_fixes_are_made_in_the_file(dnnc: Dnnc, tmp_path: Path) -> None:
    place = tmp_path / "a.dnn"
    place.write_text(FIXABLE)
    answer = dnnc("check", "--fix", "a.dnn")
    assert answer.status == 0
    assert answer.out == (
        "a.dnn:1: W401 leave out `spare`\n"
        "a.dnn:4: W403 init=lecun_normal\n"
        "a.dnn:5: W402 bias=false\n"
    )
    assert answer.err == ""
    assert place.read_text() == FIXED
    again = dnnc("check", "--fix", "a.dnn")
    assert (again.status, again.out, again.err) == (0, "nothing to fix\n", "")
    assert place.read_text() == FIXED
    assert os.listdir(tmp_path) == ["a.dnn"]


def test_what_is_left_is_said(dnnc: Dnnc, tmp_path: Path) -> None:
    place = tmp_path / "a.dnn"
    place.write_text(FIXABLE.replace("| relu", "| relu | dropout 5% | batch_norm"))
    answer = dnnc("check", "--fix", "--strict", "a.dnn")
    assert answer.status == 1
    assert "a.dnn:4: W403" in answer.out
    assert "warning[W412]" in answer.err
    told = dnnc("check", "--fix", "--json", "a.dnn").json
    assert told["fixed"] == []
    assert [(d["code"], d["fixable"]) for d in told["diagnostics"]] == [("W412", False)]


def test_fixes_as_json_and_what_is_allowed(dnnc: Dnnc, tmp_path: Path) -> None:
    place = tmp_path / "a.dnn"
    place.write_text(FIXABLE)
    found = dnnc("check", "--json", "a.dnn").json["diagnostics"]
    assert all(d["fixable"] for d in found)
    told = dnnc("check", "--fix", "--json", "--allow", "W403", "a.dnn").json
    assert [(d["file"], d["line"], d["code"], d["fix"]) for d in told["fixed"]] == [
        ("a.dnn", 1, "W401", "leave out `spare`"),
        ("a.dnn", 5, "W402", "bias=false"),
    ]
    assert told["diagnostics"] == []
    assert "he_normal" in place.read_text()


def test_a_diff_changes_nothing(dnnc: Dnnc, tmp_path: Path) -> None:
    place = tmp_path / "a.dnn"
    place.write_text(FIXABLE)
    answer = dnnc("check", "--diff", "a.dnn")
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[:2] == ["--- a.dnn", "+++ a.dnn"]
    assert [line for line in lines[2:] if line[0] in "+-"] == [
        "-let spare = 3",
        "-  dense 8 init=he_normal | selu       # the first",
        "-  dense 8 | batch_norm | relu",
        "+  dense 8 init=lecun_normal | selu       # the first",
        "+  dense 8 bias=false | batch_norm | relu",
    ]
    assert place.read_text() == FIXABLE
    told = dnnc("check", "--diff", "--json", "a.dnn").json
    assert told["diff"]["a.dnn"].splitlines() == lines
    place.write_text(FIXED)
    assert dnnc("check", "--diff", "a.dnn").out == ""


def test_fixes_of_stdin_go_to_stdout(dnnc: Dnnc, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, FIXABLE)
    answer = dnnc("check", "--fix", "-")
    assert (answer.status, answer.out) == (0, FIXED)
    assert "-:4: W403 init=lecun_normal" in answer.err
    stdin(monkeypatch, FIXABLE.replace("\n", "\r\n"))
    assert dnnc("check", "--fix", "-q", "-").out == FIXED.replace("\n", "\r\n")


def test_line_ends_and_a_byte_order_mark_stay(dnnc: Dnnc, tmp_path: Path) -> None:
    place = tmp_path / "a.dnn"
    place.write_bytes(("\ufeff" + FIXABLE.replace("\n", "\r\n")).encode())
    assert dnnc("check", "--fix", "a.dnn").status == 0
    assert place.read_bytes() == ("\ufeff" + FIXED.replace("\n", "\r\n")).encode()


def test_a_file_with_errors_is_not_fixed(dnnc: Dnnc, tmp_path: Path) -> None:
    bad = FIXABLE.replace("dense 3", "densse 3")
    (tmp_path / "bad.dnn").write_text(bad)
    (tmp_path / "good.dnn").write_text(FIXABLE)
    answer = dnnc("check", "--fix", "bad.dnn", "good.dnn")
    assert answer.status == 1
    assert "E101" in answer.err
    assert (tmp_path / "bad.dnn").read_text() == bad
    assert (tmp_path / "good.dnn").read_text() == FIXED


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
