"""Transforms of the inputs: what they are called, and what they learn from the training rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from deepdsl.core.record import record
from deepdsl.core.registry import ListOf, Names, Number, Registered, argument, option
from deepdsl.core.source import Span
from deepdsl.core.text import plural
from deepdsl.data.request import Shape
from deepdsl.diagnostics.base import Diagnostic, DnnError, did_you_mean
from deepdsl.diagnostics.data.sequences import TransformOfIndices
from deepdsl.diagnostics.data.split import TransformMisfit
from deepdsl.diagnostics.data.text import shape_text
from deepdsl.graph import Value
from deepdsl.graph.arithmetic import div, mul, sub
from deepdsl.graph.types import IndexShape
from deepdsl.nn.initializers import Deferred
from deepdsl.nn.layers.layer import Scope

if TYPE_CHECKING:
    from deepdsl.data.statistics import TrainingInput
    from deepdsl.data.table import Array

    Constants = dict[str, Array]


class Transform(Registered, kind="transform"):
    """Base of the transforms that an exported model applies too.

    A transform of inputs is `fit` once on the training rows; the float32 constants that it
    returns, and its own fields, are all that `apply` uses. `apply` is the meaning of the
    transform in NumPy.
    """

    of: str | None

    def problems(self, inputs: dict[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        """What does not fit the inputs of a model, before any file is opened."""
        if self.of is not None and self.of not in inputs:
            help_text = did_you_mean(self.of, inputs)
            yield TransformMisfit(span, f"`{self.of}` is not an input of the model", help_text)
        others = tuple(n for n, shape in inputs.items() if not isinstance(shape, IndexShape))
        for name, shape in inputs.items():
            if isinstance(shape, IndexShape) and self.concerns(name):
                yield TransformOfIndices(span, self.name, name, () if self.of else others)

    def concerns(self, input_name: str) -> bool:
        return self.of is None or self.of == input_name

    def fit(self, training: TrainingInput, span: Span | None = None) -> Constants:
        """What the transform learns from the training rows of an input."""
        return {}

    def apply(self, values: Array, constants: Constants) -> Array:
        """The transform of a batch of float32 rows."""
        raise NotImplementedError

    def expand(self, scope: Scope, x: Value) -> Value:
        """The transform as operations of the graph; what `fit` returns are its constants."""
        raise NotImplementedError


@record
class Scale(Transform):
    """Multiply by a factor; `scale (1 / 255)` brings bytes into 0 to 1."""

    factor: float = argument(Number(), "what each value is multiplied by")
    of: str | None = option(Names(), "the input; all of them where it is left out", default=None)

    def apply(self, values: Array, constants: Constants) -> Array:
        scaled: Array = values * values.dtype.type(self.factor)
        return scaled

    def expand(self, scope: Scope, x: Value) -> Value:
        return mul(scope.builder, x, scope.builder.constant(self.factor))


@record
class Standardize(Transform):
    """Give each feature mean 0 and variance 1 over the training rows.

    The means and standard deviations are taken from the training rows alone and become part of
    the model. A feature that is the same in all training rows is only shifted.
    """

    of: str | None = option(Names(), "the input; all of them where it is left out", default=None)

    def fit(self, training: TrainingInput, span: Span | None = None) -> Constants:
        mean, std = training.mean_and_std()
        return {"mean": mean, "std": std}

    def apply(self, values: Array, constants: Constants) -> Array:
        shifted: Array = (values - constants["mean"]) / constants["std"]
        return shifted

    def expand(self, scope: Scope, x: Value) -> Value:
        return _shifted(scope, x, x.type.row)


@record
class NormalizeTransform(Transform, name="normalize"):
    """Subtract a known mean and divide by a known standard deviation, one for each channel or
    one for all.

    Channels are the first dimension of an input; for an input of one dimension they are its
    features.
    """

    mean: tuple[float, ...] = option(ListOf(Number()), "means")
    std: tuple[float, ...] = option(ListOf(Number(above=0)), "standard deviations")
    of: str | None = option(Names(), "the input; all of them where it is left out", default=None)

    def problems(self, inputs: dict[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        yield from super().problems(inputs, span)
        for name, shape in inputs.items():
            if not self.concerns(name):
                continue
            channels = shape[0] if shape else 1
            for option_name, given in (("mean", self.mean), ("std", self.std)):
                if len(given) not in (1, channels):
                    numbers = f"{len(given)} {plural(len(given), 'number')}"
                    text = f"{option_name} has {numbers}, `{name}` has {channels} channels"
                    help_text = (
                        f"`{name}` is {shape_text(shape)}, channels first: give one or {channels}"
                    )
                    yield TransformMisfit(span, text, help_text)

    def fit(self, training: TrainingInput, span: Span | None = None) -> Constants:
        if found := list(self.problems({training.name: training.shape}, span)):
            raise DnnError(found)
        return {"mean": training.channels(self.mean), "std": training.channels(self.std)}

    def apply(self, values: Array, constants: Constants) -> Array:
        shifted: Array = (values - constants["mean"]) / constants["std"]
        return shifted

    def expand(self, scope: Scope, x: Value) -> Value:
        return _shifted(scope, x, (len(self.mean), *(1 for _ in x.type.row[1:])), len(self.std))


def _shifted(scope: Scope, x: Value, shape: Shape, stds: int | None = None) -> Value:
    """(x - mean) / std with constants that take their values when the state is made."""
    std_shape = shape if stds is None else (stds, *shape[1:])
    mean = scope.param("mean", shape, Deferred(), "constant")
    std = scope.param("std", std_shape, Deferred(), "constant")
    return div(scope.builder, sub(scope.builder, x, mean), std)
