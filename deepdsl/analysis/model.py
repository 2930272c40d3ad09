"""The typed program: what a `.dnn` file means, with every default filled in and every shape
known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property

from deepdsl.data.request import DataSpec, IndexShape
from deepdsl.diagnostics import Use
from deepdsl.ir import Param, Type
from deepdsl.losses import Loss
from deepdsl.metrics import Metric
from deepdsl.ops.layer import Layer
from deepdsl.optimizers import Optimizer
from deepdsl.record import record
from deepdsl.rows import Clip, Stop
from deepdsl.schedules import Schedule
from deepdsl.source import Source, Span
from deepdsl.syntax import ast
from deepdsl.syntax.places import Places
from deepdsl.syntax.uses import Uses

# The symbol of the batch dimension.
BATCH = "N"


@record
class Input:
    """An input of a model; its type's first dimension is the batch."""

    name: str
    type: Type
    span: Span
    rows: int | None = None  # of the table that it holds indices of

    @property
    def row_shape(self) -> tuple[int, ...]:
        shape = self.type.row
        return IndexShape(shape, self.rows) if self.type.dtype == "i64" else shape


@record
class Call:
    """A layer applied to values.  Values are numbered: the inputs first, then each call's output.

    `path` is where its weights live; a part used twice has two calls with one path.  `uses` lead
    from its text to the model's, where it stands in a block.
    """

    path: str
    layer: Layer
    inputs: tuple[int, ...]
    output: int
    type: Type
    span: Span
    params: tuple[Param, ...] = ()
    uses: tuple[Use, ...] = field(default=(), compare=False)


@record
class Model:
    """A network, unrolled: `outputs` maps a name to the number of a value."""

    name: str
    inputs: tuple[Input, ...]
    calls: tuple[Call, ...]
    outputs: Mapping[str, int]
    span: Span

    @property
    def params(self) -> tuple[Param, ...]:
        """Every parameter once, in the order of first use."""
        return tuple({p.name: p for call in self.calls for p in call.params}.values())

    def type_of(self, value: int) -> Type:
        if value < len(self.inputs):
            return self.inputs[value].type
        return self.calls[value - len(self.inputs)].type

    def call_of(self, value: int) -> Call | None:
        return None if value < len(self.inputs) else self.calls[value - len(self.inputs)]


@record
class Training:
    """How a model is trained on a data section."""

    model: str
    data: str
    loss: Loss
    metrics: tuple[Metric, ...]
    optimizer: Optimizer
    schedule: Schedule
    clip: Clip | None
    batch: int
    epochs: int
    stop: Stop | None
    seed: int
    span: Span
    spans: Mapping[str, Span]
    accumulate: int = 1

    def best_of(self, on: str) -> str:
        """Whether the `min` or the `max` of a watched figure, `valid.loss`, is its best."""
        name = on.partition(".")[2]
        return next((m.best for m in self.metrics if m.name == name), "min")

    @property
    def metric_names(self) -> tuple[str, ...]:
        return ("loss", *(m.name for m in self.metrics))

    @property
    def scalar_names(self) -> tuple[str, ...]:
        """Those of them that are one number, which can be watched."""
        return ("loss", *(m.name for m in self.metrics if m.scalar))


@record
class Exporting:
    """What is deployed: the file, and how it is made."""

    model: str
    file: str | None
    fold_batch_norm: bool
    verify: float
    span: Span


@record
class Program:
    """Everything that a file says."""

    source: Source
    models: Mapping[str, Model]
    datasets: Mapping[str, DataSpec]
    trainings: tuple[Training, ...]
    exports: Mapping[str, Exporting]
    file: ast.File | None = None
    uses: Uses = field(default_factory=Uses)

    @cached_property
    def places(self) -> Places:
        """The syntax of what stands at a span."""
        return Places(self.file)
