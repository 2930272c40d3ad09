"""`dnnc explain CODE|NAME`: the page of a diagnostic, a layer, an initializer, an option …"""

from __future__ import annotations

import argparse

from deepdsl.cli import names, summaries
from deepdsl.cli.output import Output
from deepdsl.diagnostics import ExitStatus
from deepdsl.insight import help_pages as pages

SUMMARY = "explain a diagnostic, a layer or an option"
POSITION = 18  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="CODE|NAME", nargs="?", help="E201, dense, adam …; nothing for a list"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    if options.name is None:
        output.result(pages.overview(), {"pages": pages.names()})
        return 0
    found = pages.find(options.name)
    if not found and options.name in names():
        found = [
            f"`dnnc {options.name}`: {summaries()[options.name]}; see `dnnc {options.name} --help`"
        ]
    if not found:
        why = f"there is no page for `{options.name}`{pages.nearest(options.name)}"
        output.note(f"dnnc: {why}")
        output.result("", {"pages": [], "message": why})
        return ExitStatus.USAGE
    output.result("\n\n".join(found), {"pages": found})
    return 0
