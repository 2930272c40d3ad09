"""Measures how signals and gradients go through a model, layer by layer, beside the prediction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.compiler.build import initial_values
from deepdsl.compiler.training_step import Task, step_graph
from deepdsl.core.record import record
from deepdsl.data.order import epoch_order
from deepdsl.data.table import View
from deepdsl.graph import Graph
from deepdsl.graph.backend import Backend
from deepdsl.graph.emit import NUMPY, emit
from deepdsl.insight.probe.graphs import ProbeNames, activity_graph, loss_flow, normal_flow
from deepdsl.language.analysis.model import LayerCall, Model
from deepdsl.language.propagation import Prediction, kernels, predict
from deepdsl.nn.initializers import stream
from deepdsl.nn.layers.activations.base import Activation, edges
from deepdsl.nn.layers.propagation import Moments
from deepdsl.nn.layers.random_draws import STEP_PATH
from deepdsl.training.evaluation import batches

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@record
class ProbedLayer:
    """One layer's figures.

    `saturated` is the share of its outputs near a bound; `dead` how many of its `units` were 0 on
    every row; `update_ratio` the spread of an update's changes over that of its weights.  What does
    not apply is None.
    """

    path: str
    kind: str
    activation_mean: float
    activation_std: float
    gradient_std: float | None
    saturated: float | None = None
    dead: int | None = None
    units: int | None = None
    update_ratio: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@record
class Expected:
    """What was predicted of a layer; the gradient in the measured one's scale."""

    path: str
    activation_mean: float | None
    activation_std: float | None
    gradient_std: float | None


@record
class Probe:
    """A measured model.  The ratios are those of the gradient's spread at the first layer with a
    kernel to that at the last one.
    """

    model: str
    rows: int
    layers: tuple[ProbedLayer, ...]
    predicted: tuple[Expected, ...]
    measured_ratio: float | None
    predicted_ratio: float | None
    not_predicted: str = ""
    trained: bool = False  # the predictions are of the start, not of this state

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "rows": self.rows,
            "layers": [layer.as_json() for layer in self.layers],
            "predicted": [dict(vars(each)) for each in self.predicted],
            "gradient_ratio": {"measured": self.measured_ratio, "predicted": self.predicted_ratio},
            "not_predicted": self.not_predicted or None,
        }


# Measuring ----------------------------------------------------------------------------------------


