"""The `.dnn` file that a command works on, as it is named and changed on the command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from deepdsl.compiler.front_end import decoded, read_source
from deepdsl.core.source import Source
from deepdsl.language.used_files import SPEC


def read(name: str) -> Source:
    """The text of a file, or of stdin for `-`."""
    if name != "-":
        return read_source(Path(name))
    return Source("<stdin>", decoded(sys.stdin.buffer.read(), "<stdin>"))


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number of at least 1")
    return int(text)


def depth(text: str) -> int:
    """A whole number of at least 0, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number of at least 0")
    return int(text)


def folder_of(name: str) -> Path:
    """What the paths in a file are relative to; for the text that a run directory keeps, what they
    were relative to when it was trained.
    """
    if name == "-":
        return Path()
    here = Path(name).parent
    if Path(name).name != SPEC or not (here / "manifest.json").is_file():
        return here
    from deepdsl.training.run_directory import read_manifest

    return Path(os.path.normpath(here / str(read_manifest(here).get("folder", "."))))


CHANGE = "change an option of the train section: optimizer.lr=0.1, batch=64; `dnnc explain E310`"


def add_file_arguments(parser: argparse.ArgumentParser, settings: str = CHANGE) -> None:
    """The file, and what is changed of it; `settings` is the help of --set."""
    parser.add_argument("file", metavar="FILE", help="a .dnn file, or - for stdin")
    parser.add_argument("--model", metavar="M", help="which model, where several are trained")
    parser.add_argument("--epochs", metavar="N", help="instead of the file's, in each phase")
    parser.add_argument("--seed", metavar="S", help="instead of the file's `seed`")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="ROW.OPTION=VALUE",
        help=settings,
    )


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Where graphs run, and on how many cores."""
    # It loads importlib.metadata, 20 ms that commands without a device do not need.
    from deepdsl.graph.backend import DEFAULT_DEVICE, devices

    names = ", ".join(f"{d} (default)" if d == DEFAULT_DEVICE else d for d in devices())
    parser.add_argument("--device", default=DEFAULT_DEVICE, metavar="D", help=f"{names}, or auto")
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="cores to use; all by default"
    )


def add_training_arguments(parser: argparse.ArgumentParser, settings: str = CHANGE) -> None:
    """The arguments of every command that trains."""
    add_file_arguments(parser, settings)
    add_device_arguments(parser)


def changed_source(options: argparse.Namespace) -> Source:
    """The file's text with --set, --epochs and --seed worked into it."""
    from deepdsl.language.overrides import apply_settings

    settings = list(options.set)
    for name in ("epochs", "seed"):
        if (value := getattr(options, name)) is not None:
            settings.append(f"{name}={value}")
    source = read(options.file)
    return apply_settings(source, settings, options.model) if settings else source
