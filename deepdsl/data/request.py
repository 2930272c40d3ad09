"""What a model asks of its data, and what a data section says, as plain records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, Self, TypeVar

from deepdsl.record import record
from deepdsl.source import Span

if TYPE_CHECKING:
    from deepdsl.data.augment import Augmentation
    from deepdsl.data.rows import HeldOut, OneHot, Take, Target
    from deepdsl.data.sources import DataSource
    from deepdsl.data.transforms import Transform

Shape = tuple[int, ...]
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


class IndexShape(tuple[int, ...]):
    """The row shape of an input that holds indices of the rows of a table: whole numbers from 0 to
    `rows` - 1, or from 0 on where that is not known.
    """

    rows: int | None

    def __new__(cls, shape: Iterable[int], rows: int | None = None) -> Self:
        made = super().__new__(cls, tuple(shape))
        made.rows = rows
        return made


@record
class TargetSpec:
    """What the loss wants of a target.

    `index` is a class number below `classes`, `binary` is 0 or 1, `value` is numbers, and `any`
    is class numbers where the data has whole numbers or texts, and numbers otherwise; values that
    are probabilities of classes say how many those are. `shape` is that of one row; None takes
    whatever the data has.
    """

    kind: Literal["index", "binary", "value", "any"]
    classes: int | None = None
    shape: Shape | None = ()


@record
class OpenRequest:
    """Everything that a source needs to know to open its part of the data."""

    folder: Path  # where the .dnn file is; paths are relative to it
    inputs: Mapping[str, Shape | None]  # the row shape of each input; None takes what the data has
    targets: Mapping[str, TargetSpec] = field(default_factory=dict)
    split: Split = "train"
    span: Span | None = None  # the row of the data section, for messages
    classes: tuple[str, ...] | None = None  # the names that train gave to the classes
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of train, by input


R = TypeVar("R", covariant=True)


@record
class Placed(Generic[R]):
    """A row of a data section, and its place in the text."""

    row: R
    span: Span | None = None


@record
class DataSpec:
    """A data section after analysis.

    The order of its rows in the text matters for `transforms` alone.
    """

    name: str
    train: Placed[DataSource] | None = None
    valid: Placed[DataSource] | Placed[HeldOut] | None = None
    test: Placed[DataSource] | None = None
    take: Placed[Take] | None = None
    transforms: tuple[Placed[Transform], ...] = ()
    one_hot: Placed[OneHot] | None = None
    target: Placed[Target] | None = None  # `target input`
    span: Span | None = None
    augments: tuple[Placed[Augmentation], ...] = ()
    # Inputs whose rows have been through the transforms: kept outputs of frozen layers.
    ready: frozenset[str] = frozenset()

    @property
    def rows_of_classes(self) -> bool:
        """Whether class numbers become rows of probabilities: by `one_hot`, or to be mixed."""
        return self.one_hot is not None or self.mixes

    @property
    def mixes(self) -> bool:
        """Whether training rows are mixed with each other."""
        return any(placed.row.mixes for placed in self.augments)
