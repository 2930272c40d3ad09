"""The page about a search for a learning rate."""

from __future__ import annotations

from pathlib import Path

from deepdsl.compiler.job import Job
from deepdsl.core.atomic_files import write_atomically
from deepdsl.insight.charts import (
    Mark,
    Section,
    Series,
    cards,
    code,
    figures,
    line_chart,
    page,
    paragraph,
)
from deepdsl.insight.charts import table as html_table
from deepdsl.insight.charts.axes import shown
from deepdsl.insight.report.plan import plan_rows
from deepdsl.language.analysis import Training
from deepdsl.training.lr_finder import Search


def write_search(search: Search, job: Job, place: Path) -> None:
    """Write the page; it appears whole or not."""
    training = job.task.training
    sections = [
        Section("Loss over learning rate", figures([curve(search)]) + paragraph(_about())),
        Section("Plan", html_table(["setting", "value", "options"], _plan(job))),
        Section("The file", code(job.source.text)),
        *(Section(f"Used: {s.name}", code(s.text)) for s in job.used),
    ]
    lead = cards(_cards(search)) + paragraph(search.reason, _look(search))
    write_atomically(place, page(f"Learning rate of {training.model}", sections, lead).encode())


def curve(search: Search) -> str:
    """The loss of each step and its smoothed course; what is far above is left out."""
    marks = []
    if search.suggestion is not None:
        marks.append(Mark(search.suggestion, f"suggested: {search.suggestion:g}"))
    if search.diverged_at is not None:
        marks.append(Mark(search.diverged_at, f"diverged: {shown(search.diverged_at, 2)}"))
    return line_chart(
        "Range test",
        [
            Series("loss of each batch", search.rates, search.losses),
            Series("smoothed", search.rates, search.smoothed),
        ],
        "learning rate",
        "loss",
        log_x=True,
        marks=marks,
        y_most=search.ceiling,
    )


def _look(search: Search) -> str:
    return "" if search.suggestion is not None else "warning"


def _cards(search: Search) -> dict[str, str]:
    told = {
        "suggestion": search.suggestion,
        "a tenth of the minimum's rate": search.tenth,
        "steepest descent": search.steepest,
        "diverged at": search.diverged_at,
    }
    made = {name: "none" if value is None else shown(value, 2) for name, value in told.items()}
    return {**made, "steps": str(len(search.rates))}


def _about() -> str:
    return (
        "The rate grows by the same factor with each batch, from the initial weights; the smoothed"
        " curve is a mean over both sides of each point. Above the best rate the loss turns upwards"
        " and training diverges. The weights of this search are not kept."
    )


def _plan(job: Job) -> list[list[str]]:
    training: Training = job.task.training
    return plan_rows(training, job.task.data)
