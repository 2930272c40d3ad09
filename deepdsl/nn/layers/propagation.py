"""How a signal goes through a layer at its start: mean-field theory, by quadrature on numbers.

The weights are random, so what arrives at a unit of a wide layer is a sum of many independent
terms: a Gaussian, whose moments follow from those of the layer below (Poole et al. 2016,
arXiv:1606.05340).  The gradient's second moment is multiplied on its way down by E[f'(z)^2] of each
activation and by units times the weights' variance of each kernel (Schoenholz et al. 2017,
arXiv:1611.01232).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from deepdsl.core.record import record
from deepdsl.graph import Type

Function = Callable[[float], float]

# The Gaussian is cut where it has fallen to 1e-14; the midpoint rule on it converges faster than
# any power of the width for smooth functions, and a kink costs about width^2.
REACH = 8.0
NODES = 320
# For a share, and from which share on.
FINE_NODES, OF_INTEREST = 8000, 0.3
# Of each of the two nested integrals.
INNER, OUTER = 64, 48
# A step of the numerical derivative, in standard deviations.
STEP = 1e-6


@record
class Moments:
    """A value's elements over units and rows: their mean, the mean of their squares, and `shared`:
    the mean product of one unit's values for two different rows.

    `square - shared` is what tells rows apart; batch norm divides by its root.  Where no layer asks
    for it, `shared` is None and is not followed.
    """

    mean: float
    square: float
    shared: float | None = None

    @property
    def variance(self) -> float:
        return max(0.0, self.square - self.mean**2)

    @property
    def std(self) -> float:
        return math.sqrt(self.variance)

    @property
    def between_rows(self) -> float:
        """The variance of one unit's values over rows."""
        shared = self.mean**2 if self.shared is None else self.shared
        return max(0.0, self.square - shared)

    def grown(self, mean: float, factor: float, plus: float = 0.0) -> Moments:
        """Another mean; the products times a factor, plus a number."""
        shared = None if self.shared is None else self.shared * factor + plus
        return Moments(mean, self.square * factor + plus, shared)


# Rows of independent standard normal numbers.
STANDARD = Moments(0.0, 1.0, 0.0)


@record
class Gain:
    """How a gradient goes back through a layer: from its mean square T over units and rows, and the
    square C of its component along the row's own signal, to the same two of the operand.

    In an infinitely wide layer the mean square is all.  In a finite one the direction of the signal
    counts for one unit of many, and yet it can come to carry all of the gradient: it is passed on
    at the rate at which the signal itself grows, and where activations have a mean that is more
    than what a random direction gets.
    """

    tt: float
    tc: float
    ct: float
    cc: float

    @staticmethod
    def every(factor: float) -> Gain:
        """All directions alike."""
        return Gain(factor, 0.0, 0.0, factor)


@record
class Transfer:
    """What a layer makes of its operands, and how a gradient gets back to each of them."""

    out: Moments
    gains: tuple[Gain, ...]


def width(type_: Type) -> float:
    """How many numbers a row has."""
    return float(math.prod(d for d in type_.shape[1:] if isinstance(d, int)))


def through(function: Function, key: object, x: Moments, units: float = math.inf) -> Transfer:
    """An elementwise function of Gaussian values, this many a row; `key` names the function, for
    the memory.
    """
    shared = None if x.shared is None else _rounded(x.shared)
    rounded = Moments(_rounded(x.mean), _rounded(x.square), shared)
    return _through(_Keyed(function, key), rounded, units)


def _rounded(number: float) -> float:
    """To seven digits, so that a chain that has settled is computed once."""
    return float(f"{number:.7g}")


class _Keyed:
    """A function that is known by its key."""

    def __init__(self, function: Function, key: object) -> None:
        self.function, self.key = function, key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=4096)
def _through(keyed: _Keyed, x: Moments, units: float) -> Transfer:
    f = keyed.function
    spread = math.sqrt(x.variance)
    step = STEP * (spread + abs(x.mean) or 1.0)
    mean = square = slopes = away = along = both = 0.0
    for u, weight in _nodes(NODES) if spread else ((0.0, 1.0),):
        z = x.mean + spread * u
        y = f(z)
        slope = _slope(f, z, y, step)
        mean += weight * y
        square += weight * y * y
        slopes += weight * slope * slope
        away += weight * (z * slope) ** 2
        along += weight * z * slope * y
        both += weight * (slope * y) ** 2
    out = Moments(mean, square, _shared(f, x))
    if not square or not x.square:
        return Transfer(out, (Gain.every(slopes),))
    # A gradient is a random vector and C - T of the signal's own direction; each goes back through
    # the slopes in its way.
    random, own = away / x.square, along * along / (square * x.square)
    more = (both / square - slopes) / units
    return Transfer(out, (Gain(slopes - more, more, random - own, own),))


def _slope(f: Function, z: float, y: float, step: float) -> float:
    """The slope of the side that is flatter: where f jumps, the other side's is none."""
    up, down = (f(z + step) - y) / step, (y - f(z - step)) / step
    return up if abs(up) < abs(down) else down


def mixed(parts: Sequence[Transfer], shared: float | None) -> Transfer:
    """What comes out on the average where each of several functions is drawn as often."""
    count = len(parts)

    def mean(numbers: Iterable[float]) -> float:
        return sum(numbers) / count

    gains = [part.gains[0] for part in parts]
    gain = Gain(*(mean(getattr(g, name) for g in gains) for name in ("tt", "tc", "ct", "cc")))
    out = Moments(mean(p.out.mean for p in parts), mean(p.out.square for p in parts), shared)
    return Transfer(out, (gain,))


def _shared(f: Function, x: Moments) -> float | None:
    """E[f(z_1) f(z_2)] for two rows: over what they share, the square of the mean over what they do
    not.
    """
    if x.shared is None:
        return None
    own = math.sqrt(x.between_rows)
    common = math.sqrt(max(0.0, x.shared - x.mean**2))
    if common == 0.0:
        return sum(w * f(x.mean + own * u) for u, w in _nodes(NODES)) ** 2
    total = 0.0
    for v, outer in _nodes(OUTER):
        at = x.mean + common * v
        inner = sum(w * f(at + own * u) for u, w in _nodes(INNER)) if own else f(at)
        total += outer * inner**2
    return total


@lru_cache(maxsize=8)
def _nodes(count: int) -> tuple[tuple[float, float], ...]:
    """Points of a standard normal variable with their weights, which sum to 1."""
    width = 2 * REACH / count
    points = [(i + 0.5) * width - REACH for i in range(count)]
    weights = [math.exp(-u * u / 2) for u in points]
    total = sum(weights)
    return tuple((u, w / total) for u, w in zip(points, weights, strict=True))


def share_beyond(function: Function, x: Moments, low: float, high: float) -> float:
    """The share of values whose function is below `low` or above `high`.

    A step function is integrated only as finely as the points lie: where the share is of interest,
    with many more.
    """
    spread = math.sqrt(x.variance)
    for count in (NODES, FINE_NODES):
        told = ((w, function(x.mean + spread * u)) for u, w in _nodes(count))
        share = sum(w for w, y in told if y < low or y > high)
        if share < OF_INTEREST:
            break
    return share
