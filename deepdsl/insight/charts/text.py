"""Bars and curves for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.insight.charts.axes import Axis, axis, drawable, shown

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def text_bars(
    labels: Sequence[str], values: Sequence[float], width: int = 60, log: bool = False
) -> str:
    """A line for each label: the label, a bar and its value, in all at most `width` wide where that
    leaves any room for a bar.  A negative value on a linear axis has a bar of its size, and its
    sign.
    """
    figures = [shown(v) for v in values]
    names = max(map(len, labels), default=0)
    room = max(8, width - names - max(map(len, figures), default=0) - 4)
    sizes = [v if log else abs(v) for v in values]
    across = axis(sizes, log, zero=not log, tight=True)
    lines = []
    for label, size, figure in zip(labels, sizes, figures, strict=True):
        share = across.place(size) if drawable(size, log) else 0.0
        lines.append(f"{label:<{names}}  {_bar(share, room)}  {figure}".rstrip())
    return "\n".join(lines)


def _bar(share: float, room: int) -> str:
    eighths = round(share * room * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(room)


def text_plot(
    x: Sequence[float],
    y: Sequence[float],
    *,
    width: int = 64,
    height: int = 12,
    log_x: bool = False,
    mark: float | None = None,
) -> str:
    """A curve as dots over an x-axis with ticks; `mark` is a place of the x-axis, shown as `^`."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if drawable(a, log_x) and drawable(b)]
    across = axis([a for a, _ in points], log_x, tight=True)
    up = axis([b for _, b in points])
    labels = {round((1 - up.place(t)) * (height - 1)): label for t, label in _both(up)}
    margin = max(map(len, labels.values()), default=0)
    grid = [[" "] * width for _ in range(height)]
    for a, b in points:
        row = round((1 - up.place(b)) * (height - 1))
        grid[row][_column(across.place(a), width)] = "•"
    lines = [
        f"{labels.get(i, ''):>{margin}} {'┤' if i in labels else '│'}{''.join(row)}".rstrip()
        for i, row in enumerate(grid)
    ]
    under = ["─"] * width
    ticks = [" "] * (width + 8)
    for tick, label in _both(across):
        at = _column(across.place(tick), width)
        start = max(0, at - len(label) // 2)
        if 0 <= at < width and all(c == " " for c in ticks[max(0, start - 1) : start + len(label)]):
            under[at] = "┬"
            ticks[start : start + len(label)] = label
    if mark is not None and drawable(mark, log_x) and 0 <= across.place(mark) <= 1:
        under[_column(across.place(mark), width)] = "^"
    lines.append(f"{'':>{margin}} └{''.join(under)}")
    lines.append(f"{'':>{margin}}  {''.join(ticks)}".rstrip())
    return "\n".join(lines)


def _both(along: Axis) -> list[tuple[float, str]]:
    return list(zip(along.ticks, along.labels, strict=True))


def _column(place: float, width: int) -> int:
    return round(place * (width - 1))