@dataclass
class _Sums:
    """Sums over the elements of one value, in float64: squares of 1e20 are beyond float32."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    unit_squares: float = 0.0  # of the units' own sums over rows, batch by batch
    pairs: int = 0
    near: int = 0
    gradient_count: int = 0
    gradient_total: float = 0.0
    gradient_squares: float = 0.0
    active: NDArray[np.bool_] | None = None  # units that were not 0 on some row

    def add(self, values: Array, bounds: tuple[float, float] | None) -> None:
        x = values.astype(np.float64)
        own = float((x * x).sum())
        self.count += x.size
        self.total += float(x.sum())
        self.squares += own
        self.unit_squares += float((x.sum(axis=0) ** 2).sum()) - own
        self.pairs += x.size * (len(x) - 1)
        on = (x != 0).any(axis=tuple(a for a in range(x.ndim) if a != 1))
        self.active = on if self.active is None else self.active | on
        if bounds is not None:
            low, high = edges(bounds)
            self.near += int(((x < low) | (x > high)).sum())

    def add_gradient(self, values: Array) -> None:
        g = values.astype(np.float64)
        self.gradient_count += g.size
        self.gradient_total += float(g.sum())
        self.gradient_squares += float((g * g).sum())

    @property
    def mean(self) -> float:
        return self.total / max(1, self.count)

    @property
    def std(self) -> float:
        return math.sqrt(max(0.0, self.squares / max(1, self.count) - self.mean**2))

    @property
    def gradient_std(self) -> float | None:
        if not self.gradient_count:
            return None
        mean = self.gradient_total / self.gradient_count
        return math.sqrt(max(0.0, self.gradient_squares / self.gradient_count - mean**2))

    @property
    def moments(self) -> Moments:
        shared = self.unit_squares / self.pairs if self.pairs else 0.0
        return Moments(self.mean, self.squares / max(1, self.count), shared)


@dataclass
class Meter:
    """Runs a probe's graph on batches and keeps the sums."""

    model: Model
    graph: Graph
    names: ProbeNames
    backend: Backend
    sums: dict[int, _Sums] = field(default_factory=dict)
    rows: int = 0

    def __post_init__(self) -> None:
        self.runner = self.backend.runner(emit(self.graph, "probe").serialize())

    def clear(self) -> None:
        self.sums, self.rows = {}, 0

    def add(self, state: Arrays, batch: Arrays) -> None:
        """Measure one batch."""
        made = self.runner.run({**state, **batch})
        self.rows += len(next(iter(batch.values())))
        for number in range(len(self.model.inputs) + len(self.model.calls)):
            call = self.model.call_of(number)
            name = self.names.values.get(number)
            if name is None:
                given = self.model.inputs[number].name
                self._sum(number).add(batch[given], None)
                continue
            self._sum(number).add(made[name], _bounds(call))
            if (back := self.names.gradients.get(number)) is not None:
                self._sum(number).add_gradient(made[back])

    def _sum(self, number: int) -> _Sums:
        return self.sums.setdefault(number, _Sums())

    def layers(self) -> tuple[ProbedLayer, ...]:
        return tuple(self._layer(call) for call in self.model.calls)

    def _layer(self, call: LayerCall) -> ProbedLayer:
        sums = self.sums[call.output]
        share = sums.near / max(1, sums.count) if _bounds(call) is not None else None
        return ProbedLayer(
            call.path, call.layer.name, sums.mean, sums.std, sums.gradient_std, saturated=share
        )

    def inputs(self) -> dict[str, Moments]:
        """The measured moments of the model's inputs, as its first layer sees them."""
        return {i.name: self.sums[n].moments for n, i in enumerate(self.model.inputs)}


def _bounds(call: LayerCall | None) -> tuple[float, float] | None:
    return call.layer.bounds if call is not None and isinstance(call.layer, Activation) else None


def probe_task(
    task: Task,
    view: View,
    state: Arrays,
    backend: Backend,
    limit: int | None = 8,
    train: bool = True,
) -> Probe:
    """Measure a model on training batches with a state; at most `limit` batches for gradients, and
    for dead units all rows.
    """
    meter = Meter(task.model, *loss_flow(task), backend)
    for batch in training_batches(task, view, meter.graph, limit):
        meter.add(state, batch)
    ratios = update_ratios(task, view, state, backend)
    measured = with_update_ratios(report(meter), task.model, ratios)
    return replace(with_dead(measured, task, view, state, backend, train), trained=not train)


def probe_normal(
    model: Model, seed: int, backend: Backend, rows: int = 1000, limit: int = 1
) -> Probe:
    """Measure a model at its start on standard normal rows, with a standard normal gradient at the
    top.
    """
    graph, names = normal_flow(model, seed)
    state = initial_values(graph.params, seed)
    meter = Meter(model, graph, names, backend)
    rng = stream(seed, model.name, "probe")
    for _ in range(limit):
        batch = {
            v.name: rng.standard_normal((rows, *(int(d) for d in v.type.shape[1:]))).astype(
                NUMPY[v.type.dtype]
            )
            for v in graph.inputs
        }
        meter.add(state, batch)
    return report(meter)


def training_batches(
    task: Task, view: View, graph: Graph, limit: int | None
) -> Iterable[dict[str, Array]]:
    """Whole batches of the first epoch, in the order in which a training takes them."""
    size = min(task.training.batch, len(view))
    order = epoch_order(task.training.seed, 0, len(view))
    buffers = {
        v.name: np.empty((size, *(int(d) for d in v.type.shape[1:])), NUMPY[v.type.dtype])
        for v in graph.inputs
    }
    count = len(view) // size
    for number in range(count if limit is None else min(limit, count)):
        view.read(order[number * size : (number + 1) * size], buffers, 0)
        yield buffers


