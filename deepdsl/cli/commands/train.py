"""`dnnc train FILE`: trains, with a progress bar, into a run directory; of several trainings one
after the other.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepdsl.cli.output import Output, table
from deepdsl.cli.sources import add_training_arguments, changed_source, folder_of, positive
from deepdsl.graph.backend import DEFAULT_DEVICE

if TYPE_CHECKING:
    from deepdsl.diagnostics import Diagnostic
    from deepdsl.language.analysis import CheckedProgram, Training
    from deepdsl.training.callbacks import Observer
    from deepdsl.training.workflow import Finished, Session

SUMMARY = "train a model"
POSITION = 7  # in `dnnc --help`

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
    from deepdsl.compiler.front_end import load_program, training_of
    from deepdsl.training.run_directory import runs_of
    from deepdsl.training.workflow import in_order

    if options.tensorboard is not None:
        from deepdsl.insight.tensorboard import need_tensorboard

        need_tensorboard()
    program, warnings = load_program(changed_source(options))
    models = [training.model for training in program.trainings]
    several = options.model is None and len(set(models)) == len(models) > 1
    trainings = in_order(program) if several else [training_of(program, options.model)]
    output.warnings(warnings)
    runs = dict(runs_of(program, _stem(options.file)))
    told: list[dict[str, Any]] = []
    texts: list[str] = []
    for training in trainings:
        if several:
            output.note(f"{training.model} ({len(told) + 1} of {len(trainings)})")
        finished, text = _one(options, output, program, training, warnings, runs, several)
        runs[training.model] = finished.path
        told.append(dict(finished.figures))
        texts.append(f"{training.model}\n{text}" if several else text)
        if finished.outcome.interrupted:
            break
    interrupted = any(figures["interrupted"] for figures in told)
    output.result("\n\n".join(texts), {"runs": told} if several else told[0])
    return INTERRUPTED if interrupted else 0


def _one(
    options: argparse.Namespace,
    output: Output,
    program: CheckedProgram,
    training: Training,
    warnings: Sequence[Diagnostic],
    runs: Mapping[str, Path],
    several: bool,
) -> tuple[Finished, str]:
    """One training, and what is told of it."""
    from deepdsl.training.run_directory import free_directory, run_place
    from deepdsl.training.workflow import prepare

    place = run_place(_stem(options.file), training.model, len(program.trainings))
    if options.out is not None:
        place = options.out / training.model if several else options.out
    resume = options.resume and not (several and not (place / "manifest.json").exists())
    if options.out is None and not options.resume:
        free = free_directory(place)
        if free != place:
            output.note(f"{place} holds a run already; this one goes to {free}")
        place = free
    session = prepare(
        program,
        training,
        folder_of(options.file),
        place,
        options.device,
        options.threads,
        resume,
        warnings=warnings,
        runs=runs,
    )
    output.warnings(session.job.splits.warnings)
    if session.job.loaded:
        from deepdsl.transfer.weights.table import table as match_table

        output.note(match_table(session.job.loaded))
    finished = _train(options, output, session)
    if finished.outcome.interrupted:
        model = training.model if several else options.model
        output.note(f"interrupted; `{_again(options, model, place)}` continues from here")
    return finished, _told(finished, training, output)


def _again(options: argparse.Namespace, model: str | None, place: Path) -> str:
    """The command that continues: what was changed of the file is changed again."""
    words = ["dnnc", "train", options.file, *(("--model", model) if model else ())]
    words += [word for setting in options.set for word in ("--set", setting)]
    for name in ("epochs", "seed", "threads", "device"):
        value = getattr(options, name)
        words += ["--" + name, str(value)] if value not in (None, DEFAULT_DEVICE) else []
    return shlex.join([*words, "--out", str(place), "--resume"])


def _told(finished: Finished, training: Training, output: Output) -> str:
    """The figures of a finished training; how it came to its end is a note."""
    figures, outcome = finished.figures, finished.outcome
    rows = [["", *training.scalar_names]]
    for split in ("train", "valid", "test"):
        if figures[split]:
            # An epoch taken up in its middle goes without what is collected from its start.
            told = (figures[split].get(name) for name in training.scalar_names)
            rows.append([split, *("" if v is None else f"{v:.4f}" for v in told)])
    summary = f"{table(rows, range(1, len(rows[0])))}\n" if len(rows) > 1 else ""
    if outcome.restored is not None and figures["train"]:
        summary += f"train: means over epoch {outcome.restored}, while the weights changed\n"
    for proof in outcome.proofs:
        summary += "".join(f"{line}\n" for line in proof.lines())
    if outcome.stopped:
        output.note(f"stopped after epoch {figures['epochs']}: {outcome.stopped}")
    if outcome.restored is not None:
        output.note(f"restored the weights of epoch {outcome.restored}")
    return f"{summary}run: {figures['run']}"


def _train(options: argparse.Namespace, output: Output, session: Session) -> Finished:
    """Train with a progress bar, and with event files where they were asked for."""
    from deepdsl.cli.progress import Progress
    from deepdsl.insight.report.training import report_training
    from deepdsl.training.callback_list import CallbackList

    observer = _observer(session, options.every)
    with Progress(output, session) as progress:
        if options.tensorboard is None:
            return session.train(progress, observer, report_training)
        from deepdsl.insight.tensorboard import EventFiles

        run = session.run
        place = run.path / "tensorboard" if options.tensorboard == Path() else options.tensorboard
        with EventFiles(place, run.roles) as events:
            return session.train(CallbackList(progress, events), observer, report_training)


def _observer(session: Session, every: int | None) -> Observer | None:
    """A probe every N steps, in probe.jsonl."""
    if every is None:
        return None
    from deepdsl.insight.probe.log import ProbeLog

    file = session.run.path / "probe.jsonl"
    return ProbeLog(session.job.task, session.backend, every, file)


def _stem(file: str) -> str:
    return Path(file).stem if file != "-" else "stdin"
