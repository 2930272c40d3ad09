"""`dnnc train FILE`: trains, with a progress bar, into a run directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import add_training_arguments, changed_source, folder_of, positive

if TYPE_CHECKING:
    from deepdsl.workflow import Finished, Session

INTERRUPTED = 130


def arguments(parser: argparse.ArgumentParser) -> None:
    add_training_arguments(parser)
    parser.add_argument(
        "-o", "--out", metavar="DIR", type=Path, help="run directory; runs/NAME by default"
    )
    parser.add_argument(
        "--tensorboard",
        metavar="DIR",
        type=Path,
        nargs="?",
        const=Path(),
        help="write event files for TensorBoard; into RUN/tensorboard by default",
    )
    parser.add_argument(
        "--every",
        metavar="N",
        type=positive,
        help="probe every N steps: signals, gradients and updates by layer, into RUN/probe.jsonl",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in the directory")


def run(options: argparse.Namespace, output: Output) -> int:
    from deepdsl.compiler import load_program, training_of
    from deepdsl.runs import free_directory
    from deepdsl.workflow import prepare

    if options.tensorboard is not None:
        from deepdsl.tensorboard import need_tensorboard

        need_tensorboard()
    source = changed_source(options)
    program, warnings = load_program(source)
    training = training_of(program, options.model)
    place = options.out or default_directory(options.file, training.model, len(program.trainings))
    if options.out is None and not options.resume:
        free = free_directory(place)
        if free != place:
            output.note(f"{place} holds a run already; this one goes to {free}")
        place = free
    output.warnings(warnings)
    session = prepare(
        program,
        training,
        folder_of(options.file),
        place,
        options.device,
        options.threads,
        options.resume,
        warnings=warnings,
    )
    output.warnings(session.job.splits.warnings)
    finished = _train(options, output, session)
    figures = finished.figures
    if finished.outcome.interrupted:
        output.note(
            f"interrupted; `dnnc train {options.file} --out {place} --resume` goes on from here"
        )
    rows = [["", *training.scalar_names]]
    for split in ("train", "valid", "test"):
        if figures[split]:
            # An epoch taken up in its middle goes without what is collected from its start.
            told = (figures[split].get(name) for name in training.scalar_names)
            rows.append([split, *("" if v is None else f"{v:.4f}" for v in told)])
    summary = f"{table(rows, range(1, len(rows[0])))}\n" if len(rows) > 1 else ""
    if finished.outcome.restored is not None and figures["train"]:
        summary += (
            f"train: means over epoch {finished.outcome.restored}, while the weights changed\n"
        )
    if finished.outcome.stopped:
        output.note(f"stopped after epoch {figures['epochs']}: {finished.outcome.stopped}")
    if finished.outcome.restored is not None:
        output.note(f"restored the weights of epoch {finished.outcome.restored}")
    output.result(f"{summary}run: {figures['run']}", dict(figures))
    return INTERRUPTED if finished.outcome.interrupted else 0


def _train(options: argparse.Namespace, output: Output, session: Session) -> Finished:
    """Train with a progress bar, and with event files where they were asked for."""
    from deepdsl.cli.progress import Progress
    from deepdsl.listeners import Listeners

    with Progress(output, session) as progress:
        if options.tensorboard is None:
            return session.train(progress, options.every)
        from deepdsl.tensorboard import EventFiles

        run = session.run
        place = run.path / "tensorboard" if options.tensorboard == Path() else options.tensorboard
        with EventFiles(place, run.roles) as events:
            return session.train(Listeners(progress, events), options.every)


def default_directory(file: str, model: str, trainings: int) -> Path:
    """runs/NAME after the file, and after the model too where a file trains several."""
    stem = Path(file).stem if file != "-" else "stdin"
    return Path("runs") / (stem if trainings == 1 else f"{stem}-{model}")
