"""`dnnc fmt FILE… [--check]`: canonical layout, comments kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deepdsl.cli.output import Output
from deepdsl.cli.sources import read
from deepdsl.core.atomic_files import write_atomically
from deepdsl.diagnostics import ExitStatus
from deepdsl.language.syntax.printer import format_source

SUMMARY = "format a file"
POSITION = 3  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a .dnn file, or - for stdin to stdout"
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; say which files would change"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    changed = []
    for name in options.files:
        source = read(name)
        text = format_source(source)
        if name == "-" and not options.check:
            sys.stdout.write(text)
            continue
        # Compared as bytes: a file with CRLF line ends is not in canonical layout.
        if text.encode() != (Path(name).read_bytes() if name != "-" else source.text.encode()):
            changed.append(name)
            if not options.check:
                write_atomically(Path(name), text.encode())
    if options.files != ["-"] or options.check:
        verb = "would be formatted" if options.check else "formatted"
        output.result("\n".join(f"{name} {verb}" for name in changed), {"changed": changed})
    return ExitStatus.SPEC if options.check and changed else 0
