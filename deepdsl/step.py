"""The graphs of a training: the whole step (forward, backward, clipping, optimizer, schedule),
evaluation, inference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepdsl.analysis.model import Model, Training
from deepdsl.autodiff import gradients
from deepdsl.data.request import DataSpec
from deepdsl.initializers import Zeros
from deepdsl.ir import Builder, Graph, Param, Type, Value
from deepdsl.lower import Judged, forward, judged
from deepdsl.ops.arithmetic import IsFinite, add, cast, div
from deepdsl.ops.random import STEP_PATH
from deepdsl.ops.shaping import Concatenate, Split
from deepdsl.optimizers import Rates
from deepdsl.passes import optimize

# Vectors up to this many elements (biases, normalization) are stepped together as one: an
# operation on a small tensor costs its call.  Matrices would have to be reshaped and copied.
SMALL = 16_384


@dataclass(frozen=True)
class Task:
    """What is compiled: a model, how it is trained, on what; `one_hot` is whether targets are
    rows.
    """

    model: Model
    training: Training
    data: DataSpec
    one_hot: bool = False


def inference_graph(model: Model, spec: DataSpec | None = None) -> Graph:
    """Raw inputs to outputs."""
    made = forward(model, spec)
    return optimize(made.builder.graph(made.outputs))


def evaluation_graph(task: Task) -> Graph:
    """State and batch to the mean loss, the metrics' sums over rows, and the model's output."""
    made = judged(task.model, task.training, task.data, task.one_hot, train=False)
    outputs = {"loss": made.loss, **made.metrics, "output": made.output}
    return optimize(made.forward.builder.graph(outputs))


def step_graph(task: Task, steps_per_epoch: int) -> Graph:
    """State and batch to the next state, the mean loss, the metrics' sums, the rate, and whether
    all is finite.
    """
    graph, _ = step_with_gradients(task, steps_per_epoch)
    return optimize(graph)


def step_with_gradients(task: Task, steps_per_epoch: int) -> tuple[Graph, dict[Param, Value]]:
    """The step before any pass, with the gradient of each parameter: for tests and for finding a
    bad tensor.
    """
    made = judged(task.model, task.training, task.data, task.one_hot, train=True)
    b = made.forward.builder
    wanted = [p for p in b.params if p.trainable]
    grads = gradients(b, made.loss, wanted)
    raw = {p: grads[p] for p in wanted if p in grads}
    with b.at("optimizer"):
        rates, healthy = _apply(b, task, grads, steps_per_epoch, made)
    outputs = {"loss": made.loss, **made.metrics, "lr": rates.lr, "all_finite": healthy}
    return b.graph(outputs), raw


def _apply(
    b: Builder, task: Task, grads: dict[Value, Value], steps_per_epoch: int, made: Judged
) -> tuple[Rates, Value]:
    """Clip the gradients, make the rates, and note every parameter's next value."""
    training = task.training
    norm: Value | None = None
    if training.clip is not None:
        grads, norm = training.clip.apply(b, grads)
    step = b.param(STEP_PATH, Type((), "i64"), Zeros(), "counter")
    following = add(b, step, b.constant(1, "i64"))
    b.update(step, following)
    rates = _rates(b, task, cast(b, step, "f64"), cast(b, following, "f64"), steps_per_epoch)
    for group in _groups(
        [p for p in grads if isinstance(p, Param)], len(training.optimizer.slots())
    ):
        _update(b, task, rates, group, [grads[p] for p in group])
    healthy = b.add(IsFinite(), made.loss if norm is None else add(b, made.loss, norm))
    return rates, healthy


def _rates(b: Builder, task: Task, done: Value, t: Value, steps_per_epoch: int) -> Rates:
    optimizer, schedule = task.training.optimizer, task.training.schedule
    time = done
    if schedule.needs_epochs:
        # Divided, since n * (1 / n) may fall short of 1, and a jump would come a step late.
        time = div(b, done, b.like(float(steps_per_epoch), done))
    return optimizer.rates(b, schedule.rate(b, optimizer.lr, time), t)


def _groups(params: Sequence[Param], slots: int) -> list[list[Param]]:
    """Tensors one by one, but small vectors together where that makes the graph smaller.

    Those that decay are kept apart from those that do not.
    """
    together: dict[bool, list[Param]] = {}
    for param in params:
        if param.type.rank == 1 and (param.type.count or 0) <= SMALL:
            together.setdefault(_decays(param), []).append(param)
    # About how many operations a tensor takes, and how many more joining and parting cost.
    each, joining = 2 + 4 * slots, 3 + 2 * slots
    joined = [group for group in together.values() if each * (len(group) - 1) > joining]
    inside = {param for group in joined for param in group}
    return [[param] for param in params if param not in inside] + joined


def _decays(param: Param) -> bool:
    """Weight decay leaves biases and normalization alone."""
    return param.role == "weight"


def _update(b: Builder, task: Task, rates: Rates, group: list[Param], grads: list[Value]) -> None:
    optimizer = task.training.optimizer
    slots = {
        name: [b.param(f"optimizer.{name}.{p.name}", p.type, Zeros(), "slot") for p in group]
        for name in optimizer.slots()
    }
    joined = {name: _join(b, kept) for name, kept in slots.items()}
    weight, new = optimizer.update(
        b, rates, _join(b, group), _join(b, grads), joined, _decays(group[0])
    )
    for param, value in zip(group, _part(b, weight, group), strict=True):
        b.update(param, value)
    for name, value in new.items():
        for slot, piece in zip(slots[name], _part(b, value, group), strict=True):
            b.update(slot, piece)


def _join(b: Builder, values: Sequence[Value]) -> Value:
    return values[0] if len(values) == 1 else b.add(Concatenate(0), *values)


def _part(b: Builder, value: Value, like: Sequence[Value]) -> list[Value]:
    if len(like) == 1:
        return [value]
    sizes = tuple(v.type.count or 0 for v in like)
    return list(b.apply(Split(0, sizes), value))
