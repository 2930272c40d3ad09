"""What a model asks of its data, as plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from deepdsl.core.record import record
from deepdsl.core.source import Span

Shape = tuple[int, ...]
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


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
