"""Axes: which values can be drawn, round ticks, and where a value is between the ends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from deepdsl.core.record import record

# Beyond these a difference or a ratio of two values overflows.
LARGEST, SMALLEST = 1e300, 1e-300
# Values that are closer together than this, for their size, are one value.
SAME = 1e-9
MOST_DECADES = 6


def drawable(value: float, log: bool = False) -> bool:
    """Whether a value has a place on an axis: finite, and above 0 on a logarithmic one."""
    return SMALLEST <= value <= LARGEST if log else abs(value) <= LARGEST


@record
class Axis:
    """From `low` to `high`, both of them ticks or beyond the outermost ones."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        if self.log:
            low, high, value = (math.log(v) for v in (self.low, self.high, value))
            return (value - low) / (high - low)
        return (value - self.low) / (self.high - self.low)


def axis(
    values: Iterable[float], log: bool = False, *, zero: bool = False, tight: bool = False
) -> Axis:
    """An axis that holds the values that can be drawn, from 0 to 1 where there are none.

    `zero` makes a linear axis begin or end at 0 or beyond; a `tight` axis ends at the outermost
    values, and whole numbers get whole ticks on it.
    """
    kept = [float(v) if abs(v) >= SMALLEST else 0.0 for v in values if drawable(v, log)]
    if log:
        return _logarithmic(min(kept, default=0.1), max(kept, default=1.0), tight)
    low, high = min(kept, default=0.0), max(kept, default=1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    whole = tight and all(abs(v) < 1e9 and v == int(v) for v in kept)
    if high - low <= SAME * max(abs(low), abs(high)):
        # One value: in the middle, with room as wide as it is large.
        room = 1.0 if whole else (abs(low) / 2 or 1.0)
        low, high, tight = low - room, high + room, False
    step = _step((high - low) / 5)
    if whole:
        step = max(1.0, step)
    if tight:
        ticks = _multiples(step, math.ceil(low / step - SAME), math.floor(high / step + SAME))
    else:
        first, last = math.floor(low / step + SAME), math.ceil(high / step - SAME)
        ticks = _multiples(step, first, max(last, first + 1))
        low, high = min(low, ticks[0]), max(high, ticks[-1])
    return Axis(low, high, ticks, tuple(_labels(ticks, step)))


def _step(least: float) -> float:
    """1, 2 or 5 times a power of 10: the smallest that is not below."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((m * power for m in (1, 2, 5) if least <= m * power * (1 + SAME)), 10 * power)


def _multiples(step: float, first: int, last: int) -> tuple[float, ...]:
    return tuple(i * step for i in range(first, last + 1))


def _logarithmic(low: float, high: float, tight: bool) -> Axis:
    if math.log10(high) - math.log10(low) < 1.5:
        ticks = _one_two_five(low, high)
    else:
        first = math.floor(math.log10(low) + SAME)
        last = math.ceil(math.log10(high) - SAME)
        every = -(-(last - first) // MOST_DECADES)
        # The highest tick is not below the highest value.
        ticks = tuple(10.0**i for i in range(first, last + every, every) if i <= 300)
    inside = tuple(t for t in ticks if low * (1 - SAME) <= t <= high * (1 + SAME))
    if tight and len(inside) > 1:
        ticks = inside
    else:
        low, high = min(low, ticks[0]), max(high, ticks[-1])
    return Axis(low, high, ticks, tuple(shown(t) for t in ticks), True)


def _one_two_five(low: float, high: float) -> tuple[float, ...]:
    """The round numbers from the last one not above `low` to the first one not below `high`."""
    power = math.floor(math.log10(low) + SAME)
    all_of = [m * 10.0**p for p in range(power - 1, power + 4) for m in (1, 2, 5)]
    first = max(i for i, v in enumerate(all_of) if v <= low * (1 + SAME))
    last = min(i for i, v in enumerate(all_of) if v >= high * (1 - SAME))
    if first == last:
        first, last = first - 1, last + 1
    return tuple(all_of[first : last + 1])


# Numbers as text ----------------------------------------------------------------------------------


def shown(value: float, digits: int = 3) -> str:
    """A number in a few significant digits, as short as it can be read: 0.0312, 12,500, 1e-7."""
    if value != value:
        return "NaN"
    if abs(value) == math.inf:
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    rounded = f"{value:.{digits - 1}e}"
    power = int(rounded.partition("e")[2])
    if -4 < power < 6:
        text = f"{float(rounded):,.{max(0, digits - 1 - power)}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return _scientific(value, digits - 1)


def _scientific(value: float, decimals: int) -> str:
    mantissa, power = f"{value:.{decimals}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(power)}"


def _labels(ticks: Sequence[float], step: float) -> list[str]:
    """Ticks of a linear axis, all with the same number of decimals."""
    largest = max((abs(t) for t in ticks), default=1.0) or 1.0
    decimals = max(0, -math.floor(math.log10(step) + SAME))
    if decimals <= 5 and largest < 1e6:
        return [f"{t + 0.0:,.{decimals}f}" for t in ticks]
    digits = max(0, math.floor(math.log10(largest)) - math.floor(math.log10(step) + SAME))
    return ["0" if t == 0 else _scientific(t, digits) for t in ticks]
