"""`dnnc export RUN -o FILE.onnx`: the deployable model, verified."""

from __future__ import annotations

import argparse
from pathlib import Path

from deepdsl.cli.output import Output
from deepdsl.cli.sources import positive
from deepdsl.core.text import plural

SUMMARY = "write a run as one ONNX file to deploy"
POSITION = 13  # in `dnnc --help`


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a run directory")
    parser.add_argument(
        "-o",
        "--out",
        metavar="FILE.onnx",
        type=Path,
        help="the file; the export section's by default",
    )
    parser.add_argument(
        "--checkpoint", choices=("last", "best"), help="which; the run's result by default"
    )
    parser.add_argument("--no-fold", action="store_true", help="keep batch norms as they are")
    parser.add_argument(
        "--verify",
        metavar="E",
        type=float,
        help="largest difference allowed (1e-5, with int8 weights 1e-2)",
    )
    parser.add_argument(
        "--quantize", choices=("int8", "none"), help="keep weights in one byte each, or as they are"
    )
    parser.add_argument(
        "--keep-float",
        action="append",
        metavar="PATH",
        help="a layer, part or tensor that --quantize leaves as it is; may be given again",
    )
    parser.add_argument(
        "--samples",
        metavar="K",
        type=positive,
        help="give mean and deviation over K passes with dropout at work (Monte-Carlo dropout)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.inference.export import export
    from deepdsl.training.run_directory import open_run

    trained = open_run(options.run, options.checkpoint)
    section = trained.program.exports.get(trained.model.name)
    named = Path(section.file) if section and section.file else Path(f"{trained.model.name}.onnx")
    made = export(
        trained,
        options.out or named,
        False if options.no_fold else None,
        options.verify,
        options.samples,
        options.quantize,
        options.keep_float,
    )
    reference = "evaluation graph" if options.samples is None else "mean and deviation by NumPy"
    folded = f", {made.folded} batch {plural(made.folded, 'norm')} folded" if made.folded else ""
    count = len(made.quantized)
    whole = f", {count} {plural(count, 'tensor')} in int8" if count else ""
    output.result(
        f"{made.file}: {made.bytes:,} bytes, opset {made.opset}{folded}{whole}\n"
        f"verified: largest difference from the {reference} {made.max_abs_error:.2g}",
        made.as_json(),
    )
    return 0
