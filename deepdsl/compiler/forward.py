"""Lowers a typed model to a forward graph, with its preprocessing in front and its loss and metrics
after.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.core.record import record
from deepdsl.data.spec import DataSpec
from deepdsl.graph import Builder, Value
from deepdsl.graph.reshaping import Reshape
from deepdsl.language.analysis.freezing import Freezing
from deepdsl.language.analysis.model import Model, Training
from deepdsl.nn.layers.layer import Scope
from deepdsl.nn.layers.monte_carlo import RepeatRows
from deepdsl.nn.losses import Target
from deepdsl.nn.metrics import Metric

TARGET = "target"


@record
class Forward:
    """A lowered model: a value for each of its numbered values, and its outputs by name."""

    builder: Builder
    values: Sequence[Value]
    outputs: dict[str, Value]


def forward(
    model: Model,
    spec: DataSpec | None = None,
    training: bool = False,
    seed: int = 0,
    sampling: bool = False,
    repeats: int = 1,
    freezing: Freezing | None = None,
) -> Forward:
    """The model's operations, with the data's transforms applied to its raw inputs.

    A layer that is frozen works as it does at inference, also while the others are trained.

    With `sampling` layers that draw random numbers in training draw them here too.  With `repeats`
    each row goes through the layers this many times.
    """
    b = Builder()
    values = [preprocess(b, b.input(i.name, i.type), i.name, spec) for i in model.inputs]
    if repeats > 1:
        values = [b.add(RepeatRows(repeats), value) for value in values]
    still = freezing.calls - freezing.moving if freezing is not None else frozenset()
    for call in model.calls:
        inputs = [values[n] for n in call.inputs]
        scope = Scope(b, call.path, training and call.path not in still, seed, sampling)
        with b.at(call.path, call.span):
            values.append(call.layer.expand(scope, *inputs))
    return Forward(b, values, {name: values[n] for name, n in model.outputs.items()})


def preprocess(b: Builder, x: Value, name: str, spec: DataSpec | None) -> Value:
    """The transforms of a data section, in their order, as operations.

    What a transform learned from the data is a constant parameter, `data.INPUT.TRANSFORM_1.mean`,
    which takes its value when the state is made.
    """
    if spec is None or name in spec.ready:
        return x
    for number, placed in enumerate(spec.transforms, 1):
        transform = placed.row
        if not transform.concerns(name):
            continue
        path = f"data.{name}.{transform.name}_{number}"
        with b.at(path, placed.span):
            x = transform.expand(Scope(b, path), x)
    return x


@record
class Judged:
    """A forward pass with its loss and metrics: values to be asked for."""

    forward: Forward
    target: Target
    loss: Value
    metrics: dict[str, Value]
    output: Value


def judged(model: Model, training: Training, spec: DataSpec, one_hot: bool, train: bool) -> Judged:
    """The forward graph with the training's loss and metrics; `train` says which form dropout and
    batch norm take.

    A last softmax or sigmoid that the loss is fused with is left out of the loss's path: the loss
    reads that layer's input.
    """
    made = forward(model, spec, train, training.seed, freezing=training.freezing)
    b = made.builder
    (number,) = model.outputs.values()
    output = made.values[number]
    last = model.call_of(number)
    fused = training.loss.fuses is not None and last is not None
    before = made.values[last.inputs[0]] if fused and last is not None else output
    target = training.loss.target(model.type_of(number), one_hot)
    given = _target(made, model, spec, target)
    with b.at("loss", training.spans.get("loss")):
        loss = training.loss.expand(b, before, given)
    metrics: dict[str, Value] = {}
    for metric in training.metrics:
        with b.at(f"metric/{metric.name}", training.spans.get("metric")):
            metrics[metric.name] = _metric(b, metric, output, before, given, target)
    return Judged(made, target, loss, metrics, output)


def _target(made: Forward, model: Model, spec: DataSpec, target: Target) -> Value:
    """What is learned: an input of its own, or with `target input` the model's input as it is after
    preprocessing.
    """
    b = made.builder
    if spec.target is None:
        return b.input(TARGET, target.type)
    name = spec.target.row.resolve(tuple(i.name for i in model.inputs), spec.target.span)
    own = made.values[[i.name for i in model.inputs].index(name)]
    return own if own.type == target.type else b.add(Reshape(target.type.shape), own)


def _metric(
    b: Builder, metric: Metric, output: Value, before: Value, given: Value, target: Target
) -> Value:
    # Where only the order of scores counts, the values before the softmax or sigmoid save computing
    # it.
    ordered = metric.collects or target.kind in ("index", "one_hot")
    return metric.expand(b, before if ordered else output, given, target)
