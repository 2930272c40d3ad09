"""The graphs of a probe: every layer's output and the gradient that arrives at it."""

from __future__ import annotations

from deepdsl.compiler.forward import Forward, forward, judged
from deepdsl.compiler.training_step import Task
from deepdsl.core.record import record
from deepdsl.graph import Builder, Graph, Value
from deepdsl.graph.arithmetic import add, mul
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.passes import optimize
from deepdsl.graph.reductions import SumOfSquares
from deepdsl.graph.reshaping import sum_all
from deepdsl.language.analysis.model import Model
from deepdsl.language.propagation import tops
from deepdsl.nn.layers.activations.base import Activation


@record
class ProbeNames:
    """What the outputs of a probe's graph are called, by the number of the value."""

    values: dict[int, str]
    gradients: dict[int, str]


def loss_flow(task: Task) -> tuple[Graph, ProbeNames]:
    """Batch and state to every layer's output in training, and the loss's gradient there."""
    made = judged(task.model, task.training, task.data, task.one_hot, train=True)
    return _flow(made.forward, task.model, made.loss)


def normal_flow(model: Model, seed: int) -> tuple[Graph, ProbeNames]:
    """The same without data or a loss: the model's inputs are fed as they are, without
    preprocessing, and the gradient at the top is an input, `top:OUTPUT`.
    """
    made = forward(model, None, True, seed)
    b = made.builder
    total: Value | None = None
    for name, number in zip(model.outputs, tops(model), strict=True):
        top = made.values[number]
        weighted = sum_all(b, mul(b, top, b.input(f"top:{name}", top.type)))
        total = weighted if total is None else add(b, total, weighted)
    assert total is not None
    return _flow(made, model, total)


def _flow(made: Forward, model: Model, total: Value) -> tuple[Graph, ProbeNames]:
    b = made.builder
    given = set(b.graph({}).inputs)
    wanted = {n: v for n, v in enumerate(made.values) if v not in given}
    dark = _without_gradient(model)
    asked = [v for n, v in wanted.items() if n not in dark]
    grads = gradients(b, total, list(dict.fromkeys(asked)))
    values = {n: f"value:{n}" for n in wanted}
    back = {n: f"gradient:{n}" for n, v in wanted.items() if v in grads}
    outputs = {name: made.values[n] for n, name in values.items()}
    outputs |= {name: grads[made.values[n]] for n, name in back.items()}
    return optimize(b.graph(outputs)), ProbeNames(values, back)


def _without_gradient(model: Model) -> set[int]:
    """The values after which is a layer that no gradient comes through."""
    dark: set[int] = set()
    for call in reversed(model.calls):
        if call.output in dark or not call.layer.differentiable:
            dark.update(call.inputs)
    return dark


def activity_graph(task: Task, train: bool) -> tuple[Graph, dict[int, str]]:
    """Batch and state to each activation's sum of squares over the rows, unit by unit: a unit whose
    sums are all 0 was off on every row.
    """
    made = forward(task.model, task.data, train, task.training.seed)
    b: Builder = made.builder
    names: dict[int, str] = {}
    outputs: dict[str, Value] = {}
    for call in task.model.calls:
        if isinstance(call.layer, Activation) and call.layer.is_elementwise:
            value = made.values[call.output]
            axes = tuple(a for a in range(value.type.rank) if a != 1)
            names[call.output] = f"activity:{call.output}"
            outputs[names[call.output]] = b.add(SumOfSquares(axes), value)
    return optimize(b.graph(outputs)), names