def update_ratios(task: Task, view: View, state: Arrays, backend: Backend) -> dict[str, float]:
    """For each kernel the spread of what the next update adds to it over its own spread.

    Where several batches make one update (`accumulate`), as many are run as it still takes.
    """
    count = task.training.accumulate
    graph = step_graph(task, -(-len(view) // task.training.batch))
    model = emit(graph, "step")
    runner = backend.runner(model.serialize())
    left = count - int(state[STEP_PATH]) % count
    after = dict(state)
    while left:
        # An update may take more batches than an epoch has.
        for batch in training_batches(task, view, graph, left):
            made = runner.run({**after, **batch})
            after.update((path, made[output]) for path, output in model.updates.items())
            left -= 1
    return spreads(state, {path: after[path] for path in model.updates}, task.model)


def spreads(before: Arrays, after: Arrays, model: Model) -> dict[str, float]:
    """The spread of each kernel's change over the kernel's own, by the kernel's path."""
    found = {}
    for param in model.params:
        if param.role == "weight" and param.name in after:
            old = before[param.name].astype(np.float64)
            size = float(old.std())
            change = float((after[param.name].astype(np.float64) - old).std())
            found[param.name] = change / size if size else math.inf
    return found


def with_update_ratios(probe: Probe, model: Model, ratios: Mapping[str, float]) -> Probe:
    layers = []
    for call, layer in zip(model.calls, probe.layers, strict=True):
        own = [ratios[p.name] for p in call.params if p.name in ratios]
        layers.append(replace(layer, update_ratio=own[0]) if own else layer)
    return replace(probe, layers=tuple(layers))


def with_dead(
    probe: Probe, task: Task, view: View, state: Arrays, backend: Backend, train: bool
) -> Probe:
    """The probe with the units that are 0 on every row of a view; `train` says which form batch
    norm takes.
    """
    graph, names = activity_graph(task, train)
    if not names:
        return probe
    runner = backend.runner(emit(graph, "activity").serialize())
    active: dict[int, NDArray[np.bool_]] = {}
    for batch, _ in batches(view, graph):
        made = runner.run({**state, **batch})
        for number, name in names.items():
            on = made[name] != 0
            active[number] = active[number] | on if number in active else on
    return replace(probe, layers=counted(task.model, probe.layers, active))


def counted(
    model: Model, layers: Sequence[ProbedLayer], active: Mapping[int, NDArray[np.bool_]]
) -> tuple[ProbedLayer, ...]:
    """The layers with their dead units; `active` says of values which units were not 0."""
    return tuple(
        replace(layer, dead=int((~on).sum()), units=on.size)
        if (on := active.get(call.output)) is not None
        else layer
        for call, layer in zip(model.calls, layers, strict=True)
    )


def report(meter: Meter) -> Probe:
    """What was measured beside what theory says of the same inputs."""
    model, layers = meter.model, meter.layers()
    prediction = predict(model, meter.inputs())
    measured = [layer.gradient_std for layer in layers]
    ends = _ends(model)
    ratio = None
    if ends is not None:
        first, last = (measured[n] for n in ends)
        ratio = first / last if first is not None and last else None
    told = prediction.gradient_ratio(model)
    return Probe(
        model.name,
        meter.rows,
        layers,
        _expected(prediction, measured),
        ratio,
        10**told if told is not None and told < 300 else None,
        prediction.unknown,
    )


def _ends(model: Model) -> tuple[int, int] | None:
    """Which calls are the first and the last with a kernel."""
    found = [n - len(model.inputs) for n in kernels(model)]
    return (found[0], found[-1]) if len(found) > 1 else None


def _expected(prediction: Prediction, measured: list[float | None]) -> tuple[Expected, ...]:
    """The predicted gradients are relative to the top; they are brought to the measured scale at
    the last layer that has both.
    """
    scale = 0.0
    for each, seen in zip(prediction.layers, measured, strict=True):
        if each.gradient is not None and seen:
            scale = math.log10(seen) - each.gradient
    out = []
    for each in prediction.layers:
        moments = each.moments
        gradient = None if each.gradient is None else each.gradient + scale
        out.append(
            Expected(
                each.path,
                moments.mean if moments else None,
                moments.std if moments else None,
                10**gradient if gradient is not None and gradient < 300 else None,
            )
        )
    return tuple(out)
