"""Trains the runs of a sweep: a task comes in, and its end goes out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from deepdsl.compiler.front_end import load_program, training_of
from deepdsl.core.record import record
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.cli.files import refusal
from deepdsl.training.workflow import Report, prepare


@record
class SweepTask:
    """A run to be made: the text, where it is, and where it goes."""

    name: str
    text: str
    path: str
    model: str
    folder: str
    place: str
    device: str
    threads: int
    runs: dict[str, str]  # of other models of the file

    def as_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


@record
class End:
    """How a task ended: it is done, or it was interrupted, or it failed for a reason."""

    code: str = ""
    reason: str = ""
    help: str = ""
    interrupted: bool = False

    def as_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def train(task: SweepTask, report: Report) -> End:
    """Train into the task's directory, or resume what was started there."""
    try:
        return _train(task, report)
    except KeyboardInterrupt:
        return End(interrupted=True)
    except Exception as error:
        # One run that nobody foresaw is no reason to lose the others.
        refused = refusal(error) if isinstance(error, OSError) else None
        if refused is not None:
            return End(refused.code, refused.message, refused.help)
        return End("E699", f"{type(error).__name__}: {error}")


def _train(task: SweepTask, report: Report) -> End:
    place = Path(task.place)
    resume = (place / "checkpoints" / "last").is_dir() and (place / "manifest.json").exists()
    if not resume:
        # Begun and never kept: what it logged is told again.
        for name in ("manifest.json", "log.jsonl", "log.csv"):
            (place / name).unlink(missing_ok=True)
    try:
        program, _ = load_program(Source(task.name, task.text, task.path))
        training = training_of(program, task.model)
        runs = {name: Path(path) for name, path in task.runs.items()}
        folder, threads = Path(task.folder), task.threads
        session = prepare(program, training, folder, place, task.device, threads, resume, runs=runs)
        finished = session.train(report=report)
    except DnnError as error:
        first = error.diagnostics[0]
        words = f"{first.message}: {first.label}" if first.label else first.message
        return End(first.code, words, first.help)
    return End(interrupted=finished.outcome.interrupted)
