"""Lints about settings and layers that have no effect, or not the one that was meant."""

from __future__ import annotations

from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.diagnostics import Label
from deepdsl.language.analysis.model import CheckedProgram, Model, Training
from deepdsl.language.lints.base import Lint
from deepdsl.language.lints.walk import Readers, below, each_call, each_stage, kernel, readers_of
from deepdsl.language.syntax.edits import set_option
from deepdsl.nn.layers.activations.base import Softmax
from deepdsl.nn.layers.dense import Dense
from deepdsl.nn.layers.dropout import AlphaDropout, Dropout
from deepdsl.nn.optimizers import Sgd
from deepdsl.nn.schedules import Piecewise, Plateau


@record
class CannotAct(Lint):
    """A stop or a schedule waits longer than the training lasts, so it has no effect.

    A plateau lowers the rate after `patience` epochs without improvement, a stop ends the training
    after its patience; a warm-up rises over its length, and the schedule after it begins then.

    ```wrong
    data digits { train builtin digits; valid split=10%; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; schedule plateau patience=10; epochs 10; seed 1 }
    ```
    ```right
    data digits { train builtin digits; valid split=10%; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; schedule plateau patience=2; epochs 10; seed 1 }
    ```
    """

    code = "W432"
    row: str
    wait: str
    epochs: int

    @property
    def message(self) -> str:
        return f"this {self.row} cannot act"

    @property
    def label(self) -> str:
        return f"{self.wait}, and the training has {self.epochs:,}"

    @property
    def help(self) -> str:
        return "shorten it, or raise `epochs`"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in each_stage(program):
            for row, wait in _waiting(training):
                yield cls(training.spans.get(row), row, wait, training.epochs)


def _waiting(training: Training) -> Iterator[tuple[str, str]]:
    """The rows that wait for too long, each with what it waits for."""
    epochs, schedule = training.epochs, training.schedule
    if training.stop is not None and training.stop.patience >= epochs > 1:
        yield "stop", f"it waits for {training.stop.patience:,} epochs without improvement"
    if isinstance(schedule, Plateau) and schedule.patience >= epochs > 1:
        yield "schedule", f"it waits for {schedule.patience:,} epochs without improvement"
    if getattr(schedule, "per", "step") != "epoch":
        return
    rising = getattr(schedule, "warmup", 0.0)
    if rising >= epochs > 1:
        yield "schedule", f"its warm-up lasts {rising:g} epochs"
    if isinstance(schedule, Piecewise) and min(t for t, _ in schedule.steps) + rising >= epochs > 1:
        yield "schedule", f"its first time is epoch {min(t for t, _ in schedule.steps):g}"
    falling = getattr(schedule, "over", None)
    if falling is not None and not getattr(schedule, "restarts", False) and falling >= 2 * epochs:
        yield "schedule", f"it falls over {falling:g} epochs"


@record
class NesterovAlone(Lint):
    """`nesterov` has no effect without momentum.

    With momentum 0 the update is lr * g with and without it (Sutskever et al. 2013). PyTorch
    refuses the two together.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; optimizer sgd nesterov=true; seed 1 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; optimizer sgd momentum=0.9 nesterov=true; seed 1 }
    ```
    """

    code = "W433"

    @property
    def message(self) -> str:
        return "nesterov without momentum"

    @property
    def label(self) -> str:
        return "with momentum 0 it changes nothing"

    @property
    def help(self) -> str:
        return "momentum=0.9"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in each_stage(program):
            optimizer = training.optimizer
            if isinstance(optimizer, Sgd) and optimizer.nesterov and not optimizer.momentum:
                row = program.places.row(training.span, "optimizer")
                fixes = (set_option(row, "momentum", "0.9"),) if row is not None else ()
                yield cls(training.spans.get("optimizer"), fixes=fixes)


