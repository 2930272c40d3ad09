"""A trained model that is applied to rows: from a run directory, or from any ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.forward import TARGET
from deepdsl.compiler.job import open_data, target_spec
from deepdsl.compiler.training_step import Task, evaluation_graph, inference_graph
from deepdsl.core.record import record
from deepdsl.data.image_field import decoding_of
from deepdsl.data.image_source import Decoding
from deepdsl.data.request import Split
from deepdsl.data.spec import DataSpec
from deepdsl.data.splits import Splits
from deepdsl.data.table import Table, View
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.data.images import OtherRange
from deepdsl.diagnostics.training.runtime import CannotSample, NoSuchRun, NoSuchSplit
from deepdsl.graph import Builder, DType, Graph, Type, Value
from deepdsl.graph.arithmetic import Log, Maximum, div, sub
from deepdsl.graph.backend import Backend, Runner, open_backend
from deepdsl.graph.emit import Interface, emit, read_interface
from deepdsl.graph.passes import optimize
from deepdsl.graph.types import IndexShape
from deepdsl.inference.monte_carlo import sampled_graph
from deepdsl.language.analysis import Training
from deepdsl.nn.layers.random_draws import STEP_PATH
from deepdsl.nn.losses import threshold
from deepdsl.nn.metrics import Figure
from deepdsl.training.evaluation import evaluate
from deepdsl.training.run_directory import Trained, open_run

Array = NDArray[Any]

BATCH = 1024
# With several passes a row, all of them together.
SAMPLED = 16_384
# Probabilities are kept from 0 before their logarithm is taken.
SMALLEST = 1e-30


@record
class Predictor:
    """A model with its weights, ready to run.  `run` is None for an ONNX file; `rows` are taken at
    a time.
    """

    interface: Interface
    runner: Runner
    backend: Backend
    run: Trained | None
    rows: int = BATCH

    @property
    def classes(self) -> tuple[str, ...]:
        return self.run.classes if self.run else self.interface.classes

    @property
    def threshold(self) -> float:
        """The output above which a model with one output says yes."""
        if self.run is not None:
            return threshold(str((self.run.manifest.get("target") or {}).get("kind")))
        return threshold(self.interface.metadata.get("deepdsl.target", ""))

    @property
    def named_classes(self) -> tuple[str, ...] | None:
        """The classes where they are names that data must be read with, not the numbers
        themselves.
        """
        numbers = tuple(map(str, range(len(self.classes))))
        return None if self.classes == numbers else self.classes

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
        """For each input the columns that fed it in training, where they had names."""
        if self.run is not None:
            return dict(self.run.manifest.get("columns", {}))
        return self.interface.columns

    @property
    def images(self) -> Mapping[str, Any]:
        """For each input that images fed in training, how their files become its numbers."""
        if self.run is not None:
            return dict(self.run.manifest.get("images", {}))
        return self.interface.images

    def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name for raw inputs of shape (rows, …), in batches; an empty input gives
        empty outputs.
        """
        rows = len(next(iter(inputs.values())))
        pieces: list[Mapping[str, Array]] = []
        for start in range(0, max(rows, 1), self.rows):
            part = {
                port.name: np.ascontiguousarray(
                    inputs[port.name][start : start + self.rows], port.dtype
                )
                for port in self.interface.inputs
            }
            # What noise is drawn from, where any is: each piece has draws of its own.
            part[STEP_PATH] = np.array(len(pieces), np.int64)
            pieces.append(self.runner.run(part))
        return {
            port.name: np.concatenate([piece[port.name] for piece in pieces])
            for port in self.interface.outputs
        }


