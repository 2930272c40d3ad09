"""The progress of a training: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from deepdsl.cli.output import Output
from deepdsl.core.text import plural
from deepdsl.language.analysis import Training
from deepdsl.training.callbacks import Arrays, Epoch
from deepdsl.training.metric_sums import Figures, MetricAccumulator, scalars
from deepdsl.training.workflow import Session

# Between two lines where there is no terminal, and between two refreshes of the bar.
SECONDS_BETWEEN_LINES = 2.0
SECONDS_BETWEEN_BARS = 0.1


class Progress:
    """Implements trainer.Listener on stderr."""

    def __init__(self, output: Output, session: Session) -> None:
        self.output, self.session = output, session
        self.training = session.job.task.training
        self.bar: Any = None
        self.on_terminal = sys.stderr.isatty() and not output.quiet
        self.said_at = 0.0
        self.drawn_at = 0.0

    def __enter__(self) -> Progress:
        job, backend = self.session.job, self.session.backend
        count = self.session.artifacts.manifest["parameters"]["trainable"]
        rows = len(job.splits.train) if job.splits.train else 0
        valid = f", {len(job.splits.valid):,} to validate" if job.splits.valid else ""
        self.output.note(
            f"{self.training.model}: {count:,} parameters, "
            f"{rows:,} rows to train on{valid}, on {backend.name}"
        )
        if self.session.start is not None:
            start = self.session.start
            after = f"after epoch {start.epoch}"
            if start.steps_done:
                after = f"in epoch {start.epoch + 1}, after {start.steps_done:,} of its steps"
            if start.epoch >= self.training.epochs:
                after += "; all epochs are done: raise `epochs` to go on"
            self.output.note(f"resuming {after}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def stage_begins(self, training: Training, notes: Sequence[str]) -> None:
        if training.phase and not training.begins:
            told = f"{training.epochs} {plural(training.epochs, 'epoch')}"
            self.output.note(f"{training.phase}: {told}, {training.optimizer.show()}")
        for note in notes:
            self.output.note(f"  {note}")

    def epoch_begins(self, epoch: int, rows: int, done: int) -> None:
        if not self.on_terminal:
            return
        from tqdm import tqdm

        width = len(str(self.training.epochs))
        self.bar = tqdm(
            total=rows,
            initial=done,
            desc=f"epoch {epoch:>{width}}/{self.training.epochs}",
            unit="row",
            unit_scale=True,
            leave=False,
            dynamic_ncols=True,
            mininterval=SECONDS_BETWEEN_BARS,
            bar_format="{desc} {bar:24} {n_fmt}/{total_fmt}{postfix}  {rate_fmt} {remaining} left",
        )

    def step_done(self, rows: int, tally: MetricAccumulator, seen: int, lr: float) -> None:
        if self.bar is None:
            return
        now = time.monotonic()
        if now - self.drawn_at >= SECONDS_BETWEEN_BARS:
            self.drawn_at = now
            figures = _figures(tally.running(seen))
            self.bar.set_postfix_str(f"{figures}  lr {lr:.2g}", refresh=False)
        self.bar.update(rows)

    def epoch_done(self, record: Epoch) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        now = time.monotonic()
        last = record.number == self.training.epochs
        if not self.on_terminal and not last and now - self.said_at < SECONDS_BETWEEN_LINES:
            return
        self.said_at = now
        width = len(str(self.training.epochs))
        told = [f"epoch {record.number:>{width}}/{self.training.epochs}", _figures(record.train)]
        if record.valid:
            told.append("valid " + _figures(record.valid))
        told.append(f"lr {record.lr:.3g}  {_short(record.rows_per_s)} rows/s")
        self.output.note("  ".join(told) + ("  *" if record.best else ""))

    def epoch_state(self, record: Epoch, state: Callable[[], Arrays]) -> None: ...


def _figures(values: Figures) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in scalars(values).items())


def _short(number: float) -> str:
    return f"{number / 1000:.1f}k" if number >= 10_000 else f"{number:.0f}"
