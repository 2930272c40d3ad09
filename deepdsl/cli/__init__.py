"""The command line: arguments, output, exit statuses, one module for each command.

A command is a module of `deepdsl.cli.commands` with `SUMMARY`, `arguments` and `run`; only the one
that is used is imported.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from deepdsl.cli import commands
from deepdsl.cli.output import Output, exit_status
from deepdsl.core.registry import module_names
from deepdsl.core.version import VERSION

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


def names() -> frozenset[str]:
    """The names of all commands: those of the modules in `deepdsl.cli.commands`."""
    return frozenset(name.replace("_", "-") for name in module_names(commands.__name__))


def summaries() -> dict[str, str]:
    """Every command with its summary, in the order in which `--help` lists them."""
    constants = {name: _constants(name) for name in names()}
    order = sorted(constants, key=lambda name: constants[name]["POSITION"])
    return {name: constants[name]["SUMMARY"] for name in order}


def _constants(command: str) -> dict[str, Any]:
    """The literal constants of a command's module. They are read off its text: to import all
    modules takes 0.7 s, which `--version` and `--help` do not need.
    """
    source = Path(commands.__path__[0], f"{_file(command)}.py").read_bytes()
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("SUMMARY", "POSITION")
    }


def _module(command: str) -> ModuleType:
    # A command's module is imported when it is asked for: a check must not load what trains.
    return import_module(f"{commands.__name__}.{_file(command)}")


def _file(command: str) -> str:
    return command.replace("-", "_")


def _parse(arguments: Sequence[str]) -> argparse.Namespace | int:
    known = next((a for a in arguments if not a.startswith("-")), None)
    parser = _Parser(
        prog="dnnc", description=__doc__ and "Write a neural network as text; train it as ONNX."
    )
    parser.add_argument("--version", action="version", version=f"dnnc {VERSION}")
    subparsers = parser.add_subparsers(
        dest="command", metavar="COMMAND", title="commands", parser_class=_Parser
    )
    every = {known: str(_module(known).SUMMARY)} if known in names() else summaries()
    for name, about in every.items():
        sub = subparsers.add_parser(
            name, help=about, description=about[0].upper() + about[1:] + "."
        )
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
        prog = f"dnnc {known}" if prog == "dnnc" and known in names() else prog
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
            near = did_you_mean(word, names())
            message = f"there is no command `{word}`" + (
                f"; {near}" if near.startswith("did") else ""
            )
        raise _WrongUsage(message, self.prog)
