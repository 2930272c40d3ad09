"""What a loss is, and what it learns from."""

from __future__ import annotations

from dataclasses import field, replace
from typing import ClassVar, Literal, Self

from deepdsl.core.record import record
from deepdsl.core.registry import Registered
from deepdsl.graph import Builder, Type, Value

TargetKind = Literal["index", "one_hot", "binary", "margin", "value"]


@record
class Target:
    """What the data must give to be learned.

    Class indices (`index`); rows of probabilities (`one_hot`); zeros and ones, told by an output
    above 1/2 (`binary`) or by its sign (`margin`); or values.  `type` is the tensor's type with its
    batch; `classes` is how many classes there are, for index and one_hot.
    """

    kind: TargetKind
    type: Type
    classes: int | None = None

    @property
    def threshold(self) -> float:
        """The output above which it means yes, for binary and margin."""
        return threshold(self.kind)


def threshold(kind: str) -> float:
    """The output above which a model of this kind of target says yes."""
    return 0.0 if kind == "margin" else 0.5


@record
class Loss(Registered, kind="loss"):
    """Base of losses.

    `endings` are the last layers that it goes with, any where none is named.  `ending` is the one
    that the model has, which the analysis fills in (`after`).
    """

    endings: ClassVar[tuple[str, ...]] = ()

    ending: str = field(default="", kw_only=True)

    @property
    def fuses(self) -> str | None:
        """The last layer that is compiled together with the loss: `expand` is given that layer's
        input.
        """
        return None

    def goes_with(self, ending: str) -> bool:
        return not self.endings or ending in self.endings

    def after(self, ending: str) -> Self:
        """The loss for a model with this last layer."""
        return replace(self, ending=ending)

    def target(self, output: Type, one_hot: bool) -> Target:
        """What it learns from, for a model with this output."""
        return Target("value", output)

    def expand(self, b: Builder, x: Value, target: Value) -> Value:
        """The mean over the batch, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no expand")


@record
class FusedLoss(Loss, abstract=True):
    """Base of losses that are compiled with the last layer, on the values before it."""

    @property
    def fuses(self) -> str | None:
        return self.ending or self.endings[0]


def class_target(output: Type, one_hot: bool) -> Target:
    """Class indices, or rows of probabilities where the data says so."""
    classes = output.shape[-1]
    assert isinstance(classes, int)
    if one_hot:
        return Target("one_hot", output, classes)
    return Target("index", Type(output.shape[:-1], "i64"), classes)


def classes_of(x: Value) -> int:
    classes = x.type.shape[-1]
    assert isinstance(classes, int)
    return classes
