"""The page about a training that has just ended, in its run directory."""

from __future__ import annotations

from deepdsl.data.request import Split
from deepdsl.data.table import View
from deepdsl.insight.report.confusion import quick_confusion
from deepdsl.insight.report.page import write_report
from deepdsl.training.run_directory import Described
from deepdsl.training.workflow import Ended


def report_training(ended: Ended) -> None:
    """Write the page, with what can be counted in a moment."""
    session, finished = ended.session, ended.finished
    task, splits = session.job.task, session.job.splits
    views: dict[Split, View | None] = {"test": ended.tested, "valid": splits.valid}
    graph = session.artifacts.evaluation_graph
    confusion = quick_confusion(ended.evaluator, graph, task, views, finished.outcome.state)
    described = Described(
        session.run.path,
        session.program,
        task.model,
        task.training,
        task.data,
        {**session.artifacts.manifest, "result": finished.figures},
        (*session.warnings, *splits.warnings),
    )
    write_report(described, confusion=confusion)
