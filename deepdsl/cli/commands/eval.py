"""`dnnc eval RUN|FILE.onnx`: loss and metrics on data."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import add_device_arguments
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.cli.files import NoTraining
from deepdsl.diagnostics.language.names import UnknownReference
from deepdsl.diagnostics.training.runtime import NoSuchRun

if TYPE_CHECKING:
    from deepdsl.nn.metrics import Figure

    Figures = Mapping[str, Figure]

SUMMARY = "measure a run or an ONNX file on data"
POSITION = 10  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="RUN|FILE.onnx", type=Path)
    parser.add_argument(
        "--data", metavar="FILE.dnn[:NAME]", help="data section; a run's own by default"
    )
    parser.add_argument("--split", default="test", choices=("train", "valid", "test"))
    parser.add_argument(
        "--checkpoint", choices=("last", "best"), help="of a run; its result by default"
    )
    add_device_arguments(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.compiler.front_end import load_program, read_source
    from deepdsl.inference.predictor import measure, open_predictor

    predictor = open_predictor(options.model, options.device, options.threads, options.checkpoint)
    trained = predictor.run
    if options.data is None:
        if trained is None:
            advice = "name a .dnn file with a data section: --data FILE.dnn"
            raise DnnError(
                [NoSuchRun(None, str(options.model), "an ONNX file has no data", advice)]
            )
        program, folder = trained.program, trained.folder
        name: str | None = trained.data.name
    else:
        file, name = _named(options.data)
        program, _ = load_program(read_source(Path(file)))
        folder = Path(file).parent
    sections = program.datasets
    if name is None and len(sections) == 1:
        name = next(iter(sections))
    if name is None or name not in sections:
        raise DnnError([UnknownReference(None, "data", name or "", tuple(sections))])
    training = (
        trained.training
        if trained
        else next((t for t in program.trainings if t.data == name), None)
    )
    if training is None:
        raise DnnError([NoTraining(None, "", tuple(t.model for t in program.trainings))])
    found, rows = measure(predictor, training, sections[name], folder, options.split)
    output.result(
        _told(found, rows, options.split, predictor.classes),
        {**found, **_names(found, predictor.classes), "rows": rows, "split": options.split},
    )
    return 0


def _told(found: Figures, rows: int, split: str, classes: Sequence[str]) -> str:
    """The figures in one line, and a table of counts below."""
    numbers = {name: v for name, v in found.items() if not isinstance(v, list)}
    lines = [["", *numbers], [split, *(f"{v:.4f}" for v in numbers.values())]]
    told = [table(lines, range(1, len(lines[0]))), f"{rows:,} rows"]
    for name, counts in found.items():
        if isinstance(counts, list):
            names = _class_names(counts, classes)
            lines = [["", *names]]
            lines += [[n, *map(str, row)] for n, row in zip(names, counts, strict=True)]
            what = f"{name}: down what a row is, across what it was taken for"
            told += ["", what, table(lines, range(1, len(lines[0])))]
    return "\n".join(told)


def _class_names(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Sequence[str]:
    """Their numbers, where the names are not known or are others'."""
    return classes if len(classes) == len(counts) else [str(n) for n in range(len(counts))]


def _names(found: Figures, classes: Sequence[str]) -> dict[str, list[str]]:
    """The classes that the rows and columns of a table of counts mean."""
    tables = [figure for figure in found.values() if isinstance(figure, list)]
    return {"classes": list(_class_names(tables[0], classes))} if tables else {}


def _named(text: str) -> tuple[str, str | None]:
    """`FILE.dnn:NAME`; a colon in the path itself (a drive letter) does not count."""
    file, colon, name = text.rpartition(":")
    if colon and name.isidentifier() and file.endswith(".dnn"):
        return file, name
    return text, None
