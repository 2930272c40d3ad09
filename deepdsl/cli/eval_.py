"""`dnnc eval RUN|FILE.onnx`: loss and metrics on data."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import positive
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.files import NoTraining
from deepdsl.diagnostics.names import UnknownReference
from deepdsl.diagnostics.runtime import NoSuchRun


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="RUN|FILE.onnx", type=Path)
    parser.add_argument(
        "--data", metavar="FILE.dnn[:NAME]", help="data section; a run's own by default"
    )
    parser.add_argument("--split", default="test", choices=("train", "valid", "test"))
    parser.add_argument(
        "--checkpoint", choices=("last", "best"), help="of a run; its result by default"
    )
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu (default), cuda, or auto")
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="cores to use; all by default"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.compiler import load_program, read_source
    from deepdsl.predictor import measure, open_predictor

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
    lines = [["", *found], [options.split, *(f"{v:.4f}" for v in found.values())]]
    human = f"{table(lines, range(1, len(lines[0])))}\n{rows:,} rows"
    output.result(human, {**found, "rows": rows, "split": options.split})
    return 0


def _named(text: str) -> tuple[str, str | None]:
    """`FILE.dnn:NAME`; a colon in the path itself (a drive letter) does not count."""
    file, colon, name = text.rpartition(":")
    if colon and name.isidentifier() and file.endswith(".dnn"):
        return file, name
    return text, None
