"""Which class was taken for which: counted on a split with the evaluation graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.forward import TARGET
from deepdsl.compiler.training_step import Task
from deepdsl.core.record import record
from deepdsl.data.request import Split
from deepdsl.data.table import View
from deepdsl.graph import Graph, Type
from deepdsl.graph.backend import Runner
from deepdsl.nn.losses import Target
from deepdsl.training.evaluation import batches

Arrays = Mapping[str, NDArray[Any]]

# At the end of a training the rows are counted only where that takes a moment: this many products
# of a row and a parameter.
LITTLE_WORK = 20_000_000


@record
class Confusion:
    """How often the rows of each class were taken for each, on which split."""

    split: str
    matrix: Sequence[Sequence[float]]


def classes_of(task: Task) -> int | None:
    """How many classes a task tells apart by one output; None where it is no such task."""
    row = _output(task).shape[1:]
    if task.data.target is not None or len(row) > 1:
        return None
    width = row[0] if row and isinstance(row[0], int) else 1
    kind = _target(task).kind
    if kind in ("index", "one_hot"):
        return width
    return 2 if kind in ("binary", "margin") and width == 1 else None


def _output(task: Task) -> Type:
    (number,) = task.model.outputs.values()
    return task.model.type_of(number)


def _target(task: Task) -> Target:
    return task.training.loss.target(_output(task), task.one_hot)


def count(
    run: Callable[[Arrays], Mapping[str, NDArray[Any]]], graph: Graph, task: Task, view: View
) -> list[list[int]] | None:
    """Rows of each true class, counted by the class that they were taken for; `run` takes a batch
    and gives the evaluation graph's outputs.
    """
    classes = classes_of(task)
    if classes is None or "output" not in graph.outputs:
        return None
    total = np.zeros((classes, classes), np.int64)
    for batch, rows in batches(view, graph):
        made = run(batch)["output"].reshape(rows, -1)
        told = batch[TARGET].reshape(rows, -1)
        taken = made.argmax(axis=1) if made.shape[1] > 1 else made[:, 0] > _target(task).threshold
        if told.shape[1] > 1:
            true = told.argmax(axis=1)
        else:
            true = told[:, 0] if told.dtype.kind == "i" else told[:, 0] > 0.5
        np.add.at(total, (true.astype(np.int64), taken.astype(np.int64)), 1)
    rows_of: list[list[int]] = total.tolist()
    return rows_of


def counted(
    runner: Runner, graph: Graph, task: Task, view: View, split: str, state: Arrays
) -> Confusion | None:
    """The same for weights on a split."""
    weights = {p.name: state[p.name] for p in graph.params}
    found = count(lambda batch: runner.run({**weights, **batch}), graph, task, view)
    return Confusion(split, found) if found is not None else None


def quick_confusion(
    runner: Runner | None,
    graph: Graph,
    task: Task,
    views: Mapping[Split, View | None],
    state: Arrays,
) -> Confusion | None:
    """The same with what a training has at hand, on the first split that is there; None where it
    would take longer than a moment.
    """
    found = [(split, view) for split, view in views.items() if view is not None]
    if not found or runner is None or classes_of(task) is None:
        return None
    split, view = found[0]
    numbers = sum(p.type.count or 0 for p in task.model.params)
    if len(view) * numbers > LITTLE_WORK:
        return None
    return counted(runner, graph, task, view, split, state)
