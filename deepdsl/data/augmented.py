"""Rows that are varied again in each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deepdsl.data.augment import Augmentation, Mixup
from deepdsl.data.pixels import ImageBatch
from deepdsl.data.row_rng import RowRng
from deepdsl.data.spec import DataSpec
from deepdsl.data.table import Array, Rows, Table, View
from deepdsl.diagnostics.base import DnnError


def augmented(spec: DataSpec, view: View, seed: int) -> View:
    """The rows to train on as a data section varies them; DnnError where it cannot."""
    if not spec.augments:
        return view
    white = spec.train.row.white if spec.train is not None else None
    shapes = {name: field.shape for name, field in view.table.inputs.items()}
    found = [p for a in spec.augments for p in a.row.problems(shapes, white, a.span)]
    if found:
        raise DnnError(found)
    steps = [placed.row for placed in spec.augments]
    return AugmentedView(view.table, view.rows, steps, seed, white)


class AugmentedView(View):
    """Rows to train on, with the augmentations that each epoch makes of them.

    What is made is a function of the seed, the epoch and the row. Read without an epoch, the rows
    are as they are.
    """

    def __init__(
        self,
        table: Table,
        rows: Rows,
        steps: Sequence[Augmentation],
        seed: int,
        white: float | None,
    ) -> None:
        super().__init__(table, rows)
        self._steps, self._seed, self._white = tuple(steps), seed, white

    @property
    def slow(self) -> bool:
        return True

    def read(self, positions: Rows, buffers: Mapping[str, Array], epoch: int | None = None) -> None:
        super().read(positions, buffers)
        if epoch is not None:
            self._augment(positions, buffers, epoch, len(self._steps))

    def _augment(
        self, positions: Rows, buffers: Mapping[str, Array], epoch: int, count: int
    ) -> None:
        """Apply the first this many steps to what was read."""
        rows = self.rows[positions]
        for number, step in enumerate(self._steps[:count], 1):
            if isinstance(step, Mixup):
                rng = RowRng(self._seed, epoch, f"augment {number}", rows)
                self._mix(step, rng, buffers, epoch, number - 1)
                continue
            for name in buffers.keys() & self.table.inputs.keys():
                if step.concerns(name):
                    rng = RowRng(self._seed, epoch, f"augment {number} {name}", rows)
                    self._change(step, rng, buffers[name])

    def _change(self, step: Augmentation, rng: RowRng, values: Array) -> None:
        rows, *sides = values.shape
        channels, height, width = sides if len(sides) == 3 else (1, *sides)
        images = values.reshape(rows, channels, height, width)
        images[...] = step.apply(ImageBatch(images, self._white), rng).values

    def _mix(
        self, step: Mixup, rng: RowRng, buffers: Mapping[str, Array], epoch: int, before: int
    ) -> None:
        """Mix each row with another, as that one is after the steps before."""
        partners = rng.whole(0, len(self) - 1)
        others = {name: np.empty_like(values) for name, values in buffers.items()}
        super().read(partners, others)
        self._augment(partners, others, epoch, before)
        share = rng.beta(step.alpha).astype(np.float32)
        for name, values in buffers.items():
            if values.dtype.kind != "f":
                raise DnnError(step.cannot_mix(name, None))
            part = share.reshape(-1, *(1 for _ in values.shape[1:]))
            values[...] = part * values + (1 - part) * others[name]
