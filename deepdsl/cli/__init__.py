"""The command line: `dnnc COMMAND …`.

Each command is a module of this package with `arguments` and `run`; only the one that is used is
imported.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from deepdsl.cli.output import Output, exit_status
from deepdsl.version import VERSION

# name -> what it does, in the order in which a newcomer needs them
COMMANDS = {
    "new": "write a starter file",
    "check": "find every mistake in a file, without training",
    "fmt": "put a file into canonical layout",
    "inspect": "show layers, shapes, parameters, memory, work",
    "plan": "show what happens to each layer in each phase of a training",
    "lr-find": "find a learning rate by one pass in which it grows",
    "train": "train a model",
    "sweep": "train with different settings, and compare them",
    "report": "write a page about a run: curves, figures, the model, the plan",
    "eval": "measure a run or an ONNX file on data",
    "predict": "apply a run or an ONNX file to new rows",
    "probe": "measure signals and gradients, layer by layer, beside what theory predicts",
    "export": "write a run as one ONNX file to deploy",
    "build": "write the training step as ONNX files for any host",
    "surgery": "show where an ONNX file can be cut, and write a starter file for it",
    "zoo": "get trained models by name, with licence and checksum; publish your own",
    "bench": "time training steps",
    "explain": "explain a diagnostic, a layer or an option",
    "doctor": "show what this machine can run",
}

OK, USAGE, INTERRUPTED = 0, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        options = _parse(arguments)
    except KeyboardInterrupt:
        # A command's module is imported here, which may take a second.
        Output(False, False, False).note("interrupted")
        return INTERRUPTED
    if isinstance(options, int):
        return options
    output = Output(options.json, options.quiet, options.verbose)
    try:
        return _run(options, output)
    except BrokenPipeError:
        # The reader has gone (`dnnc … | head`): nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _run(options: argparse.Namespace, output: Output) -> int:
    try:
        status: int = _module(options.command).run(options, output)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        output.note("interrupted")
        status = INTERRUPTED
    except Exception as error:
        status = exit_status(output.failure(error))
    sys.stdout.flush()
    return status


def _module(command: str) -> ModuleType:
    return import_module(f"deepdsl.cli.{command.replace('-', '_')}_")


def _parse(arguments: Sequence[str]) -> argparse.Namespace | int:
    known = next((a for a in arguments if not a.startswith("-")), None)
    parser = _Parser(
        prog="dnnc", description=__doc__ and "Write a neural network as text; train it as ONNX."
    )
    parser.add_argument("--version", action="version", version=f"dnnc {VERSION}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", parser_class=_Parser
    )
    for name, about in COMMANDS.items():
        sub = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        sub.add_argument("--json", action="store_true", help="one JSON object on stdout")
        sub.add_argument("-q", "--quiet", action="store_true", help="say only what was asked for")
        sub.add_argument("-v", "--verbose", action="store_true", help="say more")
        if name == known:
            _module(name).arguments(sub)
    try:
        options = parser.parse_args(arguments)
    except _WrongUsage as wrong:
        message, prog = wrong.args
        # Arguments that no one takes are refused by the parser of all commands.
        prog = f"dnnc {known}" if prog == "dnnc" and known in COMMANDS else prog
        usage = f"`{prog} --help` says what there is"
        return Output("--json" in arguments, False, False).usage(message, usage)
    except SystemExit as stop:
        return int(stop.code or 0)
    if options.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    return options


class _WrongUsage(Exception):
    """What is wrong with the command line, and which command was asked."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest name where a command is misspelt."""

    def error(self, message: str) -> None:  # type: ignore[override]
        if "invalid choice" in message and "COMMAND" in message:
            from deepdsl.diagnostics import did_you_mean

            word = message.split("'")[1]
            near = did_you_mean(word, COMMANDS)
            message = f"there is no command `{word}`" + (
                f"; {near}" if near.startswith("did") else ""
            )
        raise _WrongUsage(message, self.prog)
