"""Mean and standard deviation of each feature over the training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from deepdsl.core.record import record
from deepdsl.data.request import Shape
from deepdsl.data.table import Array, View

_CHUNK = 1 << 21  # numbers that are read at a time


@record
class TrainingInput:
    """An input of the training rows, as it is after the transforms `before`."""

    view: View
    name: str
    before: Callable[[Array], Array] | None = None

    @property
    def shape(self) -> Shape:
        return self.view.table.inputs[self.name].shape

    def channels(self, values: Sequence[float]) -> Array:
        """One number for each channel, or one for all, as float32 that is added to a row."""
        array: Array = np.asarray(values, np.float32)
        return array.reshape(len(values), *(1 for _ in self.shape[1:])) if self.shape else array[0]

    def mean_and_std(self) -> tuple[Array, Array]:
        """Per feature, as float32 of the input's row shape; the standard deviation divides by the
        number of rows.

        Chunks are summed in float64 and joined by the formula of Chan, Golub and LeVeque (1979), so
        that large means take no digits from small deviations. A feature that is everywhere the same
        has standard deviation 1.
        """
        field, shape = self.view.table.inputs[self.name], self.shape
        size = max(1, _CHUNK // max(1, int(np.prod(shape))))
        done = 0
        mean = np.zeros(shape)
        squares = np.zeros(shape)
        low = np.full(shape, np.inf)
        high = np.full(shape, -np.inf)
        for start in range(0, len(self.view), size):
            rows = self.view.rows[start : start + size]
            values: Array = np.empty((len(rows), *shape), np.float32)
            field.read(rows, values)
            part = (self.before(values) if self.before else values).astype(np.float64)
            part_mean = part.mean(axis=0)
            delta = part_mean - mean
            total = done + len(rows)
            squares += ((part - part_mean) ** 2).sum(axis=0) + delta**2 * (done * len(rows) / total)
            mean += delta * (len(rows) / total)
            low = np.minimum(low, part.min(axis=0))
            high = np.maximum(high, part.max(axis=0))
            done = total
        constant = low == high
        std = np.where(constant, 1.0, np.sqrt(squares / done))
        std32 = std.astype(np.float32)
        return np.where(constant, low, mean).astype(np.float32), np.where(
            std32 > 0, std32, np.float32(1)
        )
