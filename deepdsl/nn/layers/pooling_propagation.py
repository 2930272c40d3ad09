"""What becomes of signals in pools: the largest and the mean of several numbers at the start of a
training.

Over random kernels two places of a channel have in common what two rows have: their part that is
the same for all.  The rest is independent from place to place, as it is from row to row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product

from deepdsl.core.record import record
from deepdsl.graph.windows import Windows
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer

# How far a mean may be from that of a Gaussian around 0, or of its positive part, in deviations.
NEAR = 2e-3
# Points of the two integrals, which reach to 8 deviations.
REACH, NODES, OUTER = 8.0, 320, 48


def counts(over: Windows, sizes: Sequence[int]) -> Mapping[int, float]:
    """How many numbers of the image a window sees, and the share of the windows that see so
    many.
    """
    tallies = [Counter(axis) for axis in over.seen(sizes)]
    found: Counter[int] = Counter()
    for seen in product(*(tally.items() for tally in tallies)):
        found[math.prod(n for n, _ in seen)] += math.prod(times for _, times in seen)
    total = sum(found.values())
    return {count: times / total for count, times in found.items()}


def through_mean(x: Moments, seen: Mapping[int, float], windows_per_number: float) -> Transfer:
    """Means of this many numbers."""
    shared = x.mean**2 if x.shared is None else x.shared
    inverse = sum(share / count for count, share in seen.items())
    square = shared + (x.square - shared) * inverse
    out = Moments(x.mean, square, x.shared)
    along = windows_per_number * square / x.square if x.square else 0.0
    return Transfer(out, (Gain(windows_per_number * inverse, 0.0, 0.0, along),))


def through_largest(
    x: Moments, seen: Mapping[int, float], windows_per_number: float
) -> Transfer | None:
    """The largest of this many numbers, which are Gaussian around 0 or the positive part of such;
    of other numbers nothing is known.
    """
    source = _source(x)
    if source is None:
        return None
    parts = [(share, largest(source, count)) for count, share in seen.items()]
    mean = sum(share * part.mean for share, part in parts)
    square = sum(share * part.square for share, part in parts)
    both = sum(share * (part.shared or 0.0) for share, part in parts)
    out = Moments(mean, square, None if x.shared is None else both)
    along = windows_per_number * square / x.square if x.square else 0.0
    return Transfer(out, (Gain(windows_per_number, 0.0, 0.0, along),))


@record
class PooledSource:
    """A Gaussian around 0 of which `common` of the variance is the same for all places and `own` is
    not; `rectified` where only what is positive is left of it.
    """

    common: float
    own: float
    rectified: bool


def _source(x: Moments) -> PooledSource | None:
    root = math.sqrt(x.square)
    shared = x.mean**2 if x.shared is None else x.shared
    if abs(x.mean) <= NEAR * root:
        common = min(max(shared, 0.0), x.square)
        return PooledSource(common, x.square - common, rectified=False)
    if abs(x.mean - root / math.sqrt(math.pi)) > NEAR * root:
        return None
    whole = 2 * x.square
    common = whole * _correlation(shared / whole)
    return PooledSource(common, whole - common, rectified=True)


def _correlation(product_of_two: float) -> float:
    """Of two standard Gaussians whose positive parts have this mean product (Cho & Saul 2009)."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        t = (low + high) / 2
        value = (math.sin(t) + (math.pi - t) * math.cos(t)) / (2 * math.pi)
        low, high = (t, high) if value > product_of_two else (low, t)
    return math.cos((low + high) / 2)


@lru_cache(maxsize=256)
def largest(source: PooledSource, count: int) -> Moments:
    """The moments of the largest of this many: over what they share, and over the largest rest."""
    common, own = math.sqrt(source.common), math.sqrt(source.own)
    rest = _largest_of(count)
    mean = square = both = 0.0
    for v, outer in _normal(OUTER) if common else ((0.0, 1.0),):
        first = second = 0.0
        for u, weight in rest:
            y = common * v + own * u
            if source.rectified and y < 0:
                continue
            first += weight * y
            second += weight * y * y
        mean, square, both = mean + outer * first, square + outer * second, both + outer * first**2
    return Moments(mean, square, both)


@lru_cache(maxsize=64)
def _largest_of(count: int) -> tuple[tuple[float, float], ...]:
    """Points and weights of the largest of this many independent standard Gaussians."""
    below = [0.5 * math.erfc(-u / math.sqrt(2)) for u, _ in _normal(NODES)]
    weights = [w * b ** (count - 1) for (_, w), b in zip(_normal(NODES), below, strict=True)]
    total = sum(weights)
    return tuple((u, w / total) for (u, _), w in zip(_normal(NODES), weights, strict=True))


@lru_cache(maxsize=4)
def _normal(count: int) -> tuple[tuple[float, float], ...]:
    width = 2 * REACH / count
    points = [(i + 0.5) * width - REACH for i in range(count)]
    weights = [math.exp(-u * u / 2) for u in points]
    total = sum(weights)
    return tuple((u, w / total) for u, w in zip(points, weights, strict=True))
