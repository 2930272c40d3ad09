"""The graphs of a training: the whole step (forward, backward, clipping, optimizer, schedule),
evaluation, inference.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.compiler.forward import Judged, forward, judged
from deepdsl.compiler.learning_rates import Pace, alike, begin_of, slot_path
from deepdsl.core.record import record
from deepdsl.data.spec import DataSpec
from deepdsl.graph import Builder, Graph, Param, Role, Type, Value
from deepdsl.graph.arithmetic import Floor, IsFinite, Less, Where, add, cast, div, mul, plus
from deepdsl.graph.autodiff import gradients
from deepdsl.graph.concatenation import Concatenate, Split
from deepdsl.graph.formula import Term, terms
from deepdsl.graph.passes import optimize
from deepdsl.language.analysis.model import BATCH, Model, Training
from deepdsl.nn.initializers import Zeros
from deepdsl.nn.layers.monte_carlo import draws, mean_and_deviation
from deepdsl.nn.layers.random_draws import STEP_PATH
from deepdsl.nn.optimizers import Rates

# Vectors up to this many elements (biases, normalization) are stepped together as one: an
# operation on a small tensor costs its call.  Matrices would have to be reshaped and copied.
SMALL = 16_384


@record
class Task:
    """What is compiled: a model, how it is trained, on what; `one_hot` is whether targets are
    rows.
    """

    model: Model
    training: Training
    data: DataSpec
    one_hot: bool = False


# The deviation of an output over several noisy passes is named after it.
DEVIATION = "_std"


def inference_graph(
    model: Model, spec: DataSpec | None = None, samples: int | None = None, seed: int = 0
) -> Graph:
    """Raw inputs to outputs.  With `samples`, to their means over this many noisy passes and, as
    `NAME_std`, their deviations.
    """
    if samples is None:
        made = forward(model, spec)
        return optimize(made.builder.graph(made.outputs))
    made = forward(model, spec, seed=seed, sampling=True, repeats=samples)
    b, rows = made.builder, str(model.inputs[0].type.shape[0])
    means: dict[str, Value] = {}
    deviations: dict[str, Value] = {}
    for name, value in made.outputs.items():
        with b.at(f"samples/{name}"):
            drawn = draws(b, value, rows, samples)
            means[name], deviations[f"{name}{DEVIATION}"] = mean_and_deviation(b, drawn)
    return optimize(b.graph(means | deviations))


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
    wanted = [p for p in b.params if task.training.freezing.trains(p)]
    grads = gradients(b, made.loss, wanted)
    raw = {p: grads[p] for p in wanted if p in grads}
    with b.at("optimizer"):
        lr, healthy = _apply(b, task, grads, steps_per_epoch, made)
    outputs = {"loss": made.loss, **made.metrics, "lr": lr, "all_finite": healthy}
    return b.graph(outputs), raw


def _apply(
    b: Builder, task: Task, grads: dict[Value, Value], steps_per_epoch: int, made: Judged
) -> tuple[Value, Value]:
    """Clip the gradients and note every parameter's next value; the rate, and whether all is
    finite.
    """
    training = task.training
    several = training.accumulate > 1
    group = _accumulated(b, grads, training.accumulate) if several else None
    grads = _penalized(b, group.grads if group else grads)
    norm: Value | None = None
    if training.clip is not None:
        grads, norm = training.clip.apply(b, grads)
    step = b.param(STEP_PATH, Type((), "i64"), Zeros(), "counter")
    following = add(b, step, b.constant(1, "i64"))
    b.update(step, following)
    if group:
        done, t, due = group.done, plus(b, group.done, 1.0), group.due
    else:
        done, t, due = cast(b, step, "f64"), cast(b, following, "f64"), None
    pace = Pace(b, training, steps_per_epoch, done, t, due)
    for key, params in alike([p for p in grads if isinstance(p, Param)], training).items():
        for joined in _groups(params, len(training.optimizer.slots())):
            _update(b, task, pace.of(*key), joined, [grads[p] for p in joined], due)
    healthy = b.add(IsFinite(), made.loss if norm is None else add(b, made.loss, norm))
    return pace.lr, healthy


@record
class _Group:
    """Batches that make one update: their mean gradients so far, how many updates were done before,
    and whether this batch is the last of them.
    """

    grads: dict[Value, Value]
    done: Value
    due: Value


def _accumulated(b: Builder, grads: dict[Value, Value], count: int) -> _Group:
    """The mean of the gradients over all rows of a group of batches."""
    step = cast(b, b.param(STEP_PATH, Type((), "i64"), Zeros(), "counter"), "f64")
    # Divided, since n * (1 / n) may fall short of 1.
    done, after = (
        b.add(Floor(), div(b, batches, b.like(float(count), batches)))
        for batches in (step, plus(b, step, 1.0))
    )
    due = b.add(Less(), done, after)

    def total(path: str, like: Value, value: Value, role: Role) -> Value:
        """The sum over the batches of a group, which starts again after an update."""
        kept = b.param(path, like.type, Zeros(), role)
        now = add(b, kept, value)
        b.update(kept, b.add(Where(), due, b.like(0.0, now), now))
        return now

    rows = b.dimension(BATCH)
    share = div(b, b.constant(1.0), total("accumulated.rows", rows, rows, "counter"))
    return _Group(
        {
            p: mul(b, total(f"accumulated.gradient.{p.name}", g, mul(b, g, rows), "slot"), share)
            for p, g in grads.items()
        },
        done,
        due,
    )


def _penalized(b: Builder, grads: dict[Value, Value]) -> dict[Value, Value]:
    """The gradients with those of the layers' penalties added."""
    return {
        p: p.regularizer.gradient(b, p, g) if isinstance(p, Param) and p.regularizer else g
        for p, g in grads.items()
    }


