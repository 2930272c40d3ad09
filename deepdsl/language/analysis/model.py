"""The typed program: what a `.dnn` file means, with every default filled in and every shape
known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property

from deepdsl.core.record import record
from deepdsl.core.source import Source, Span
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics import Use
from deepdsl.graph import Param, Type
from deepdsl.graph.types import IndexShape
from deepdsl.language.analysis.freezing import Freezing
from deepdsl.language.analysis.reused import Reused
from deepdsl.language.sections.train_options import Clip, Stop
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.places import Places
from deepdsl.language.syntax.uses import Uses
from deepdsl.nn.layers.layer import Layer
from deepdsl.nn.losses import Loss
from deepdsl.nn.metrics import Metric
from deepdsl.nn.optimizers import Optimizer
from deepdsl.nn.schedules import Schedule

# The symbol of the batch dimension.
BATCH = "N"


@record
class ModelInput:
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
class LayerCall:
    """A layer applied to values.  Values are numbered: the inputs first, then each call's output.

    `path` is where its weights live; a part used twice has two calls with one path.  `uses` lead
    from its text to the model's, where it is in a block.  One that is `trained` was reused,
    with weights that are known from elsewhere.
    """

    path: str
    layer: Layer
    inputs: tuple[int, ...]
    output: int
    type: Type
    span: Span
    params: tuple[Param, ...] = ()
    uses: tuple[Use, ...] = field(default=(), compare=False)
    trained: bool = False


@record
class Piece:
    """The first use of a part or a block: the calls from `start` to before `end`, what flows into
    it (None where that is more than one value, or none), and what it makes.  `block` is the name of
    the block, which numbers its uses.
    """

    start: int
    end: int
    input: int | None
    output: int
    block: str = ""


@record
class Model:
    """A network, unrolled: `outputs` maps a name to the number of a value.

    `pieces` has the parts and uses of blocks by path, `reused` what of it was trained before.
    """

    name: str
    inputs: tuple[ModelInput, ...]
    calls: tuple[LayerCall, ...]
    outputs: Mapping[str, int]
    span: Span
    pieces: Mapping[str, Piece] = field(default_factory=dict, compare=False)
    reused: tuple[Reused, ...] = ()

    @property
    def params(self) -> tuple[Param, ...]:
        """Every parameter once, in the order of first use."""
        return tuple({p.name: p for call in self.calls for p in call.params}.values())

    def type_of(self, value: int) -> Type:
        if value < len(self.inputs):
            return self.inputs[value].type
        return self.calls[value - len(self.inputs)].type

    def call_of(self, value: int) -> LayerCall | None:
        return None if value < len(self.inputs) else self.calls[value - len(self.inputs)]


@record
class Training:
    """How a model is trained on a data section.

    A training in phases has them in `phases`, in the order in which they run, each a training of
    its own with the settings that hold in it; a phase in which something is unfrozen after some
    epochs is in two of them, with one name.  A phase goes over `epochs` epochs; one of `phases` is
    what happens in those from `begins` to before `ends` of them.  The schedule's time begins with
    the stage of number `clock`, and the optimizer's state of a tensor with that of `births` (where
    it is not the first).
    """

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
    freezing: Freezing = Freezing()
    phases: tuple[Training, ...] = ()
    phase: str = ""
    begins: int = 0
    ends: int = 0  # 0 for the last epoch
    clock: int = 0
    births: Mapping[str, int] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """The epochs of this stage, where nothing ends it early."""
        return (self.ends or self.epochs) - self.begins

    @property
    def stages(self) -> tuple[Training, ...]:
        """The phases, or the training itself where it has none."""
        return self.phases or (self,)

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
    verify: float | None
    span: Span
    quantize: str | None = None
    keep_float: tuple[str, ...] = ()


@record
class CheckedProgram:
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
        """The syntax of what is at a span."""
        return Places(self.file)
