"""What augmentation does to the pixels of a batch of images, float32 of shape [N C H W]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.data.table import Array

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Luma of ITU-R BT.601, which Pillow and torchvision make gray with.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32).reshape(1, 3, 1, 1)
_AT_ONCE = 1 << 14  # pixels that are sampled at a time, which stay in the cache


class ImageBatch:
    """A batch of images, float32 of shape [N C H W], and what an augmentation may make of it.

    `white` is the largest value that they may have, where that is known.
    """

    def __init__(self, values: Array, white: float | None = None) -> None:
        self.values, self.white = values, white

    @property
    def height(self) -> int:
        return int(self.values.shape[2])

    @property
    def width(self) -> int:
        return int(self.values.shape[3])

    def flipped(self, chosen: NDArray[np.bool_], axis: int) -> ImageBatch:
        """The chosen images turned over along an axis."""
        out = self.values.copy()
        out[chosen] = np.flip(self.values[chosen], axis)
        return self._with(out)

    def moved(self, down: Integers, right: Integers, pad: int, reflect: bool) -> ImageBatch:
        """Each image moved by at most `pad` pixels; zeros come in, or its reflection."""
        height, width = self.values.shape[2:]
        sides = ((0, 0), (0, 0), (pad, pad), (pad, pad))
        wide = np.pad(self.values, sides, mode="reflect" if reflect else "constant")
        out = np.empty_like(self.values)
        starts = zip((pad - down).tolist(), (pad - right).tolist(), strict=True)
        for row, (top, left) in enumerate(starts):
            out[row] = wide[row, :, top : top + height, left : left + width]
        return self._with(out)

    def rotated(self, radians: Floats) -> ImageBatch:
        """Each image turned counterclockwise about its middle; zeros come in from beyond."""
        height, width = self.values.shape[2:]
        y = (np.arange(height) - (height - 1) / 2)[None, :, None]
        x = (np.arange(width) - (width - 1) / 2)[None, None, :]
        cos, sin = np.cos(radians)[:, None, None], np.sin(radians)[:, None, None]
        # Where each new pixel comes from: turned back. Rows count downwards.
        from_y = cos * y + sin * x + (height - 1) / 2
        from_x = cos * x - sin * y + (width - 1) / 2
        return self._with(_sampled(self.values, from_y, from_x))

    def enlarged(self, top: Floats, left: Floats, height: Floats, width: Floats) -> ImageBatch:
        """A box of each image, its sides in pixels, brought to the size of the whole."""
        rows, columns = self.values.shape[2:]
        y = top[:, None] + (np.arange(rows) + 0.5) * (height / rows)[:, None] - 0.5
        x = left[:, None] + (np.arange(columns) + 0.5) * (width / columns)[:, None] - 0.5
        y, x = y.clip(0, rows - 1), x.clip(0, columns - 1)
        shape = (len(self.values), rows, columns)
        from_y, from_x = (np.broadcast_to(at, shape) for at in (y[:, :, None], x[:, None, :]))
        return self._with(_sampled(self.values, from_y, from_x))

    def covered(self, middle_y: Integers, middle_x: Integers, size: int, fill: float) -> ImageBatch:
        """A square of each image painted over; it may reach beyond the border."""
        height, width = self.values.shape[2:]
        inside = []
        for middle, side in ((middle_y, height), (middle_x, width)):
            first = (middle - size // 2)[:, None]
            places = np.arange(side)[None]
            inside.append((places >= first) & (places < first + size))
        square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return self._with(np.where(square, np.float32(fill), self.values))

    def gray(self) -> Array:
        """The images without colour, [N 1 H W]; opacity does not count."""
        if self.values.shape[1] < 3:
            return self.values[:, :1]
        made: Array = (self.values[:, :3] * _LUMA).sum(axis=1, keepdims=True)
        return made

    def blended(self, other: Array | float, factor: Floats, white: float) -> ImageBatch:
        """factor x + (1 - factor) * other, kept between black and white; opacity stays."""
        share = factor.astype(np.float32).reshape(-1, 1, 1, 1)
        colours = 3 if self.values.shape[1] == 4 else self.values.shape[1]
        out = self.values.copy()
        made = share * self.values[:, :colours] + (1 - share) * other
        np.clip(made, 0, white, out=out[:, :colours])
        return self._with(out)

    def _with(self, values: Array) -> ImageBatch:
        return ImageBatch(values, self.white)


def _sampled(values: Array, y: Floats, x: Floats) -> Array:
    """Each image at places between its pixels, bilinear, and zero beyond its border."""
    out = np.empty_like(values)
    count = max(1, _AT_ONCE // max(1, y[0].size))
    for start in range(0, len(values), count):
        part = slice(start, start + count)
        out[part] = _bilinear(values[part], y[part], x[part])
    return out


def _bilinear(values: Array, y: Floats, x: Floats) -> Array:
    """A border of zeros means all that is beyond; channels last, so that each place is looked
    up once for all of them.
    """
    rows, channels, height, width = values.shape
    y, x = y.clip(-1, height), x.clip(-1, width)
    below, right = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    part_y, part_x = y - below, x - right
    wide = np.zeros((rows, height + 3, width + 3, channels), np.float32)
    wide[:, 1 : height + 1, 1 : width + 1] = values.transpose(0, 2, 3, 1)
    flat = wide.reshape(-1, channels)
    first = np.arange(rows)[:, None, None] * (height + 3)
    corner = (first + below + 1) * (width + 3) + right + 1
    out: Any = 0
    for dy, share_y in ((0, 1 - part_y), (1, part_y)):
        for dx, share_x in ((0, 1 - part_x), (1, part_x)):
            share = (share_y * share_x).astype(np.float32)
            found = flat.take(corner + (dy * (width + 3) + dx), axis=0)
            found *= share[..., None]
            out = out + found
    made: Array = np.asarray(out).transpose(0, 3, 1, 2)
    return made
