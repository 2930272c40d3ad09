"""`dnnc check FILE…`: all errors and lints; with --fix, the text with their fixes made."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepdsl.cli.output import Output, exit_status
from deepdsl.cli.sources import read
from deepdsl.compiler.front_end import check, diagnose
from deepdsl.core.atomic_files import write_atomically
from deepdsl.core.source import Source
from deepdsl.diagnostics import Diagnostic, ExitStatus, Severity

if TYPE_CHECKING:
    from deepdsl.language.fixes import Fixed

SUMMARY = "find all errors in a file, without training"
POSITION = 2  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a .dnn file, or - for stdin")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        type=_codes,
        metavar="CODES",
        help="say nothing of these warnings: W403, or W403,W404",
    )
    parser.add_argument(
        "--fix", action="store_true", help="make the fixes that are known exactly, in the file"
    )
    parser.add_argument(
        "--diff", action="store_true", help="show what --fix would change, and change nothing"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    allow = frozenset(code for codes in options.allow for code in codes)
    if options.fix or options.diff:
        return _fix(options, output, allow)
    found: list[Diagnostic] = []
    clean = []
    for name in options.files:
        source = read(name)
        program, report = check(source, allow=allow)
        found += report
        empty = program is not None and not program.models and not list(report)
        clean.append(f"{name}: {'there is no model in it' if empty else 'no mistakes found'}")
    output.warnings(found, options.strict)
    output.result(
        "" if output.quiet or found else "\n".join(clean),
        {"diagnostics": [d.as_json() for d in found]},
    )
    return _status(options, found)


def _status(options: argparse.Namespace, found: Sequence[Diagnostic]) -> int:
    errors = exit_status(found)
    if options.strict and any(d.severity is Severity.WARNING for d in found):
        return errors or ExitStatus.SPEC
    return errors


def _codes(text: str) -> list[str]:
    # Imported here, as what only --fix needs: the plain check must start in a blink.
    from deepdsl.insight.help_pages import codes as known_codes

    codes = [code for code in re.split(r"[\s,]+", text.strip()) if code]
    for code in codes:
        if not re.fullmatch(r"W\d{3}", code):
            why = "; errors cannot be allowed" if re.fullmatch(r"E\d{3}", code) else ""
            raise argparse.ArgumentTypeError(f"`{code}` is no code of a warning, as W403 is{why}")
        known = [each for each, cls in known_codes().items() if cls.severity is Severity.WARNING]
        if code not in known:
            nearest = min(known, key=lambda each: abs(int(each[1:]) - int(code[1:])))
            raise argparse.ArgumentTypeError(
                f"there is no warning {code}; the nearest is {nearest}, `dnnc explain` lists them"
            )
    return codes


# Fixes --------------------------------------------------------------------------------------------


def _fix(options: argparse.Namespace, output: Output, allow: frozenset[str]) -> int:
    from deepdsl.language.fixes import fix

    left: list[Diagnostic] = []
    made: list[Diagnostic] = []
    lines: list[str] = []
    diffs: dict[str, str] = {}
    for name in options.files:
        before = read(name)
        fixed = fix(before, diagnose, allow)
        lines += [_line(name, d) for d in fixed.made]
        made += fixed.made
        if options.diff:
            diffs[name] = _diff(name, before, fixed.source)
            continue
        left += fixed.left
        if name == "-":
            _to_stdout(before, fixed, output)
        elif fixed.made:
            _write(Path(name), fixed.source.text)
    told: dict[str, Any] = {
        "fixed": [{**d.as_json(), "fix": d.fix} for d in made],
        "diagnostics": [d.as_json() for d in left],
    }
    if options.diff:
        output.result("".join(diffs.values()).rstrip("\n"), {**told, "diff": diffs})
        return 0
    output.warnings(left, options.strict)
    if "-" in options.files and not output.as_json:
        for line in lines:  # stdout holds the fixed text
            output.note(line)
    else:
        nothing = "nothing to fix" if not made else ""
        output.result("" if output.quiet else "\n".join(lines) or nothing, told)
    return _status(options, left)


def _line(name: str, diagnostic: Diagnostic) -> str:
    line = diagnostic.span.line if diagnostic.span else 0
    return f"{name}:{line}: {diagnostic.code} {diagnostic.fix}"


def _to_stdout(before: Source, fixed: Fixed, output: Output) -> None:
    if not output.as_json:
        sys.stdout.write(_line_ends(fixed.source.text, "\r\n" in before.text))


def _write(path: Path, text: str) -> None:
    """Write the text with the line ends, and the byte order mark, that the file has."""
    raw = path.read_bytes()
    mark = "\ufeff" if raw.startswith(b"\xef\xbb\xbf") else ""
    write_atomically(path, (mark + _line_ends(text, b"\r\n" in raw)).encode())


def _line_ends(text: str, windows: bool) -> str:
    return re.sub(r"\r?\n", "\r\n", text) if windows else text


def _diff(name: str, before: Source, after: Source) -> str:
    import difflib

    lines = difflib.unified_diff(
        before.text.splitlines(), after.text.splitlines(), name, name, lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)
