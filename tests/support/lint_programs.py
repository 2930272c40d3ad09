"""How the tests of the lints write programs: the lines that matter, in a frame that is clean."""

from __future__ import annotations

import re

from deepdsl.compiler.front_end import check
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic

DIGITS = "data digits { train builtin digits; scale (1 / 16) }"
RAW = "data digits { train builtin digits }"
TABLE = 'data digits { train npz "table.npz" }'


def net(lines: str, size: str = "64") -> str:
    """A model with these lines and an input `x`."""
    return f"model net {{\n  input x[{size}]\n{lines}\n}}\n"


def trained(lines: str, rows: str = "loss cross_entropy; seed 1", data: str = DIGITS) -> str:
    """A model and its training.  Its input is 8 × 8, flattened."""
    return f"{data}\n{net('  flatten | ' + lines, '8 8')}train net on digits {{ {rows} }}\n"


def said(text: str) -> list[Diagnostic]:
    """What `check` says of a program, which has no errors."""
    found = list(check(Source("a.dnn", text))[1])
    assert not [d for d in found if d.code.startswith("E")], [str(d) for d in found]
    return found


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks `«`, and the line and column of each."""
    places = []
    for found in re.finditer("«", text):
        before = text[: found.start()].replace("«", "")
        places.append((before.count("\n") + 1, len(before) - before.rfind("\n")))
    return text.replace("«", ""), places
