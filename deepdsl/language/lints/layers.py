"""Lints about layers that are together and do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.diagnostics import Edit, Label
from deepdsl.language.analysis.model import CheckedProgram, LayerCall, Model, Training
from deepdsl.language.lints.base import Lint, Predictions, before, each_call
from deepdsl.language.lints.walk import (
    NORMS,
    at_one_place,
    kernel,
    readers_of,
    uses_by_path,
)
from deepdsl.language.propagation import Prediction
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.edits import set_option
from deepdsl.nn.layers.activations.base import Softmax
from deepdsl.nn.layers.batch_norm import BatchNorm
from deepdsl.nn.layers.dropout import Dropout
from deepdsl.nn.losses import CrossEntropy


@record
class UselessBias(Lint):
    """A bias just before batch norm is cancelled by the mean subtraction, so it has no effect.

    Batch norm's own beta supplies the shift (Ioffe & Szegedy 2015, section 3.2).

    ```wrong
    model net { input x[4]; dense 8 | batch_norm | relu | dense 3 | softmax }
    ```
    ```right
    model net { input x[4]; dense 8 bias=false | batch_norm | relu | dense 3 | softmax }
    ```
    """

    code = "W402"
    layer: str
    units: int
    norm: Label

    @property
    def message(self) -> str:
        return f"the bias of this `{self.layer}` does nothing"

    @property
    def label(self) -> str:
        return f"{self.units:,} {plural(self.units, 'number')} that learn nothing"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.norm,)

    @property
    def help(self) -> str:
        return "bias=false"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            readers, everywhere = readers_of(model), uses_by_path(model)
            for span, calls in at_one_place(model.calls).items():
                layer, path = calls[0].layer, calls[0].path
                if getattr(layer, "bias", False) is False:
                    continue
                # The bias of shared weights is of use where one of their uses meets no batch norm.
                uses = [*everywhere[path], *calls]
                next_ones = [r for call in uses for r in readers.get(call.output, ())]
                normed = next_ones and all(isinstance(r.layer, BatchNorm) for r in next_ones)
                bare = any(c.output in model.outputs.values() for c in uses)
                if not normed or bare:
                    continue
                units = next((p.type.count or 0 for p in calls[0].params if p.role == "bias"), 0)
                norm = Label(next_ones[-1].span, "batch norm takes it away")
                unit = program.places.unit(span)
                fixes = (set_option(unit.layer, "bias", "false"),) if unit else ()
                yield cls(span, layer.name, units, norm, fixes=fixes)


@record
class SoftmaxOfOne(Lint):
    """The softmax of a single number is 1, whatever the number: the model answers the same to
    everything.

    ```wrong
    model net { input x[4]; dense 1 | softmax }
    ```
    ```right
    model net { input x[4]; dense 1 | sigmoid }
    ```
    """

    code = "W405"

    @property
    def message(self) -> str:
        return "the softmax of one unit is always 1"

    @property
    def help(self) -> str:
        return (
            "for yes or no, `dense 1 | sigmoid` with binary_cross_entropy; "
            "for two classes, `dense 2 | softmax`"
        )

    @property
    def fix(self) -> str:
        return "sigmoid, with binary_cross_entropy"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model, call in each_call(program):
            if isinstance(call.layer, Softmax) and call.type.shape[-1] == 1:
                others = [c for c in model.calls if c.span == call.span]
                single = all(c.type.shape[-1] == 1 for c in others)
                yield cls(call.span, fixes=_as_sigmoid(program, model, call) if single else ())


def _as_sigmoid(program: CheckedProgram, model: Model, call: LayerCall) -> tuple[Edit, ...]:
    """Sigmoid for softmax, and the loss that goes with it wherever the model is trained."""
    unit = program.places.unit(call.span)
    if unit is None:
        return ()
    edits = [Edit(unit.layer.path.span, "sigmoid")]
    for training in program.trainings:
        if training.model == model.name and isinstance(training.loss, CrossEntropy):
            word = _word_of_loss(program, training)
            if word is None:
                return ()
            edits.append(Edit(word.span, "binary_cross_entropy"))
    return tuple(edits)


def _word_of_loss(program: CheckedProgram, training: Training) -> ast.Path | None:
    row = program.places.row(training.span, "loss")
    word = row.args[0] if row is not None and len(row.args) == 1 else None
    return word if isinstance(word, ast.Path) else None


@record
class DropoutBeforeNorm(Lint):
    """Dropout before batch norm shifts the variance between training and inference.

    In training, dropout at rate p makes the mean square of what it lets through 1 / (1 - p) times
    as large, and its variance more so where there is a mean; at inference it does nothing. Batch
    norm's running variance is that of training, and divides by it at inference (Li, Chen, Hu & Yang
    2019, "Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift").
    Put dropout after the last batch norm.

    ```wrong
    model net {
      input x[4]
      dropout 20% | dense 8 bias=false | batch_norm | relu
      dense 3 | softmax
    }
    ```
    ```right
    model net {
      input x[4]
      dense 8 bias=false | batch_norm | relu | dropout 20%
      dense 3 | softmax
    }
    ```
    """

    code = "W412"
    factor: float
    norm: Label

    @property
    def message(self) -> str:
        return "dropout before batch norm"

    @property
    def label(self) -> str:
        return f"in training the variance is about {self.factor:.3g} times that at inference"

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.norm,)

    @property
    def help(self) -> str:
        return "move dropout after the last batch_norm, or remove it"

    @classmethod
    def check_signals(cls, program: CheckedProgram, predictions: Predictions) -> Iterator[Lint]:
        for model, call in each_call(program):
            if not isinstance(call.layer, BatchNorm):
                continue
            for feeder in before(model, call):
                layer = feeder.layer
                if isinstance(layer, Dropout) and layer.rate > 0:
                    norm = Label(call.span, "it keeps the variance of training for inference")
                    growth = _growth(model, predictions[model.name], feeder, layer.rate)
                    yield cls(feeder.span, growth, norm)
                if not _linear(feeder):
                    break


def _growth(model: Model, prediction: Prediction, dropout: LayerCall, rate: float) -> float:
    """How many times the variance over rows is as large after dropout in training: (E[x^2] /
    (1 - p) - m) / (E[x^2] - m), where m is the mean product of two rows.
    """
    number = dropout.inputs[0] - len(model.inputs)
    x = prediction.layers[number].moments if number >= 0 else None
    if x is None or not x.between_rows:
        return 1 / (1 - rate)
    return (x.square / (1 - rate) - x.square + x.between_rows) / x.between_rows


def _linear(call: LayerCall) -> bool:
    """Whether a variance that goes in changes what comes out in proportion."""
    passes = call.layer.transparent and call.layer.name not in NORMS
    return passes or kernel(call) is not None
