"""`dnnc build FILE -o DIR`: init, step, eval and infer as ONNX, with a manifest; or one stage as
text.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deepdsl.cli.output import Output
from deepdsl.cli.sources import add_file_arguments, changed_source, folder_of
from deepdsl.compiler.build import build, write_artifacts
from deepdsl.compiler.forward import forward
from deepdsl.compiler.front_end import load_program, model_of, training_of
from deepdsl.compiler.job import open_job
from deepdsl.compiler.training_step import step_graph
from deepdsl.graph import show_graph
from deepdsl.language.analysis import CheckedProgram

SUMMARY = "write the training step as ONNX files for any host"
POSITION = 14  # in `dnnc --help`

STAGES = ("ast", "ir", "train", "onnx-text")


def arguments(parser: argparse.ArgumentParser) -> None:
    add_file_arguments(parser)
    parser.add_argument(
        "-o", "--out", metavar="DIR", type=Path, default=Path("build"), help="where to (build)"
    )
    parser.add_argument(
        "--emit",
        choices=STAGES,
        help="print one stage instead: syntax tree, model's graph, step's graph, its ONNX",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    source = changed_source(options)
    if options.emit == "ast":
        from deepdsl.language.syntax.dump import dump
        from deepdsl.language.syntax.parser import parse

        text = dump(parse(source))
        output.result(text.rstrip("\n"), {"ast": text})
        return 0
    program, warnings = load_program(source)
    output.warnings(warnings)
    folder = folder_of(options.file)
    if options.emit is not None:
        text = _stage(options.emit, program, options.model, folder)
        output.result(text.rstrip("\n"), {options.emit: text})
        return 0
    job = open_job(program, training_of(program, options.model), folder)
    output.warnings(job.splits.warnings)
    artifacts = build(job)
    place = options.out / job.task.model.name
    write_artifacts(artifacts, place)
    files = sorted(p for p in place.iterdir() if p.suffix in (".onnx", ".json"))
    human = "\n".join(f"{p}  {p.stat().st_size:,} bytes" for p in files)
    output.result(human, {"directory": str(place), "files": [p.name for p in files]})
    return 0


def _stage(stage: str, program: CheckedProgram, name: str | None, folder: Path) -> str:
    if stage == "ir":
        model = model_of(program, name)
        training = next((t for t in program.trainings if t.model == model.name), None)
        made = forward(model, program.datasets[training.data] if training else None)
        return show_graph(made.builder.graph(made.outputs))
    job = open_job(program, training_of(program, name), folder)
    if stage == "train":
        return show_graph(step_graph(job.task, job.steps_per_epoch))
    from deepdsl.graph.emit import onnx_text

    return onnx_text(build(job).step)
