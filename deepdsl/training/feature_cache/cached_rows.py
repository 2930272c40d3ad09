"""Rows of kept outputs: fields and views that a training reads as it reads any rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deepdsl.core.record import record
from deepdsl.data.table import Array, ArrayField, Field, Origin, Rows, Table, View
from deepdsl.training.feature_cache.maker import Maker


class KeptField:
    """Outputs of frozen layers, one for each row of a view."""

    columns: tuple[str, ...] = ()

    def __init__(self, values: Array, view: View, on_disk: bool) -> None:
        self.shape = values.shape[1:]
        self.slow = on_disk
        self._values = ArrayField(values, self.shape, Origin("kept outputs"))
        self._view = view

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self._values.dtype

    def __len__(self) -> int:
        return len(self._values)

    def read(self, rows: Rows, out: Array) -> None:
        self._values.read(rows, out)

    def place(self, row: int) -> str:
        return self._view.place(row)


class ChosenField:
    """Some rows of another field, in an order of their own."""

    def __init__(self, field: Field, rows: Rows) -> None:
        self.shape, self.dtype, self.columns = field.shape, field.dtype, field.columns
        self._field, self._rows = field, rows

    @property
    def slow(self) -> bool:
        return getattr(self._field, "slow", False)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, rows: Rows, out: Array) -> None:
        self._field.read(self._rows[rows], out)

    def place(self, row: int) -> str:
        return self._field.place(int(self._rows[row]))


@record
class KeptRows:
    """Arrays by the names of the rest's inputs, and whether they are on the disk."""

    arrays: Mapping[str, Array]
    on_disk: bool


class KeptView(View):
    """The rows of a view with outputs of frozen layers in the place of what these read.

    A batch of `ragged` rows, the last one of an epoch, is made again where that is not 0.
    Evaluation takes `together` rows at a time.
    """

    def __init__(
        self, maker: Maker, kept: KeptRows, raw: tuple[str, ...], together: int | None = None
    ) -> None:
        view, table = maker.view, maker.view.table
        inputs: dict[str, Field] = {
            name: KeptField(values, view, kept.on_disk) for name, values in kept.arrays.items()
        }
        inputs |= {name: ChosenField(table.inputs[name], view.rows) for name in raw}
        targets = {name: ChosenField(field, view.rows) for name, field in table.targets.items()}
        made = Table(len(view), inputs, targets, table.classes, table.classes_from_texts)
        super().__init__(made, np.arange(len(view)))
        self.together = together
        self.ragged = 0
        self._maker, self._kept = maker, frozenset(kept.arrays)

    def read(self, positions: Rows, buffers: Mapping[str, Array], epoch: int | None = None) -> None:
        anew = self._kept & buffers.keys() if len(positions) == self.ragged else frozenset()
        gathered = {name: out for name, out in buffers.items() if name not in anew}
        super().read(positions, gathered, epoch)
        if anew:
            made = self._maker.make(positions)
            for name in anew:
                buffers[name][...] = made[name]
