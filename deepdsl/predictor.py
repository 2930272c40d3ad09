"""A trained model that is applied to rows: from a run directory, or from any ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.analysis import Training
from deepdsl.backend import Runner, open_backend
from deepdsl.data.request import DataSpec, TargetSpec
from deepdsl.data.table import Table, View
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.runtime import NoSuchRun
from deepdsl.emit import Interface, emit, read_interface
from deepdsl.ir import Builder, Graph, Type
from deepdsl.judge import evaluate
from deepdsl.lower import TARGET
from deepdsl.ops.arithmetic import Log, Maximum, div, sub
from deepdsl.passes import optimize
from deepdsl.runs import Trained, open_run
from deepdsl.step import inference_graph

Array = NDArray[Any]

BATCH = 1024
# Probabilities are kept from 0 before their logarithm is taken.
SMALLEST = 1e-30


@dataclass(frozen=True)
class Predictor:
    """A model with its weights, ready to run.  `run` is None for an ONNX file."""

    interface: Interface
    runner: Runner
    run: Trained | None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.run.classes if self.run else self.interface.classes

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name for raw inputs of shape (rows, …), in batches; an empty input gives empty outputs."""
        rows = len(next(iter(inputs.values())))
        pieces: list[Mapping[str, Array]] = []
        for start in range(0, max(rows, 1), BATCH):
            part = {
                port.name: np.ascontiguousarray(inputs[port.name][start : start + BATCH], port.dtype)
                for port in self.interface.inputs
            }
            pieces.append(self.runner.run(part))
        return {
            port.name: np.concatenate([piece[port.name] for piece in pieces])
            for port in self.interface.outputs
        }


def open_predictor(
    path: Path, device: str = "cpu", threads: int | None = None, checkpoint: str | None = None
) -> Predictor:
    """A predictor for a run directory or an ONNX file; DnnError with NoSuchRun where it is neither."""
    backend = open_backend(device, threads)
    if path.is_dir():
        run = open_run(path, checkpoint)
        graph = inference_graph(run.model, run.data)
        weights = {p.name: run.checkpoint.state[p.name] for p in graph.params}
        data = emit(graph, run.model.name, weights).serialize()
        return Predictor(read_interface(data), backend.runner(data), run)
    try:
        data = path.read_bytes()
        interface = read_interface(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = "name a run directory that `dnnc train` made, or an ONNX file"
        raise DnnError([NoSuchRun(None, str(path), reason, advice)]) from error
    return Predictor(interface, backend.runner(data), None)


# Measuring on data ----------------------------------------------------------------------------------------


def measure(
    predictor: Predictor,
    training: Training,
    data: DataSpec,
    folder: Path,
    split: str,
) -> tuple[dict[str, float], int]:
    """The training's loss and metrics of a predictor on a split of a data section, and how many rows that were.

    The predictor's own preprocessing counts, not the section's.  Raises DnnError where the split is not there.
    """
    from deepdsl.data import load

    inputs = {p.name: p.row_shape for p in predictor.interface.inputs}
    target = training.loss.target(_output_type(predictor), data.one_hot is not None)
    row = tuple(d for d in target.type.shape[1:] if isinstance(d, int))
    kind: Any = {"one_hot": "value"}.get(target.kind, target.kind)
    spec = TargetSpec(kind, target.classes if target.kind == "index" else None, row)
    found: Any = split
    splits = load(
        data, folder, inputs, {TARGET: spec}, training.seed, (found,), predictor.classes or None
    )
    view: View | None = getattr(splits, split)
    if view is None:
        have = [s for s in ("train", "valid", "test") if getattr(data, s) is not None]
        advice = "it has: " + ", ".join(have)
        raise DnnError([NoSuchRun(None, f"data {data.name}", f"there is no `{split}` row", advice)])
    return measure_view(predictor, training, view, target.type, data.one_hot is not None), len(view)


def measure_table(
    predictor: Predictor, training: Training, table: Table, one_hot: bool
) -> dict[str, float]:
    """The training's loss and metrics of a predictor on all rows of a table."""
    target = training.loss.target(_output_type(predictor), one_hot)
    view = View(table, np.arange(table.rows))
    return measure_view(predictor, training, view, target.type, one_hot)


def measure_view(
    predictor: Predictor, training: Training, view: View, target: Type, one_hot: bool
) -> dict[str, float]:
    output = predictor.interface.outputs[0]
    graph = judge_graph(training, _output_type(predictor), one_hot)
    judge = open_backend("cpu").runner(emit(graph, "judge").serialize())

    def run(batch: Mapping[str, Array]) -> Mapping[str, Array]:
        made = predictor.runner.run({n: a for n, a in batch.items() if n != TARGET})
        return judge.run({"output": made[output.name], TARGET: batch[TARGET]})

    return evaluate(run, _reading(predictor, target), view, training.metrics)


def _output_type(predictor: Predictor) -> Type:
    output = predictor.interface.outputs[0]
    return Type(("N", *(d for d in output.shape[1:] if isinstance(d, int))))


def judge_graph(training: Training, output: Type, one_hot: bool) -> Graph:
    """Loss and metrics from a model's outputs and targets.

    A loss that is compiled with the last activation is given values that this activation turns into the outputs: the
    logarithm of a softmax's probabilities, the logit of a sigmoid's.
    """
    b = Builder()
    x = b.input("output", output)
    target = training.loss.target(output, one_hot)
    given = b.input(TARGET, target.type)
    before = x
    if training.loss.fuses is not None:
        floor = b.constant(SMALLEST)
        before = b.add(Log(), b.add(Maximum(), x, floor))
        if training.loss.fuses == "sigmoid":
            rest = b.add(Maximum(), sub(b, b.constant(1.0), x), floor)
            before = b.add(Log(), div(b, b.add(Maximum(), x, floor), rest))
    outputs = {"loss": training.loss.expand(b, before, given)}
    for metric in training.metrics:
        outputs[metric.name] = metric.expand(b, x, given, target)
    return optimize(b.graph(outputs))


def _reading(predictor: Predictor, target: Type) -> Graph:
    """A graph whose inputs are what is read from the data: the predictor's, and the target."""
    b = Builder()
    for port in predictor.interface.inputs:
        b.input(port.name, Type(("N", *(port.row_shape or ()))))
    b.input(TARGET, target)
    return b.graph({})


def labels(predictor: Predictor, output: Array) -> Sequence[str] | None:
    """The class of each row, where the model knows classes."""
    names = predictor.classes
    if output.ndim != 2:
        return None
    if output.shape[1] == 1 and len(names) == 2:
        return [names[int(p > 0.5)] for p in output[:, 0]]
    if output.shape[1] == len(names) and len(names) > 1:
        return [names[i] for i in output.argmax(axis=1)]
    return None