def open_predictor(
    path: Path,
    device: str = "cpu",
    threads: int | None = None,
    checkpoint: str | None = None,
    samples: int | None = None,
) -> Predictor:
    """A predictor for a run directory or an ONNX file; DnnError with NoSuchRun where it is neither.

    With `samples` it gives each output's mean over this many passes with dropout at work, and as
    `NAME_std` its deviation; DnnError with CannotSample where that cannot be had.
    """
    backend = open_backend(device, threads)
    if path.is_dir():
        run = open_run(path, checkpoint)
        graph = (
            inference_graph(run.model, run.data) if samples is None else sampled_graph(run, samples)
        )
        state = run.checkpoint.state
        weights = {p.name: state[p.name] for p in graph.params if p.name != STEP_PATH}
        data = emit(graph, run.model.name, weights).serialize()
        interface = read_interface(data)
        tables = {i.name: i.rows for i in run.model.inputs}
        raw = tuple(
            replace(port, rows=tables.get(port.name))
            for port in interface.inputs
            if port.name != STEP_PATH
        )
        rows = max(1, SAMPLED // samples) if samples else BATCH
        runner = backend.runner(data)
        return Predictor(replace(interface, inputs=raw), runner, backend, run, rows)
    try:
        data = path.read_bytes()
        interface = read_interface(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = "name a run directory that `dnnc train` made, or an ONNX file"
        raise DnnError([NoSuchRun(None, str(path), reason, advice)]) from error
    if samples is not None:
        reason = "an ONNX file is one fixed function"
        advice = "name the run directory; `dnnc export RUN --samples K` makes a file that samples"
        raise DnnError([CannotSample(None, str(path), reason, advice)])
    return Predictor(interface, backend.runner(data), backend, None)


# Measuring on data --------------------------------------------------------------------------------


def measure(
    predictor: Predictor, training: Training, data: DataSpec, folder: Path, split: Split
) -> tuple[dict[str, Figure], int]:
    """The training's loss and metrics of a predictor on a split of a data section, and how many
    rows that were.

    The predictor's own preprocessing counts, not the section's.  Raises DnnError where the split is
    not there.
    """
    run = predictor.run
    if getattr(data, split) is None:
        have = [s for s in ("train", "valid", "test") if getattr(data, s) is not None]
        advice = "it has: " + ", ".join(have)
        raise DnnError(
            [NoSuchSplit(None, f"data {data.name}", f"there is no `{split}` row", advice)]
        )
    if run is not None:
        task = Task(run.model, run.training, run.data)
        task, splits = open_data(
            task, data, folder, (split,), predictor.named_classes, predictor.columns
        )
        view = _view(splits, split, predictor)
        return _measure_run(predictor, task, view), len(view)
    if data.target is not None:
        advice = "measure the run directory that it was exported from"
        reason = "what an ONNX file makes of its input is not known outside it (`target input`)"
        raise DnnError([NoSuchSplit(None, f"data {data.name}", reason, advice)])
    from deepdsl.data import load

    inputs = {p.name: p.row_shape for p in predictor.interface.inputs}
    one_hot = data.one_hot is not None
    target = training.loss.target(_output_type(predictor), one_hot)
    wanted = {TARGET: target_spec(target)}
    names = predictor.named_classes
    splits = load(data, folder, inputs, wanted, training.seed, (split,), names, predictor.columns)
    view = _view(splits, split, predictor)
    return _measure_outputs(predictor, training, view, target.type, one_hot), len(view)


def _view(splits: Splits, split: Split, predictor: Predictor) -> View:
    """The rows of a split, images among them in the range that the model was trained on."""
    view: View = getattr(splits, split)
    for name, field in view.table.inputs.items():
        given, trained = decoding_of(field), Decoding.from_json(predictor.images.get(name))
        if given and trained and given.range != trained.range:
            raise DnnError([OtherRange(None, name, given.range, trained.range)])
    return view


def _measure_run(predictor: Predictor, task: Task, view: View) -> dict[str, Figure]:
    """Through the evaluation graph, with the run's own weights."""
    run = predictor.run
    assert run is not None
    graph = evaluation_graph(task)
    judge = predictor.backend.runner(emit(graph, "eval").serialize())
    state = {p.name: run.checkpoint.state[p.name] for p in graph.params}
    return evaluate(lambda batch: judge.run({**state, **batch}), graph, view, task.training.metrics)


def measure_table(predictor: Predictor, task: Task, table: Table) -> dict[str, Figure]:
    """The loss and metrics of a run on all rows of a table."""
    return _measure_run(predictor, task, View(table, np.arange(table.rows)))


def _measure_outputs(
    predictor: Predictor, training: Training, view: View, target: Type, one_hot: bool
) -> dict[str, Figure]:
    """From a model's outputs alone, with a small graph that knows the loss and the metrics."""
    output = predictor.interface.outputs[0]
    graph = judge_graph(training, _output_type(predictor), one_hot)
    judge = predictor.backend.runner(emit(graph, "judge").serialize())

    def run(batch: Mapping[str, Array]) -> Mapping[str, Array]:
        made = predictor.runner.run({n: a for n, a in batch.items() if n != TARGET})
        return judge.run({"output": made[output.name], TARGET: batch[TARGET]})

    return evaluate(run, _reading(predictor, target), view, training.metrics)


def _output_type(predictor: Predictor) -> Type:
    output = predictor.interface.outputs[0]
    return Type(("N", *(d for d in output.shape[1:] if isinstance(d, int))))


def judge_graph(training: Training, output: Type, one_hot: bool) -> Graph:
    """Loss and metrics from a model's outputs and targets.

    A loss that is compiled with the last activation is given values that this activation turns into
    the outputs: the logarithm of a softmax's probabilities, the logit of a sigmoid's.
    """
    b = Builder()
    x = b.input("output", output)
    target = training.loss.target(output, one_hot)
    given = b.input(TARGET, target.type)
    before = _before(b, x, training.loss.fuses)
    outputs = {"loss": training.loss.expand(b, before, given)}
    for metric in training.metrics:
        # As in the evaluation graph: where only classes count, the values before the softmax.
        ordered = target.kind in ("index", "one_hot")
        outputs[metric.name] = metric.expand(b, before if ordered else x, given, target)
    return optimize(b.graph(outputs))


def _before(b: Builder, x: Value, ending: str | None) -> Value:
    """Values that the last layer turns into x; log_softmax leaves its own outputs as they are."""
    floor = b.constant(SMALLEST)
    if ending == "softmax":
        return b.add(Log(), b.add(Maximum(), x, floor))
    if ending == "sigmoid":
        rest = b.add(Maximum(), sub(b, b.constant(1.0), x), floor)
        return b.add(Log(), div(b, b.add(Maximum(), x, floor), rest))
    return x


def _reading(predictor: Predictor, target: Type) -> Graph:
    """A graph whose inputs are what is read from the data: the predictor's, and the target."""
    b = Builder()
    for port in predictor.interface.inputs:
        dtype: DType = "i64" if isinstance(port.row_shape, IndexShape) else "f32"
        b.input(port.name, Type(("N", *(port.row_shape or ())), dtype))
    b.input(TARGET, target)
    return b.graph({})


def labels(predictor: Predictor, output: Array) -> Sequence[str] | None:
    """The class of each row, where the model knows classes."""
    names = predictor.classes
    if output.ndim != 2:
        return None
    if output.shape[1] == 1 and len(names) == 2:
        limit = predictor.threshold
        return [names[int(p > limit)] for p in output[:, 0]]
    if output.shape[1] == len(names) and len(names) > 1:
        return [names[i] for i in output.argmax(axis=1)]
    return None
