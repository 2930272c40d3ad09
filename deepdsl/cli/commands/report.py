"""`dnnc report RUN`: writes the page about a run, and event files for TensorBoard."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepdsl.cli.output import Output
from deepdsl.cli.sources import add_device_arguments
from deepdsl.diagnostics import DnnError

SUMMARY = "write a page about a run: curves, figures, the model, the plan"
POSITION = 9  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument(
        "-o", "--out", metavar="FILE.html", type=Path, help="the page; RUN/report.html by default"
    )
    parser.add_argument(
        "--split",
        choices=("train", "valid", "test"),
        help="rows for the confusion matrix; test where there are some, else valid",
    )
    parser.add_argument(
        "--tensorboard", metavar="DIR", type=Path, help="write event files for TensorBoard too"
    )
    add_device_arguments(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.insight.report.confusion import Confusion
    from deepdsl.insight.report.measured import measure_confusion
    from deepdsl.insight.report.page import write_report
    from deepdsl.training.run_directory import describe_run

    if options.tensorboard is not None:
        from deepdsl.insight.tensorboard import need_tensorboard

        need_tensorboard()
    told = describe_run(options.run)
    confusion: Confusion | None = None
    try:
        confusion = measure_confusion(options.run, options.split, options.device, options.threads)
    except DnnError as error:
        # A run without a checkpoint or without its data has curves all the same.
        for diagnostic in error.diagnostics:
            output.note(f"no confusion matrix: {diagnostic.message}")
    place = write_report(told, options.out, confusion)
    lines = [str(place)]
    if options.tensorboard is not None:
        lines.append(_events(options, told.manifest))
    machine = {
        "file": str(place),
        "tensorboard": str(options.tensorboard) if options.tensorboard else None,
        "confusion": {"split": confusion.split, "matrix": confusion.matrix} if confusion else None,
    }
    output.result("\n".join(lines), machine)
    return 0


def _events(options: argparse.Namespace, manifest: object) -> str:
    from deepdsl.insight.tensorboard import write_events
    from deepdsl.transfer.weights.checkpoint import read

    assert isinstance(manifest, dict)
    roles = {t["name"]: t["role"] for t in manifest["state"]}
    folder = options.run / "checkpoints" / str(manifest.get("final", "last"))
    final = read(folder) if folder.is_dir() else None
    epochs = write_events(options.run, options.tensorboard, roles, final)
    return f"{options.tensorboard}: event files of {epochs} epochs"
