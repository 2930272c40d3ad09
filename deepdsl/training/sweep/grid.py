"""What a sweep goes through: every combination of the values of its axes, with every seed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

from deepdsl.core.record import record
from deepdsl.core.source import Source
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.sweep import BadSweep, NothingToSweep, TooManyRuns
from deepdsl.language.overrides import Setting, apply_settings, read_setting

# More runs than a person reads in a table, and a slip of the hand away: 1..100000.
MOST_RUNS = 10_000

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_NUMBERS = re.compile(r"-?[\d.eE+-]*\.\.-?[\d.eE+-]+(?:\.\.|:)?.*|-?\d[\d.]*\.\.")


@record
class SweepAxis:
    """A setting and the values that it takes, as they are written."""

    key: str
    values: tuple[str, ...]


@record
class Point:
    """One combination of settings with one seed; None is the file's own."""

    settings: tuple[Setting, ...]
    seed: str | None

    @property
    def written(self) -> list[str]:
        seed = [] if self.seed is None else [f"seed={self.seed}"]
        return [*map(str, self.settings), *seed]

    def source(self, base: Source, model: str | None) -> Source:
        """The file's text with these settings in it."""
        return apply_settings(base, self.written, model) if self.written else base


def axis(text: str) -> SweepAxis:
    """`optimizer.lr=0.1,0.01` or `let.depth=1..5`."""
    setting = read_setting(text)
    return SweepAxis(setting.key, spread(setting.value, text))


def spread(values: str, written: str) -> tuple[str, ...]:
    """The values of a list with commas; `1..5` in it is 1, 2, 3, 4, 5."""
    found: list[str] = []
    for piece in _pieces(values):
        form = _RANGE.fullmatch(piece)
        if not piece:
            raise DnnError([BadSweep(None, written, "a value is missing between the commas")])
        if form is None:
            if _NUMBERS.fullmatch(piece):
                raise DnnError([BadSweep(None, written, f"`{piece}` is no range of whole numbers")])
            found.append(piece)
            continue
        first, last = int(form[1]), int(form[2])
        if last < first:
            raise DnnError([BadSweep(None, written, f"`{piece}` goes down: write {last}..{first}")])
        if last - first >= MOST_RUNS:
            raise DnnError([TooManyRuns(None, last - first + 1, MOST_RUNS)])
        found += map(str, range(first, last + 1))
    return tuple(dict.fromkeys(found))


def _pieces(text: str) -> Iterator[str]:
    """A text cut at its commas, but for those in quotes and brackets."""
    depth, quoted, start = 0, False, 0
    for place, char in enumerate(text):
        quoted ^= char == '"'
        if quoted:
            continue
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()


def seeds_of(text: str) -> tuple[str, ...]:
    """`3` is 1, 2, 3; `4..6` and `7,9` are what they say."""
    if text.isdecimal() and int(text) > 0:
        return spread(f"1..{text}", f"--seeds {text}")
    found = spread(text, f"--seeds {text}")
    if found == ("0",):
        raise DnnError([BadSweep(None, f"--seeds {text}", "that is how many, and none is too few")])
    if not all(seed.isdecimal() for seed in found):
        told = "seeds are whole numbers of at least 0, and `3` is the seeds 1 to 3"
        raise DnnError([BadSweep(None, f"--seeds {text}", told)])
    return found


def layer_counts(text: str) -> tuple[str, ...]:
    """How many layers keep their weights: `0..5`, or `0,2,4`."""
    found = spread(text, f"--reuse {text}")
    if not all(count.isdecimal() for count in found):
        told = "how many layers are kept is a whole number: 0..5, or 0,2,4"
        raise DnnError([BadSweep(None, f"--reuse {text}", told)])
    return found


def points(axes: Sequence[SweepAxis], seeds: Sequence[str | None]) -> list[Point]:
    """Every combination, the last axis fastest, each with every seed; DnnError where there is
    nothing to compare, or more than is sensible.
    """
    twice = next((a.key for n, a in enumerate(axes) if a.key in {b.key for b in axes[:n]}), None)
    if twice is not None:
        told = f"`{twice}` is set twice: write its values in one list, with commas"
        raise DnnError([BadSweep(None, twice, told)])
    if seeds[0] is not None and any(a.key == "seed" for a in axes):
        told = "`--set seed=…` and `--seeds` are one too many"
        raise DnnError([BadSweep(None, "seed", told)])
    count = prod(len(a.values) for a in axes) * len(seeds)
    if count < 2:
        raise DnnError([NothingToSweep(None)])
    if count > MOST_RUNS:
        raise DnnError([TooManyRuns(None, count, MOST_RUNS)])
    return [
        Point(tuple(Setting(a.key, v) for a, v in zip(axes, values, strict=True)), seed)
        for values in product(*(a.values for a in axes))
        for seed in seeds
    ]
