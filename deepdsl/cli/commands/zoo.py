"""`dnnc zoo list|get|verify|publish`: trained models by name, with licence and checksum."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepdsl.cli.output import Output, file_status, table
from deepdsl.core.text import plural
from deepdsl.diagnostics import DnnError, ExitStatus
from deepdsl.diagnostics.transfer.zoo import CannotPublish

if TYPE_CHECKING:
    from deepdsl.transfer.zoo import Index, Located, ZooEntry

SUMMARY = "get trained models by name, with licence and checksum; publish your own"
POSITION = 16  # in `dnnc --help`

# Bytes from which a copy is worth a word about its progress, and seconds between two.
SLOW, BETWEEN = 5_000_000, 1.0


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, parser_class=type(parser)
    )
    for name, (about, add) in ACTIONS.items():
        sub = actions.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        # They are after `zoo` or after the action; what is not given here leaves the other.
        for short, long, what in (
            ((), "--json", "one JSON object on stdout"),
            (("-q",), "--quiet", "say only what was asked for"),
            (("-v",), "--verbose", "say more"),
        ):
            sub.add_argument(
                *short, long, action="store_true", default=argparse.SUPPRESS, help=what
            )
        add(sub)


def _index(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--index",
        metavar="FILE|DIR|URL",
        help="an index of your own, a folder with one, or its https address; the shipped one by "
        "default",
    )


def _get(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="as `dnnc zoo list` shows it")
    parser.add_argument(
        "-o", "--out", metavar="FILE.onnx", type=Path, help="file or folder; NAME.onnx by default"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")
    _index(parser)


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME|FILE.onnx",
        nargs="?",
        help="a model, or a copy of one; all that are at hand by default",
    )
    _index(parser)


def _publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="RUN|FILE.onnx", type=Path, help="what is published")
    parser.add_argument(
        "--to", metavar="DIR", type=Path, required=True, help="the folder; it is made where needed"
    )
    parser.add_argument("--name", metavar="N", required=True, help="the model's name in the index")
    parser.add_argument(
        "--licence",
        "--license",
        metavar="SPDX",
        help="Apache-2.0, MIT, CC-BY-4.0 …; needed for a new model",
    )
    parser.add_argument("--licence-source", metavar="TEXT", help="the source of the licence")
    parser.add_argument("--title", metavar="TEXT", help="what it is, in a few words")
    parser.add_argument("--does", metavar="TEXT", help="what it does, in a sentence or two")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="what an input's numbers must be, in words",
    )
    parser.add_argument(
        "--cut",
        action="append",
        metavar="TENSOR",
        help="a tensor to cut at; the recommended ones by default (`dnnc surgery FILE` lists them)",
    )
    parser.add_argument(
        "--size", metavar="3x48x192", help="sizes of the input where the file leaves them free"
    )


ACTIONS = {
    "list": ("show the models of an index, and which are at hand", _index),
    "get": ("copy a model here, after comparing its checksum", _get),
    "verify": ("compare models with what the index says of them", _verify),
    "publish": ("put a model into a folder, and its entry into the index there", _publish),
}


def run(options: argparse.Namespace, output: Output) -> int:
    # What was given after the action is known only now.
    told = Output(options.json, options.quiet, options.verbose)
    return {"list": list_, "get": get_, "verify": verify_, "publish": publish_}[options.action](
        options, told
    )


def list_(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.transfer.zoo import locate, open_index

    index = open_index(options.index)
    found = [(entry, locate(entry, index)) for entry in index.entries.values()]
    output.result(
        _listed(found, index, output.verbose),
        {"index": index.shown, "models": [_as_json(e, at, index) for e, at in found]},
    )
    return 0


def _listed(found: list[tuple[ZooEntry, Located]], index: Index, verbose: bool) -> str:
    if not found:
        return f"{index.shown}: no models"
    rows = [["name", "size", "licence", "from", "at hand", "what it is"]]
    rows += [
        [e.name, _size(e.bytes), e.licence, e.place.shown, at.state, e.title] for e, at in found
    ]
    text = table(rows, right=(1,))
    return text + "".join(f"\n\n{_told(e)}" for e, _ in found) if verbose else text


def _told(entry: ZooEntry) -> str:
    """All of an entry, in lines."""
    from deepdsl.transfer.zoo.entry import shape_text

    rows = [["does", entry.does], ["licence", f"{entry.licence}: {entry.licence_source}"]]
    rows += [
        [kind, f"{t.name}  {shape_text(t.shape)}{f': {t.about}' if t.about else ''}"]
        for kind, tensors in (
            ("input", entry.inputs),
            ("output", entry.outputs),
            ("cut", entry.cuts),
        )
        for t in tensors
    ]
    rows.append(["sha256", entry.sha256])
    return f"{entry.name}\n{table([['  ' + kind, text] for kind, text in rows])}"


def get_(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.transfer.template import identifier, use_line
    from deepdsl.transfer.zoo import get, open_index
    from deepdsl.transfer.zoo.snippet import snippet

    index = open_index(options.index)
    got = get(index, options.name, options.out, options.force, _Progress(output))
    entry = got.entry
    use = use_line(got.file.as_posix(), identifier(entry.name))
    text = snippet(entry, got.file.as_posix())
    output.note(f"`dnnc surgery {got.file}` shows where it can be cut, and writes a whole file")
    output.result(
        f"{got.file}: {entry.bytes:,} bytes, sha256 as the index says\n"
        f"licence: {entry.licence} ({entry.licence_source})\n\n{text}".rstrip("\n"),
        {
            "name": entry.name,
            "file": str(got.file),
            "from": got.source,
            "bytes": entry.bytes,
            "sha256": entry.sha256,
            "licence": entry.licence,
            "licence_source": entry.licence_source,
            "use": use,
            "starter": text,
        },
    )
    return 0


def verify_(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.transfer.zoo import open_index
    from deepdsl.transfer.zoo.verify import verify

    index = open_index(options.index)
    verified = verify(index, options.name)
    rows = [
        [v.entry.name, v.state, f"{v.file}" if v.file else "", v.what if v.state == "ok" else ""]
        for v in verified
    ]
    problems = [d for v in verified for d in v.problems]
    output.result(
        table(rows) if rows else f"{index.shown}: no models",
        {
            "index": index.shown,
            "models": [
                {"name": v.entry.name, "state": v.state, "file": str(v.file) if v.file else None}
                for v in verified
            ],
            "diagnostics": [d.as_json() for d in problems],
        },
    )
    output.warnings(problems)
    return ExitStatus.FILES if problems else 0


def publish_(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.transfer.zoo.publish import PublishOptions, publish

    wanted = PublishOptions(
        options.name,
        options.licence,
        options.licence_source,
        options.title,
        options.does,
        dict(_named(text) for text in options.input),
        tuple(options.cut) if options.cut is not None else None,
        options.size,
    )
    try:
        made = publish(options.model, options.to, wanted, _export_run)
    except DnnError as error:
        return file_status(output.failure(error))
    entry = made.entry
    lines = [
        f"{made.file}: {entry.bytes:,} bytes, {entry.licence}",
        f"{made.index}: `{entry.name}` {'renewed' if made.renewed else 'added'}, "
        f"{made.count} {plural(made.count, 'model')}",
    ]
    output.result(
        "\n".join(lines),
        {
            "file": str(made.file),
            "index": str(made.index),
            "renewed": made.renewed,
            "entry": made.document,
        },
    )
    return 0


def _named(text: str) -> tuple[str, str]:
    name, sign, words = text.partition("=")
    if not (name and sign and words.strip()):
        reason = "this names no input and its words"
        raise DnnError([CannotPublish(None, f"--input {text}", reason, '--input "x=0 to 1"')])
    return name.strip(), words.strip()


def _as_json(entry: ZooEntry, at: Located, index: Index) -> dict[str, Any]:
    told = next(m for m in index.document["models"] if m["name"] == entry.name)
    return {
        **told,
        "from": entry.place.shown,
        "at_hand": at.path is not None and at.state in ("here", "installed"),
        "state": at.state,
        "path": str(at.path) if at.path else None,
        "address": at.address,
        "help": at.trouble.help if at.trouble else "",
    }


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


class _Progress:
    """A line on a terminal that grows, a line now and then elsewhere."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.on_terminal = sys.stderr.isatty() and not output.quiet
        self.said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if total < SLOW or (now - self.said < BETWEEN and not (done >= total and self.on_terminal)):
            return
        self.said = now
        text = f"{_size(done)} of {_size(total)}"
        if self.on_terminal:
            print(f"\r{text}", end="\n" if done >= total else "", file=sys.stderr, flush=True)
        else:
            self.output.note(text)


def _export_run(run: Path, file: Path) -> None:
    # Imported here: no other use of a zoo needs a runtime.
    from deepdsl.inference.export import export
    from deepdsl.training.run_directory import open_run

    export(open_run(run), file)
