"""`dnnc predict RUN|FILE.onnx INPUT…`: outputs for new rows, as csv, npz or jsonl."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepdsl.cli.output import Output
from deepdsl.cli.sources import add_device_arguments, positive
from deepdsl.core.atomic_files import write_atomically
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import WrongFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepdsl.inference.predictor import Predictor

SUMMARY = "apply a run or an ONNX file to new rows"
POSITION = 11  # in `dnnc --help`

SUFFIXES = (".csv", ".npz", ".jsonl")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="RUN|FILE.onnx", type=Path)
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        type=Path,
        help="npz, npy, csv or idx files of rows; images, or folders of them",
    )
    parser.add_argument(
        "-o", "--out", metavar="OUT", type=Path, help="csv, npz or jsonl; csv on stdout by default"
    )
    add_device_arguments(parser)
    parser.add_argument(
        "--samples",
        type=positive,
        metavar="K",
        help="mean and deviation over K passes with dropout at work (Monte-Carlo dropout)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    if options.out is not None and options.out.suffix not in SUFFIXES:
        formats = ", ".join(SUFFIXES)
        raise DnnError([WrongFormat(None, str(options.out), "predictions", formats)])
    import numpy as np

    from deepdsl.inference.image_rows import image_files, image_rows
    from deepdsl.inference.predictor import labels, open_predictor

    predictor = open_predictor(
        options.model, options.device, options.threads, samples=options.samples
    )
    made: list[Mapping[str, NDArray[Any]]] = []
    files: list[str] = []
    told_apart = False
    for path in options.inputs:
        images = image_files(path)
        told_apart = told_apart or images is not None
        given = [_rows(predictor, path)] if images is None else image_rows(predictor, images)
        for rows in given:
            made.append(predictor.predict(rows))
        count = sum(len(next(iter(m.values()))) for m in made) - len(files)
        files += [str(path)] * count if images is None else map(str, images)
    outputs = {k: np.concatenate([m[k] for m in made]) for k in made[0]}
    first = next(iter(outputs.values()))
    beside: dict[str, Sequence[str]] = {"file": files} if told_apart else {}
    if (named := labels(predictor, first)) is not None:
        beside["label"] = named
    if options.out is not None and options.out.suffix == ".npz":
        buffer = io.BytesIO()
        extra = {name: np.array(texts) for name, texts in beside.items()}
        np.savez(buffer, **outputs, **extra)  # type: ignore[arg-type]
        write_atomically(options.out, buffer.getvalue())
    else:
        as_lines = options.out is not None and options.out.suffix == ".jsonl"
        text = _jsonl(outputs, beside) if as_lines else _csv(predictor, outputs, beside)
        if options.out is not None:
            write_atomically(options.out, text.encode())
        elif not output.as_json:
            sys.stdout.write(text)
    told: dict[str, Any] = {"rows": len(first), "file": str(options.out) if options.out else None}
    if options.out is None:
        told["outputs"] = {k: v.tolist() for k, v in outputs.items()}
        told["label"] = list(named) if named is not None else None
        told |= {"files": files} if told_apart else {}
    if options.out is not None or output.as_json:
        output.result(f"{options.out}: {len(first):,} rows", told)
    return 0


def _rows(predictor: Predictor, path: Path) -> dict[str, NDArray[Any]]:
    """The inputs of a file, read and checked as a data section's would be."""
    import numpy as np

    from deepdsl.data import OpenRequest
    from deepdsl.data.indices import check_indices
    from deepdsl.data.raw_rows import raw_rows

    ports = predictor.interface.inputs
    shapes = {p.name: p.row_shape for p in ports}
    trained = predictor.run.data.train.row if predictor.run and predictor.run.data.train else None
    source = raw_rows(path, predictor.columns, tuple(shapes), trained)
    table = source.open(OpenRequest(Path(), shapes, {}, "test"))
    check_indices(table, shapes, trained=True)
    rows = np.arange(table.rows)
    out = {}
    for port in ports:
        out[port.name] = np.empty((table.rows, *(port.row_shape or ())), port.dtype)
        table.inputs[port.name].read(rows, out[port.name])
    return out


def _csv(
    predictor: Predictor,
    outputs: Mapping[str, NDArray[Any]],
    beside: Mapping[str, Sequence[str]],
) -> str:
    from deepdsl.inference.monte_carlo import deviation_of

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = list(beside)
    columns: list[NDArray[Any]] = []
    # A deviation has the columns of its output.
    single = sum(deviation_of(name, outputs) is None for name in outputs) == 1
    for name, values in outputs.items():
        flat = values.reshape(len(values), -1)
        columns.append(flat)
        classes = predictor.classes
        told = classes if len(classes) == flat.shape[1] and single else range(flat.shape[1])
        header += [name] if flat.shape[1] == 1 else [f"{name}_{t}" for t in told]
    writer.writerow(header)
    for row in range(len(columns[0])):
        cells: list[Any] = [texts[row] for texts in beside.values()]
        for flat in columns:
            cells += [f"{v:.9g}" for v in flat[row]]
        writer.writerow(cells)
    return text.getvalue()


def _jsonl(outputs: Mapping[str, NDArray[Any]], beside: Mapping[str, Sequence[str]]) -> str:
    lines = []
    for row in range(len(next(iter(outputs.values())))):
        told: dict[str, Any] = {name: texts[row] for name, texts in beside.items()}
        told.update({name: values[row].tolist() for name, values in outputs.items()})
        lines.append(json.dumps(told))
    return "\n".join(lines) + "\n" if lines else ""