def _where(b: Builder, due: Value | None, new: Value, old: Value) -> Value:
    """What becomes of a tensor: nothing, where no update is due."""
    return new if due is None else b.add(Where(), due, new, old)


def _groups(params: Sequence[Param], slots: int) -> list[list[Param]]:
    """Tensors one by one, but small vectors together where that makes the graph smaller.

    Those that decay are kept apart from those that do not.
    """
    together: dict[bool, list[Param]] = {}
    for param in params:
        small = param.type.rank == 1 and (param.type.count or 0) <= SMALL
        if small and param.regularizer is None:
            together.setdefault(decays(param), []).append(param)
    # About how many operations a tensor takes, and how many more joining and parting cost.
    each, joining = 2 + 4 * slots, 3 + 2 * slots
    joined = [group for group in together.values() if each * (len(group) - 1) > joining]
    inside = {param for group in joined for param in group}
    return [[param] for param in params if param not in inside] + joined


def decays(param: Param) -> bool:
    """Weight decay leaves biases and normalization alone."""
    return param.role == "weight"


def _update(
    b: Builder,
    task: Task,
    rates: Rates,
    group: list[Param],
    grads: list[Value],
    due: Value | None,
) -> None:
    optimizer = task.training.optimizer
    slots = {
        slot.name: [
            b.param(slot_path(slot.name, p.name), p.type, begin_of(slot), "slot") for p in group
        ]
        for slot in optimizer.slots()
    }
    joined = {name: _join(b, kept) for name, kept in slots.items()}
    before = _join(b, group)
    decay = decays(group[0])
    x, grad = terms(b, before, _join(b, grads))
    moved, new = optimizer.update(
        rates, x, grad, {name: Term(b, slot) for name, slot in joined.items()}, decay
    )
    weight = moved.value
    if group[0].regularizer is not None:
        weight = group[0].regularizer.limited(b, weight)
    weight = _where(b, due, weight, before)
    for param, value in zip(group, _part(b, weight, group), strict=True):
        b.update(param, value)
    for name, term in new.items():
        value = _where(b, due, term.value, joined[name])
        for slot, piece in zip(slots[name], _part(b, value, group), strict=True):
            b.update(slot, piece)


def _join(b: Builder, values: Sequence[Value]) -> Value:
    return values[0] if len(values) == 1 else b.add(Concatenate(0), *values)


def _part(b: Builder, value: Value, like: Sequence[Value]) -> list[Value]:
    if len(like) == 1:
        return [value]
    sizes = tuple(v.type.count or 0 for v in like)
    return list(b.apply(Split(0, sizes), value))
