"""What the commands print: results to stdout, everything else to stderr, one JSON object where it
was asked for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from deepdsl.core.version import VERSION
from deepdsl.diagnostics import Diagnostic, DnnError, ExitStatus, Severity, render_all
from deepdsl.diagnostics.cli.crash import Crash
from deepdsl.diagnostics.cli.files import refusal


def exit_status(diagnostics: Iterable[Diagnostic]) -> int:
    """The exit status that the first error asks for; 0 without errors."""
    for diagnostic in diagnostics:
        if diagnostic.severity is Severity.ERROR:
            return diagnostic.exit_status
    return 0


def file_status(diagnostics: Iterable[Diagnostic]) -> int:
    """The exit status where a file was asked about that is not a text: its faults are the
    file's.
    """
    status = exit_status(diagnostics)
    return ExitStatus.FILES if status == ExitStatus.SPEC else status


class Output:
    """Where a command's words go."""

    def __init__(self, as_json: bool, quiet: bool, verbose: bool) -> None:
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose

    @property
    def color(self) -> bool:
        return sys.stderr.isatty() and not os.environ.get("NO_COLOR")

    def note(self, text: str) -> None:
        """Something that is not the result: stderr, unless quiet."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def result(self, human: str, machine: Any) -> None:
        """The result, for a person or as JSON."""
        if self.as_json:
            print(json.dumps(_finite(machine), indent=2, ensure_ascii=False))
        elif human:
            print(human)

    def warnings(self, diagnostics: Iterable[Diagnostic], strict: bool = False) -> None:
        """Diagnostics beside a result; when quiet, the errors alone, which `strict` makes of
        all.
        """
        errors_only = self.quiet and not strict
        found = [d for d in diagnostics if not errors_only or d.severity is Severity.ERROR]
        if found:
            print(render_all(found, self.color), file=sys.stderr, end="")

    def usage(self, message: str, help: str = "") -> int:
        """Say what is wrong with the command line; the exit status of that."""
        told = {"code": "usage", "severity": "error", "message": message, "help": help}
        place = {"fixable": False, "uses": [], "file": None, "line": None, "column": None}
        if self.as_json:
            self.result("", {"diagnostics": [{**told, **place}]})
        print("\n".join(part for part in (f"dnnc: {message}", help) if part), file=sys.stderr)
        return ExitStatus.USAGE

    def failure(self, error: Exception) -> Sequence[Diagnostic]:
        """Say why a command failed; what it said."""
        found = error.diagnostics if isinstance(error, DnnError) else (_unforeseen(error),)
        if self.as_json:
            self.result("", {"diagnostics": [d.as_json() for d in found]})
        print(render_all(found, self.color), file=sys.stderr, end="")
        return found


def _unforeseen(error: Exception) -> Diagnostic:
    """The system's own refusal, or else a fault of this program."""
    refused = refusal(error) if isinstance(error, OSError) else None
    return refused if refused is not None else _crash(error)


def _crash(error: Exception) -> Crash:
    """Keep the traceback in a file: a user reads one line."""
    # Imported here: every command prints, few crash.
    import tempfile
    import traceback

    handle, path = tempfile.mkstemp(prefix="dnnc-report-", suffix=".txt", text=True)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"dnnc {VERSION}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
        file.write("".join(traceback.format_exception(error)))
    first = (str(error).strip().splitlines() or [""])[0]
    return Crash(None, f"{type(error).__name__}: {first}", path)


def _finite(value: Any) -> Any:
    """JSON has no NaN: it becomes null."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows in columns; the columns in `right` are flush right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
