"""`dnnc check FILE…`: all errors and lints."""

from __future__ import annotations

import argparse

from deepdsl.cli.output import SPEC, Output, exit_status
from deepdsl.cli.sources import read
from deepdsl.diagnostics import Diagnostic, Severity
from deepdsl.frontend import check


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a .dnn file, or - for stdin")
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")


def run(options: argparse.Namespace, output: Output) -> int:
    found: list[Diagnostic] = []
    for name in options.files:
        _, report = check(read(name))
        found += report
    output.warnings(found)
    errors = exit_status(found)
    clean = "" if found else "\n".join(f"{name}: no mistakes found" for name in options.files)
    output.result("" if output.quiet else clean, {"diagnostics": [d.as_json() for d in found]})
    if options.strict and any(d.severity is Severity.WARNING for d in found):
        return errors or SPEC
    return errors
