"""The table of what was taken from where, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from deepdsl.graph import by_times
from deepdsl.transfer.weights.conversion import AS_IT_IS
from deepdsl.transfer.weights.loading import AFRESH, Loaded, MatchRow

# A longer run of rows that say the same is told by its first ones.
RUN, FIRST = 12, 6
_HEAD = ("here", "shape", "in the file", "taken")


def table(loaded: Iterable[Loaded], whole: bool = False) -> str:
    """The tables of all reused pieces; with `whole` every row of them."""
    return "\n\n".join("\n".join(_lines(each, whole)) for each in loaded)


def _lines(loaded: Loaded, whole: bool) -> list[str]:
    title = f"weights of `{loaded.path}`"
    if loaded.source != loaded.path:
        title += f" from {loaded.source}"
    lines = [title]
    if loaded.layout:
        lines.append(f"  kernels are {loaded.layout}")
    lines += [f"  {note}" for note in loaded.notes]
    cells: list[tuple[str, ...] | str] = [_HEAD]
    for run in _runs(loaded.rows):
        cells += _run(run, whole)
    widths = [
        max(len(row[n]) for row in cells if not isinstance(row, str)) for n in range(len(_HEAD))
    ]
    for row in cells:
        if isinstance(row, str):
            lines.append(f"  … {row}")
        else:
            told = "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))
            lines.append(f"  {told}".rstrip())
    if loaded.unused:
        lines.append(f"  not taken: {_few(loaded.unused)}")
    return lines


def _runs(rows: Sequence[MatchRow]) -> list[list[MatchRow]]:
    """Rows of layers one after another to which one thing was done, or nothing."""
    runs: list[list[MatchRow]] = []
    done: set[str] = set()
    for _, layer in groupby(rows, key=lambda row: row.here.rpartition(".")[0]):
        own = list(layer)
        more = {row.done for row in own} - {AS_IT_IS}
        joined = done | more
        # What begins from scratch is told by itself.
        apart = AFRESH in joined and runs and {row.done for row in (*runs[-1], *own)} != {AFRESH}
        if runs and len(joined) <= 1 and not apart:
            runs[-1] += own
            done = joined
        else:
            runs.append(own)
            done = more
    return runs


def _run(rows: Sequence[MatchRow], whole: bool) -> list[tuple[str, ...] | str]:
    shown = rows if whole or len(rows) <= RUN else rows[:FIRST]
    made: list[tuple[str, ...] | str] = [
        (row.here, by_times(row.shape), row.there, row.done) for row in shown
    ]
    if len(shown) < len(rows):
        left = dict.fromkeys(row.done for row in rows[FIRST:])
        made.append(f"and {len(rows) - FIRST} more {' or '.join(left)}")
    return made


def _few(names: Sequence[str], most: int = 6) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def as_json(loaded: Iterable[Loaded]) -> list[dict[str, Any]]:
    """The same for machines: every row."""
    return [
        {
            "reused": each.path,
            "source": each.source,
            "layout": each.layout,
            "notes": list(each.notes),
            "tensors": [
                {"here": r.here, "shape": list(r.shape), "there": r.there, "taken": r.done}
                for r in each.rows
            ],
            "unused": list(each.unused),
            "left_out": list(each.left_out),
        }
        for each in loaded
    ]
