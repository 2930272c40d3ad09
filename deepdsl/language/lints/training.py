"""Lints about how a network is trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.core.text import plural
from deepdsl.data.request import OpenRequest
from deepdsl.data.rows import HeldOut
from deepdsl.data.spec import DataSpec
from deepdsl.diagnostics import Diagnostic, DnnError, Edit, Label
from deepdsl.language.analysis.model import CheckedProgram, Model, Training
from deepdsl.language.lints.base import Lint, allowed, each_call
from deepdsl.language.lints.walk import each_stage
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.edits import add_row, keyword, set_option
from deepdsl.nn.layers.batch_norm import BatchNorm

# Optimizers that divide a gradient by its own size.
ADAPTIVE = frozenset({"adam", "adamw", "adamax", "nadam", "amsgrad", "rmsprop", "adagrad", "lion"})


@record
class NoSeed(Lint):
    """A train section without a seed runs with seed 0, so every run is the same.

    From the seed follow the initial weights, the division of the data, the order of the rows, and
    dropout. A result with one seed is one draw: figures of two settings that differ by less than
    those of two seeds differ by nothing. Say the seed, and try others with `--seed`.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 0 }
    ```
    """

    code = "W414"

    @property
    def message(self) -> str:
        return "this train section has no seed"

    @property
    def label(self) -> str:
        return "every run takes seed 0 and repeats the one before; one seed is one draw"

    @property
    def help(self) -> str:
        return "seed 0"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            section = program.places.section(training.span)
            if "seed" in training.spans or not isinstance(section, ast.Train):
                continue
            row = add_row(section, "seed", "0")
            yield cls(training.span, fixes=() if row is None else (row,))


@record
class NormOfOneRow(Lint):
    """Batch norm sees a batch of a single row, whose variance is 0.

    Each value is then its own mean: what is normalized is 0, the layer answers its beta whatever
    goes in, and its running variance moves towards 0. Give it several rows; a few dozen make mean
    and variance trustworthy. The last batch of an epoch is shorter where the rows do not divide
    evenly, and can be one row.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net {
      input x[8 8]
      flatten | dense 8 bias=false | batch_norm | relu
      dense 10 | softmax
    }
    train net on digits { loss cross_entropy; batch 1; seed 1 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net {
      input x[8 8]
      flatten | dense 8 bias=false | batch_norm | relu
      dense 10 | softmax
    }
    train net on digits { loss cross_entropy; batch 32; seed 1 }
    ```
    """

    code = "W417"
    batch: int
    rows: int | None
    norm: Label

    @property
    def message(self) -> str:
        if self.batch == 1:
            return "batch norm with one row a step"
        return "batch norm in a last batch of one row"

    @property
    def label(self) -> str:
        why = "the variance of one row is 0, and batch norm answers beta, whatever goes in"
        if self.batch == 1 or self.rows is None:
            return why
        return f"{self.rows:,} = {self.rows // self.batch:,} × {self.batch:,} + 1 rows: {why}"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.norm,)

    @property
    def help(self) -> str:
        return f"batch {_even(self.rows, self.batch)}"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            rows = _rows(program.datasets[training.data])
            found = norm_of_one_row(program, training, rows)
            if found is not None:
                yield found


def norm_of_one_row(
    program: CheckedProgram, training: Training, rows: int | None
) -> NormOfOneRow | None:
    """The warning, where a step has one row; `rows` are those that are trained on, if known."""
    norm = _norm_of_vectors(program.models[training.model])
    batch = training.batch
    if norm is None or not (batch == 1 or (rows is not None and rows > 1 and rows % batch == 1)):
        return None
    row = program.places.row(training.span, "batch")
    fixes: tuple[Edit, ...] = ()
    if row is not None and batch > 1 and row.args and not isinstance(row.args[0], ast.Keyword):
        fixes = (Edit(row.args[0].span, str(_even(rows, batch))),)
    span = training.spans.get("batch", training.span)
    return NormOfOneRow(span, batch, rows, Label(norm, "this layer"), fixes=fixes)


def known_with_data(program: CheckedProgram, training: Training, rows: int) -> list[Diagnostic]:
    """What `check` could not know, and is to be said when the data is open."""
    if training.batch == 1 or _rows(program.datasets[training.data]) is not None:
        return []
    found = norm_of_one_row(program, training, rows)
    return allowed([found] if found is not None else [])


def _even(rows: int | None, batch: int) -> int:
    """The next larger batch that leaves no single row."""
    if batch == 1:
        return 32
    found = batch + 1
    while rows is not None and rows % found == 1:
        found += 1
    return found


def _norm_of_vectors(model: Model) -> Span | None:
    # Over images, mean and variance are those of all pixels of a channel.
    for call in model.calls:
        if isinstance(call.layer, BatchNorm) and call.type.rank == 2:
            return call.span
    return None


def _rows(spec: DataSpec) -> int | None:
    """How many rows are trained on, where that is known without opening a file."""
    rows = spec.train.row.known_rows(OpenRequest(Path(), {})) if spec.train is not None else None
    if rows is None:
        return None
    try:
        if spec.take is not None:
            rows = spec.take.row.checked(rows, spec.take.span)
        if spec.valid is not None and isinstance(spec.valid.row, HeldOut):
            rows -= spec.valid.row.count(rows, spec.valid.span)
    except DnnError:
        return None  # that is said when the data is opened
    return rows


@record
class PenaltyWithAdaptive(Lint):
    """`l2` in the loss does little with an optimizer that divides gradients by their size.

    The penalty's gradient is divided like the loss's: a weight with large gradients decays less
    than one with small gradients, whatever l2 says. adamw takes the decay out of the gradient, and
    each weight decays by the same share (Loshchilov & Hutter 2019, "Decoupled Weight Decay
    Regularization"). With sgd a step decays by lr × 2 × l2, with adamw by lr × weight_decay.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 8 l2=1e-4 | relu | dense 10 | softmax }
    train net on digits { loss cross_entropy; optimizer adam; seed 1 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 8 | relu | dense 10 | softmax }
    train net on digits { loss cross_entropy; optimizer adamw weight_decay=2e-4; seed 1 }
    ```
    """

    code = "W418"
    optimizer: str
    penalty: float
    layer: Label

    @property
    def message(self) -> str:
        return f"l2 with {self.optimizer}"

    @property
    def label(self) -> str:
        return (
            f"{self.optimizer} divides the penalty's gradient by its size: "
            "weights with large gradients hardly decay"
        )

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.layer,)

    @property
    def help(self) -> str:
        decay = f"weight_decay={2 * self.penalty:g}"
        decoupled = self.optimizer in ("adamw", "lion")
        return f"no l2, and optimizer {self.optimizer if decoupled else 'adamw'} {decay}"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in each_stage(program):
            if training.optimizer.name not in ADAPTIVE:
                continue
            for model, call in each_call(program):
                penalty = getattr(call.layer, "l2", 0)
                if model.name == training.model and isinstance(penalty, float) and penalty:
                    span = training.spans.get("optimizer", training.span)
                    layer = Label(call.span, f"l2={penalty:g}")
                    yield cls(span, training.optimizer.name, penalty, layer)
                    break


@record
class StopWithoutBest(Lint):
    """Early stopping without `restore=best` keeps the weights of the last epoch, not the best ones.

    Training ends when nothing got better for `patience` epochs: the last weights are that many
    epochs after the best ones. With restore=best the run ends with the weights of the best epoch.
    `restore=none` says that the last ones are wanted.

    ```wrong
    data digits { train builtin digits; valid split=10%; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; stop patience=5; seed 1 }
    ```
    ```right
    data digits { train builtin digits; valid split=10%; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; stop patience=5 restore=best; seed 1 }
    ```
    """

    code = "W430"
    patience: int

    @property
    def message(self) -> str:
        return "an early stop that keeps the last weights"

    @property
    def label(self) -> str:
        epochs = f"{self.patience:,} {plural(self.patience, 'epoch')}"
        return f"they are those of {epochs} after the best"

    @property
    def help(self) -> str:
        return "restore=best"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in each_stage(program):
            row = program.places.row(training.span, "stop")
            stop = training.stop
            if stop is None or stop.restore != "none" or row is None or keyword(row, "restore"):
                continue
            yield cls(row.span, stop.patience, fixes=(set_option(row, "restore", "best"),))


def _short(number: float) -> str:
    """As a person writes it: 1e-6, not 1e-06."""
    return f"{number:g}".replace("e-0", "e-").replace("e+0", "e")


@record
class UnusualRate(Lint):
    """An unusual learning rate for this optimizer.

    Optimizers differ in how large their steps are: a gradient's size counts with sgd, and not with
    adam, whose step is about the rate itself for each weight. So each has rates that it is used
    with, in most papers and programs within a factor of ten of its default. Far above them training
    leaps about or ends in NaN; far below, nothing moves in the epochs that one has.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; optimizer adam lr=5; seed 1 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; optimizer adam lr=5e-3; seed 1 }
    ```
    """

    code = "W431"
    optimizer: str
    rate: float
    low: float
    high: float

    @property
    def message(self) -> str:
        return f"{self.optimizer} with a learning rate of {_short(self.rate)}"

    @property
    def label(self) -> str:
        return f"it is used with rates from {_short(self.low)} to {_short(self.high)}"

    @property
    def help(self) -> str:
        nearest = self.high if self.rate > self.high else self.low
        return f"lr={_short(nearest)} is the nearest of them"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in each_stage(program):
            low, high = training.optimizer.usual
            rate = training.optimizer.lr
            # Only what is far out: a rate beside the usual may be what a schedule begins from.
            if low / 10 <= rate <= high * 5:
                continue
            span = training.spans.get("optimizer", training.span)
            yield cls(span, training.optimizer.name, rate, low, high)
