"""`dnnc probe FILE|RUN`: how signals and gradients go through a model, measured and predicted."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import add_training_arguments, changed_source, folder_of, positive
from deepdsl.core.atomic_files import write_atomically

if TYPE_CHECKING:
    from deepdsl.insight.probe import Probe

SUMMARY = "measure signals and gradients layer by layer, next to the prediction"
POSITION = 12  # in `dnnc --help`

ROWS = 1000


def arguments(parser: argparse.ArgumentParser) -> None:
    add_training_arguments(parser)
    for action in parser._actions:
        if action.dest == "file":
            action.metavar, action.help = "FILE|RUN", "a .dnn file, - for stdin, or a run directory"
    parser.add_argument(
        "--batches", type=positive, default=8, metavar="N", help="batches to measure; 8 by default"
    )
    parser.add_argument(
        "--normal",
        action="store_true",
        help=f"{ROWS:,} standard normal rows and gradients instead of the data and the loss",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page with charts")


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.insight.probe.page import bars, render, summary, table_rows

    made = _of_run(options) if Path(options.file).is_dir() else _of_file(options, output)
    rows = table_rows(made)
    width = shutil.get_terminal_size((100, 24)).columns
    told = [
        f"{made.model}: {made.rows:,} rows",
        table(rows, range(1, len(rows[0]))),
        bars(made, min(width, 100)),
        summary(made),
    ]
    if options.html is not None:
        page = render(made, f"Probe of {made.model}")
        write_atomically(options.html, page.encode())
        told.append(f"page: {options.html}")
    machine = made.as_json()
    if options.html is not None:
        machine["file"] = str(options.html)
    output.result("\n\n".join(part for part in told if part), machine)
    return 0


def _of_file(options: argparse.Namespace, output: Output) -> Probe:
    """A file's model at its start."""
    from deepdsl.compiler.build import build
    from deepdsl.compiler.front_end import load_program, model_of, training_of
    from deepdsl.compiler.job import open_job
    from deepdsl.graph.backend import open_backend
    from deepdsl.insight.probe import probe_normal, probe_task

    program, warnings = load_program(changed_source(options))
    output.warnings(warnings)
    backend = open_backend(options.device, options.threads)
    if options.normal or not program.trainings:
        if not options.normal:
            output.note("no `train` section: measured on standard normal rows and gradients")
        model = model_of(program, options.model)
        trained = [t for t in program.trainings if t.model == model.name]
        seed = trained[0].seed if trained else int(options.seed or 0)
        return probe_normal(model, seed, backend, ROWS)
    training = training_of(program, options.model)
    job = open_job(program, training, folder_of(options.file), ("train",))
    assert job.splits.train is not None
    state = build(job).state
    return probe_task(job.task, job.splits.train, state, backend, options.batches)


def _of_run(options: argparse.Namespace) -> Probe:
    """A trained model, on the data that it was trained on."""
    from deepdsl.compiler.job import open_job
    from deepdsl.graph.backend import open_backend
    from deepdsl.insight.probe import probe_task
    from deepdsl.training.run_directory import open_run

    run = open_run(Path(options.file))
    columns = run.manifest.get("columns", {})
    job = open_job(run.program, run.training, run.folder, ("train",), run.classes or None, columns)
    assert job.splits.train is not None
    backend = open_backend(options.device, options.threads)
    state = run.checkpoint.state
    return probe_task(job.task, job.splits.train, state, backend, options.batches, train=False)
