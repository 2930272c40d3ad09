"""What a page shows that must be measured first: the confusion matrix of a run."""

from __future__ import annotations

from pathlib import Path

from deepdsl.compiler.job import open_data
from deepdsl.compiler.training_step import Task, evaluation_graph
from deepdsl.data.request import Split
from deepdsl.data.spec import DataSpec
from deepdsl.data.table import View
from deepdsl.graph.emit import emit
from deepdsl.inference.predictor import Predictor, open_predictor
from deepdsl.insight.report.confusion import Confusion, classes_of, counted


def measure_confusion(
    path: Path, split: Split | None, device: str = "cpu", threads: int | None = None
) -> Confusion | None:
    """Count a run's answers on a split of its own data, by default the test rows or else the
    validation rows; None where it is no classifier or has no such rows.

    Raises DnnError where its checkpoint or its data cannot be read.
    """
    predictor = open_predictor(path, device, threads)
    run = predictor.run
    assert run is not None
    split = split or _split(run.data)
    if split is None or getattr(run.data, split) is None:
        return None
    task, view = _opened(predictor, split)
    if classes_of(task) is None:
        return None
    graph = evaluation_graph(task)
    runner = predictor.backend.runner(emit(graph, "eval").serialize())
    return counted(runner, graph, task, view, split, run.checkpoint.state)


def _split(data: DataSpec) -> Split | None:
    if data.test is not None:
        return "test"
    return "valid" if data.valid is not None else None


def _opened(predictor: Predictor, split: Split) -> tuple[Task, View]:
    run = predictor.run
    assert run is not None
    task, splits = open_data(
        Task(run.model, run.training, run.data),
        run.data,
        run.folder,
        (split,),
        predictor.named_classes,
        predictor.columns,
    )
    view: View = getattr(splits, split)
    return task, view