@record
class LinearPair(Lint):
    """Two dense layers without an activation between them are one: W2 (W1 x + b1) + b2 = W x + b.

    A chain of any number of linear layers computes what one can (Saxe, McClelland & Ganguli 2014
    study how it learns). A narrow first layer limits the rank of the product and may be meant; one
    that is as wide as what comes in, or as what goes out, limits nothing.

    ```wrong
    model net { input x[8]; dense 16 | dense 16 | relu; dense 3 | softmax }
    ```
    ```right
    model net { input x[8]; dense 16 | relu | dense 16 | relu; dense 3 | softmax }
    ```
    """

    code = "W434"
    rows: int
    columns: int
    first: Label

    @property
    def message(self) -> str:
        return "two dense layers with no activation between them"

    @property
    def label(self) -> str:
        return f"together they are one matrix of {self.rows:,} × {self.columns:,} numbers"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.first,)

    @property
    def help(self) -> str:
        return "put an activation between them, or leave one out"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            readers = readers_of(model)
            for call in model.calls:
                first = model.call_of(call.inputs[0])
                one, two = (kernel(c) if c is not None else None for c in (first, call))
                if first is None or one is None or two is None:
                    continue
                both = isinstance(first.layer, Dense) and isinstance(call.layer, Dense)
                narrow = one.fans[1] < min(one.fans[0], two.fans[1])
                alone = len(readers[first.output]) == 1
                if both and alone and not narrow and first.output not in model.outputs.values():
                    label = Label(first.span, "the first")
                    yield cls(call.span, one.fans[0], two.fans[1], label)


@record
class HiddenSoftmax(Lint):
    """Softmax in the middle of a network: its outputs sum to 1, and it saturates like a sigmoid.

    With n units each output is about 1 / n, and so is its derivative: of 64 units each layer passes
    about 1 / 64 of the gradient. It belongs to the end of a classifier, and into attention.

    ```wrong
    model net { input x[8]; dense 64 | softmax | dense 3 | softmax }
    ```
    ```right
    model net { input x[8]; dense 64 | relu | dense 3 | softmax }
    ```
    """

    code = "W435"
    units: int

    @property
    def message(self) -> str:
        return "softmax in a hidden layer"

    @property
    def label(self) -> str:
        return f"its {self.units:,} outputs sum to 1: about {1 / self.units:.2g} each"

    @property
    def help(self) -> str:
        return "relu, or another activation that treats each unit by itself"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            readers = readers_of(model)
            for call in model.calls:
                units = call.type.shape[-1]
                if isinstance(call.layer, Softmax) and isinstance(units, int) and units > 1:
                    behind = below(call.output, readers)
                    # Gates that are multiplied or joined are no hidden layer of units.
                    if _plainly_read(model, call.output, readers) and any(map(kernel, behind)):
                        yield cls(call.span, units)


def _plainly_read(model: Model, value: int, readers: Readers) -> bool:
    """Whether the one reader of a value is a layer with a kernel, through transparent ones."""
    while len(found := readers.get(value, ())) == 1:
        if kernel(found[0]) is not None:
            return True
        if not found[0].layer.transparent:
            return False
        value = found[0].output
    return False


@record
class DroppedAnswer(Lint):
    """Dropout on the outputs discards the network's own answers in training.

    After the last layer there is nothing that could learn to do without a unit: before a softmax a
    dropped value is a score of 0, which is an answer like any other, and the loss is charged for
    it. Dropout belongs before the last dense layer.

    ```wrong
    model net { input x[8]; dense 16 | relu | dense 3 | dropout 50% | softmax }
    ```
    ```right
    model net { input x[8]; dense 16 | relu | dropout 50% | dense 3 | softmax }
    ```
    """

    code = "W436"
    rate: float

    @property
    def message(self) -> str:
        return "dropout on the outputs"

    @property
    def label(self) -> str:
        return f"in training {self.rate:.0%} of the answers are thrown away"

    @property
    def help(self) -> str:
        return "put it before the last layer with weights"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        readers: dict[str, Readers] = {m.name: readers_of(m) for m in program.models.values()}
        trained = {training.model for training in program.trainings}
        for model, call in each_call(program):
            layer = call.layer
            if isinstance(layer, Dropout | AlphaDropout) and layer.rate > 0:
                behind = list(below(call.output, readers[model.name]))
                # A model without an end may be the body of another.
                ends = model.name in trained or any(c.layer.name in _ENDS for c in behind)
                last = not any(kernel(c) for c in behind)
                if ends and last and _after_a_kernel(model, call.inputs[0]):
                    yield cls(call.span, layer.rate)


_ENDS = frozenset({"softmax", "log_softmax", "sigmoid"})


def _after_a_kernel(model: Model, number: int) -> bool:
    """Whether what a value is made of is the last layer's kernel, with no activation between."""
    call = model.call_of(number)
    while call is not None and call.inputs and call.layer.transparent and kernel(call) is None:
        call = model.call_of(call.inputs[0])
    return call is not None and kernel(call) is not None
