"""Random numbers of rows: each is a function of the seed, the epoch, the purpose and the row, so
that neither the batch, the order nor the thread that asks changes it.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from deepdsl.data.table import Rows

_Words = NDArray[np.uint64]
Floats = NDArray[np.float64]

# Steele, Lea & Flood 2014, Fast Splittable Pseudorandom Number Generators: the increment, and the
# finalizer with the constants of Stafford's thirteenth variant.
_STEP = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


class RowRng:
    """The draws of some rows for one purpose. Each call gives the next number of every row."""

    def __init__(self, seed: int, epoch: int, purpose: str, rows: Rows) -> None:
        digest = hashlib.blake2b(f"{seed}/{purpose} {epoch}".encode(), digest_size=16).digest()
        first, second = (np.uint64(int.from_bytes(digest[i : i + 8], "little")) for i in (0, 8))
        keys = rows.astype(np.uint64) * np.uint64(_STEP) + first
        self._keys = _mixed(_mixed(keys) ^ second)
        self._count = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> Floats:
        """A number of each row, from `low` to below `high`."""
        self._count += 1
        words = _mixed(self._keys + np.uint64(self._count * _STEP & _WORD))
        shares: Floats = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + (high - low) * shares

    def log_uniform(self, low: float, high: float) -> Floats:
        """A number of each row, from `low` to below `high`, whose logarithm is uniform."""
        return np.exp(self.uniform(math.log(low), math.log(high)))

    def whole(self, low: int, high: int) -> Rows:
        """A whole number of each row, from `low` to `high` inclusive."""
        return np.floor(self.uniform(low, high + 1)).astype(np.int64).clip(low, high)

    def beta(self, alpha: float) -> Floats:
        """A number of each row from the distribution Beta(alpha, alpha)."""
        if alpha > 0.5:
            # Ulrich 1984, Computer Generation of Distributions on the m-Sphere.
            radius = np.sqrt(1 - np.power(1 - self.uniform(), 2 / (2 * alpha - 1)))
            made: Floats = 0.5 + 0.5 * radius * np.cos(2 * np.pi * self.uniform())
            return made
        # Jöhnk 1964, in logarithms, since u ** (1 / alpha) is soon below the smallest number.
        share = np.full(len(self._keys), 0.5)
        waiting = np.ones(len(self._keys), bool)
        while waiting.any():
            a, b = (np.log1p(-self.uniform()) / alpha for _ in range(2))
            larger = np.maximum(a, b)
            total = larger + np.log(np.exp(a - larger) + np.exp(b - larger))
            taken = waiting & (total <= 0)
            share[taken] = np.exp(a - total)[taken]
            waiting &= ~taken
        return share


def _mixed(words: _Words) -> _Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
