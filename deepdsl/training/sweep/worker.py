"""Trains the runs of a sweep: a task comes in, and its end goes out."""

from __future__ import annotations

from pathlib import Path

from deepdsl.compiler.front_end import load_program, training_of
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.cli.files import refusal
from deepdsl.training.sweep.tasks import End, SweepTask
from deepdsl.training.workflow import Report, prepare


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
