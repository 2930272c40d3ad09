"""What a data section says, as a plain record."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.data.augment import Augmentation
from deepdsl.data.request import Placed
from deepdsl.data.rows import HeldOut, OneHotRow, Take, TargetRow
from deepdsl.data.source import DataSource
from deepdsl.data.transforms import Transform


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
    one_hot: Placed[OneHotRow] | None = None
    target: Placed[TargetRow] | None = None  # `target input`
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
