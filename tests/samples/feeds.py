"""Sample inputs: shapes, and how their values are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepdsl.graph import Dim, DType

Array = np.ndarray[Any, Any]
Formula = Callable[..., Any]

# The rows that the symbolic dimension N has in a run.
ROWS = 5


@dataclass(frozen=True)
class Feed:
    """A shape and how its values are drawn; `dtype` is None for the float type under test."""

    shape: tuple[Dim, ...]
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array]
    dtype: DType | None = None

    def values(self, rng: np.random.Generator) -> Array:
        return self.draw(rng, tuple(ROWS if isinstance(d, str) else d for d in self.shape))


def real(*shape: Dim) -> Feed:
    """Standard normal numbers; none is within 0.01 of 0, where many functions have a kink."""

    def draw(rng: np.random.Generator, sizes: tuple[int, ...]) -> Array:
        values = rng.standard_normal(sizes)
        return np.asarray(values + 0.01 * np.sign(values))

    return Feed(shape, draw)


def wide(*shape: Dim) -> Feed:
    """Numbers from about -12 to 12; none is within 0.01 of a whole number, where kinks are."""

    def draw(rng: np.random.Generator, sizes: tuple[int, ...]) -> Array:
        values = 4 * rng.standard_normal(sizes)
        whole = np.round(values)
        return np.asarray(whole + 0.98 * (values - whole) + 0.01 * np.sign(values - whole))

    return Feed(shape, draw)


def positive(*shape: Dim) -> Feed:
    return Feed(shape, lambda rng, sizes: np.asarray(rng.uniform(0.2, 3.0, sizes)))


def shares(*shape: Dim) -> Feed:
    """Rows of probabilities."""

    def draw(rng: np.random.Generator, sizes: tuple[int, ...]) -> Array:
        values = rng.uniform(0.1, 1.0, sizes)
        return np.asarray(values / values.sum(-1, keepdims=True))

    return Feed(shape, draw)


def below(limit: int, *shape: Dim, dtype: DType = "i64") -> Feed:
    return Feed(shape, lambda rng, sizes: np.asarray(rng.integers(0, limit, sizes)), dtype)


def bits(*shape: Dim) -> Feed:
    """Zeros and ones as floats."""
    return Feed(shape, lambda rng, sizes: rng.integers(0, 2, sizes).astype(np.float64))


def truth(*shape: Dim) -> Feed:
    return Feed(shape, lambda rng, sizes: rng.integers(0, 2, sizes) > 0, "bool")


# Three features a row, and a vector of three.
NX3, VECTOR = real("N", 3), real(3)
