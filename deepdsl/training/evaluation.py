"""Evaluation: the loss and metrics of a state, or of any predictions, over a part of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.forward import TARGET
from deepdsl.data.prefetch import reading
from deepdsl.data.table import View
from deepdsl.graph import Graph
from deepdsl.graph.emit import NUMPY
from deepdsl.nn.metrics import Figure, Metric
from deepdsl.training.metric_sums import MetricAccumulator

Arrays = Mapping[str, NDArray[Any]]

# Numbers in the inputs of one batch of evaluation: large enough to fill the cores, small enough for
# any memory.
BATCH_NUMBERS = 1 << 20
MAX_BATCH = 1024


def rows_together(graph: Graph) -> int:
    """How many rows make a batch of evaluation."""
    numbers = sum(prod(int(d) for d in v.type.shape[1:]) for v in graph.inputs)
    return int(np.clip(BATCH_NUMBERS // max(1, numbers), 1, MAX_BATCH))


def batches(view: View, graph: Graph) -> Iterator[tuple[dict[str, NDArray[Any]], int]]:
    """The rows of a view in order, in buffers for the inputs of a graph; each with the count of its
    rows.

    The buffers are used again for the next batch.
    """
    rows_of = {v.name: tuple(int(d) for d in v.type.shape[1:]) for v in graph.inputs}
    size = view.together or rows_together(graph)
    buffers = {
        v.name: np.empty((size, *rows_of[v.name]), NUMPY[v.type.dtype]) for v in graph.inputs
    }
    pieces = [np.arange(start, min(start + size, len(view))) for start in range(0, len(view), size)]
    with reading(view, pieces, buffers) as reader:
        for piece in pieces:
            part = {name: buffer[: len(piece)] for name, buffer in buffers.items()}
            reader.fill(part)
            yield part, len(piece)


def evaluate(
    run: Callable[[Arrays], Mapping[str, NDArray[Any]]],
    graph: Graph,
    view: View,
    metrics: Sequence[Metric],
) -> dict[str, Figure]:
    """The mean loss and each metric over all rows; `run` takes a batch and gives the evaluation
    graph's outputs.
    """
    tally = MetricAccumulator(metrics)
    for batch, rows in batches(view, graph):
        tally.add(run(batch), rows, batch[TARGET] if tally.wants_targets else None)
    return tally.figures(len(view))
