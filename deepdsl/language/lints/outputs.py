"""Lints about how a network ends: activations on activations, and losses after them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.diagnostics import Edit, Label
from deepdsl.language.analysis.model import CheckedProgram, LayerCall, Model
from deepdsl.language.lints.base import Lint
from deepdsl.language.lints.walk import output_calls, readers_of
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.edits import drop_unit, keyword
from deepdsl.nn.layers.activations.base import Sigmoid, Softmax

# Activations whose output is 0 for half of the line.
_CUTTING = frozenset({"relu", "relu6"})
# What is the same when it is done twice.
_IDEMPOTENT = frozenset({"relu", "relu6"})


def _activation_before(model: Model, call: LayerCall) -> LayerCall | None:
    """The activation that a call takes its values from; what only moves or drops values is looked
    through.
    """
    here = model.call_of(call.inputs[0])
    while here is not None and here.layer.name in ("identity", "dropout", "flatten", "reshape"):
        here = model.call_of(here.inputs[0])
    return here if here is not None and here.layer.activation is not None else None


def _without(program: CheckedProgram, call: LayerCall) -> tuple[Edit, ...]:
    unit = program.places.unit(call.span)
    edit = drop_unit(unit) if unit is not None else None
    return () if edit is None else (edit,)


@record
class StackedActivations(Lint):
    """Two activations in a row where one was intended.

    Nothing is learned between them. A second relu does nothing. Numbers that an activation has
    squeezed between 0 and 1, or that cannot be negative, give softmax or sigmoid too little to work
    with: of softmax on softmax for 10 classes the largest probability is e / (e + 9) = 0.232, and
    the loss cannot fall below -log(0.232) = 1.46.

    ```wrong
    model net { input x[4]; dense 10 | softmax | softmax }
    ```
    ```right
    model net { input x[4]; dense 10 | softmax }
    ```
    """

    code = "W413"
    first: Label
    names: tuple[str, str]
    limits: str

    @property
    def message(self) -> str:
        return f"{self.names[1]} on {self.names[0]}"

    @property
    def label(self) -> str:
        return self.limits

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.first,)

    @property
    def help(self) -> str:
        return "leave out one of them" if self.names[0] == self.names[1] else self.fix

    @property
    def fix(self) -> str:
        return f"leave out {self.names[0]}"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for model in program.models.values():
            pairs = list(_pairs(model))
            # One for each place: a repeated line has as many pairs as turns.
            places = {pair[1].span: pair for pair in reversed(pairs)}
            for first, call, limits in places.values():
                names = (first.layer.name, call.layer.name)
                here = Label(first.span, "the first activation")
                fixes = _without(program, first) if _spare(model, first, pairs) else ()
                yield cls(call.span, here, names, limits, fixes=fixes)


Pair = tuple[LayerCall, LayerCall, str]


def _pairs(model: Model) -> Iterator[Pair]:
    """Two activations in a row, and what is wrong with them."""
    for call in model.calls:
        first = _activation_before(model, call) if call.layer.activation is not None else None
        if first is not None and (limits := _limits(first, call)):
            yield first, call, limits


def _spare(model: Model, first: LayerCall, pairs: list[Pair]) -> bool:
    """Whether the first activation serves nothing but the second, at each use of its place."""
    spare = {one.output for one, _, _ in pairs} - {two.output for _, two, _ in pairs}
    spare -= set(model.outputs.values())
    readers = readers_of(model)
    here = [c for c in model.calls if c.span == first.span]
    return all(c.output in spare and len(readers[c.output]) == 1 for c in here)


def _limits(first: LayerCall, second: LayerCall) -> str:
    """What is wrong with two activations in a row; empty where it may be meant."""
    one, two = first.layer.name, second.layer.name
    if one == two and one in _IDEMPOTENT:
        return f"the {two} of {one} is {one}: it does nothing"
    low, high = _bounds(first)
    if two in ("softmax", "log_softmax") and (high - low < math.inf or low == 0):
        count = second.type.shape[-1]
        if not isinstance(count, int) or count < 2:
            return ""
        if high == math.inf:
            return "no value before it is negative, and a unit at 0 has no gradient"
        top = 1 / (1 + (count - 1) * math.exp(low - high))
        loss = -math.log(top)
        return f"no probability of {count} can be above {top:.3g}, no loss below {loss:.3g}"
    if isinstance(second.layer, Sigmoid) and (high < math.inf or low == 0):
        least, most = _logistic(low), _logistic(high)
        return f"its output can only be from {least:.3g} to {most:.3g}"
    if one == two:
        return "nothing is learned between the two"
    return ""


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _bounds(call: LayerCall) -> tuple[float, float]:
    if isinstance(call.layer, Softmax):
        return 0.0, 1.0
    if call.layer.name == "relu6":
        return 0.0, 6.0
    if call.layer.name in _CUTTING:
        return 0.0, math.inf
    found: tuple[float, float] | None = getattr(call.layer, "bounds", None)
    return found or (-math.inf, math.inf)


@record
class CutOutput(Lint):
    """The last layer of a regression is a relu: an output that starts negative never learns.

    About half of the outputs are below 0 at the start. There relu gives 0 and its slope is 0, so
    these rows teach nothing; an output that is negative for all rows is lost. A last layer
    without activation can say every number. For targets that are never negative, softplus can too,
    and its slope is never 0.

    ```wrong
    data table { train npz "halves.npz" }
    model net { input x[4]; dense 8 | relu | dense 1 | relu }
    train net on table { loss mean_squared_error; seed 1 }
    ```
    ```right
    data table { train npz "halves.npz" }
    model net { input x[4]; dense 8 | relu | dense 1 }
    train net on table { loss mean_squared_error; seed 1 }
    ```
    """

    code = "W415"
    activation: str
    loss: str

    @property
    def message(self) -> str:
        return f"{self.activation} as the last layer of a regression"

    @property
    def label(self) -> str:
        return "about half of the outputs begin below 0: there it gives 0 with slope 0"

    @property
    def help(self) -> str:
        return "leave it out; softplus, if targets are never negative"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            model = program.models[training.model]
            if training.loss.fuses is None:
                for call in output_calls(model):
                    if call.layer.name in _CUTTING:
                        yield cls(call.span, call.layer.name, training.loss.name)


@record
class SquaredProbabilities(Lint):
    """A squared error of probabilities learns least where the model is most wrong.

    After softmax or sigmoid the gradient is multiplied by p (1 - p). Where the model is sure and
    wrong, p = 0.99, that is 0.0099: a hundredth of what cross entropy, which has no such factor,
    gives. An autoencoder (`target input`) whose values are from 0 to 1 may end in sigmoid and is
    not warned about.

    ```wrong
    data digits { train builtin digits; scale (1 / 16); one_hot }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss mean_squared_error; seed 1 }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16); one_hot }
    model net { input x[8 8]; flatten | dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1 }
    ```
    """

    code = "W416"
    loss: str
    ending: str
    last: Label

    @property
    def message(self) -> str:
        return f"{self.loss} after {self.ending}"

    @property
    def label(self) -> str:
        return (
            "where the model is sure and wrong, p = 0.99, the gradient is multiplied by "
            "p (1 - p) = 0.0099"
        )

    @property
    def notes(self) -> tuple[Label, ...]:
        return (self.last,)

    @property
    def help(self) -> str:
        if self.ending == "softmax":
            return "loss cross_entropy"
        return "loss binary_cross_entropy for targets of 0 and 1; no sigmoid for other numbers"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            model, spec = program.models[training.model], program.datasets[training.data]
            for call in output_calls(model):
                probable = isinstance(call.layer, Softmax | Sigmoid)
                copies = isinstance(call.layer, Sigmoid) and spec.target is not None
                if not probable or copies or training.loss.name not in _REGRESSION:
                    continue
                last = Label(call.span, "the last layer")
                row = program.places.row(training.span, "loss")
                fixes: tuple[Edit, ...] = ()
                if isinstance(call.layer, Softmax) and spec.one_hot is not None and row is not None:
                    fixes = _cross_entropy(row)
                span = training.spans["loss"]
                yield cls(span, training.loss.name, call.layer.name, last, fixes=fixes)


_REGRESSION = frozenset({"mean_squared_error", "mean_absolute_error", "huber"})


def _cross_entropy(row: ast.Row) -> tuple[Edit, ...]:
    word = row.args[0]
    if len(row.args) > 1 or not isinstance(word, ast.Path) or keyword(row, "loss"):
        return ()
    return (Edit(word.span, "cross_entropy"),)
