"""`dnnc explain CODE|NAME`: the page of a diagnostic, a layer, an initializer, an option …"""

from __future__ import annotations

import argparse

from deepdsl import pages
from deepdsl.cli import COMMANDS
from deepdsl.cli.output import Output
from deepdsl.diagnostics import ExitStatus


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="CODE|NAME", nargs="?", help="E201, dense, adam …; nothing for a list"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    if options.name is None:
        output.result(pages.overview(), {"pages": pages.names()})
        return 0
    found = pages.find(options.name)
    if not found and options.name in COMMANDS:
        found = [
            f"`dnnc {options.name}`: {COMMANDS[options.name]}; see `dnnc {options.name} --help`"
        ]
    if not found:
        why = f"there is no page for `{options.name}`{pages.nearest(options.name)}"
        output.note(f"dnnc: {why}")
        output.result("", {"pages": [], "message": why})
        return ExitStatus.USAGE
    output.result("\n\n".join(found), {"pages": found})
    return 0
