"""Line charts and bar charts as inline SVG.

A chart is drawn 440 units wide with text of 12, so that it can be read where it is scaled down to a
telephone's width.  Colours are those of Okabe and Ito, which the colour-blind can tell apart, and
lines differ in their dashes too.  Every shape carries its colour, for a chart that is cut out of
its page; the page's style sheet has others for the dark scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from deepdsl.core.record import record
from deepdsl.insight.charts.axes import LARGEST, Axis, axis, drawable, shown
from deepdsl.insight.charts.escape import escape

Place = Callable[[float], float]

WIDTH, FONT = 440, 12
LETTER = 6.4  # the mean width of a letter
LEFT, RIGHT = 58, 14
PLOT_HEIGHT = 190
LINE = 16

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5579a", "#a67c00", "#3b97cf", "#5a5a5a")
DASHES = ("", "6 3", "2 3", "9 3 2 3", "1 2", "12 4", "4 2")
# More points than this on a line are not to be told apart.
MOST_POINTS = 1200
# Up to this many points, each is marked.
FEW_POINTS = 12
# Labels up to so long are beside their bars, others above.
BESIDE = 20
ABOVE_ROW, BAR = 16, 11


@record
class Series:
    """A named curve; values that are NaN or infinite leave a gap."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@record
class Mark:
    """A vertical line at a place of the x-axis, with words."""

    x: float
    label: str


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    marks: Sequence[Mark] = (),
    y_most: float | None = None,
) -> str:
    """Curves over one x-axis, with a legend where there are several.

    `x_label` and `y_label` say what is measured, with its unit.  What has no place (NaN, infinite,
    not above 0 on a logarithmic axis, above `y_most`) is counted in a line under the chart.
    """
    points = [_points(s, log_x, log_y, y_most) for s in series]
    drawn = [p for line in points for p in line if p is not None]
    shown_marks = [m for m in marks if drawable(m.x, log_x)]
    x = axis([p[0] for p in drawn] + [m.x for m in shown_marks], log_x, tight=True)
    y = axis([p[1] for p in drawn], log_y)
    top = 46.0 + FONT * len(shown_marks)
    bottom = top + PLOT_HEIGHT
    body = [_text(0, 33, y_label, "muted")]
    body += _frame(x, y, top, bottom, x_label)
    body += _marks(shown_marks, x, top, bottom)
    for number, line in enumerate(points):
        places = [p and (_x(x.place(p[0])), bottom - PLOT_HEIGHT * y.place(p[1])) for p in line]
        body += _curve(places, number)
    if not drawn:
        body.append(_text((LEFT + WIDTH) / 2, (top + bottom) / 2, "no values", "muted", "middle"))
    at = bottom + 52
    if len(series) > 1:
        legend, at = _legend([s.name for s in series], at, lines=True)
        body += legend
    gone = sum(p is None for line in points for p in line)
    if gone:
        why = "not finite" + " or not above 0" * (log_x or log_y)
        why += f" or above {shown(y_most)}" if y_most is not None else ""
        body.append(_text(LEFT, at, f"not drawn: {gone} of {gone + len(drawn)} are {why}", "muted"))
        at += LINE
    told = ", ".join(f"{s.name}: {_told(s.y)}" for s in series)
    return _svg(title, f"{y_label} over {x_label}. {told}", at - 6, body)


def bar_chart(
    title: str,
    labels: Sequence[str],
    values: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    log: bool = False,
    x_label: str = "",
) -> str:
    """Horizontal bars, a label each; a mapping gives several groups side by side, by name.

    On a logarithmic axis, which has no 0 to begin at, a dot is at the end of a thin line.
    """
    groups = dict(values) if isinstance(values, Mapping) else {"": values}
    across = axis((v for g in groups.values() for v in g), log, zero=not log)
    above = max(map(len, labels), default=0) > BESIDE
    left = 14.0 if above else 14 + LETTER * max(map(len, labels), default=0)
    right = RIGHT + 52  # the figures at the ends of the bars
    row = (ABOVE_ROW if above else 0) + BAR * len(groups) + 9
    top = 30.0
    bottom = top + row * max(1, len(labels))

    def place(value: float) -> float:
        return left + (WIDTH - left - right) * across.place(value)

    body = [] if labels else [_text(left, top + 16, "no values", "muted")]
    for tick, label in _spaced(across, place):
        body += [_line(place(tick), top, place(tick), bottom, "grid")]
        body += [_text(place(tick), bottom + 15, label, "muted", "middle")]
    for number, label in enumerate(labels):
        at = top + row * number + 4
        if above:
            body.append(_text(left, at + 11, label))
            at += ABOVE_ROW
        else:
            body.append(_text(left - 6, at + BAR * len(groups) / 2 + 4, label, "ink", "end"))
        for which, group in enumerate(groups.values()):
            body += _bar(group[number], across, place, at + BAR * which, which)
    at = bottom + 32
    if x_label:
        body.append(_text((left + WIDTH - right) / 2, at, x_label, "muted", "middle"))
        at += LINE + 4
    if len(groups) > 1:
        legend, at = _legend(list(groups), at + 4, lines=False)
        body += legend
    told = ". ".join(
        f"{name}: " * bool(name)
        + ", ".join(f"{label} {shown(v)}" for label, v in zip(labels, group, strict=True))
        for name, group in groups.items()
    )
    return _svg(title, f"{x_label} {told or 'no values'}".strip(), at - 6, body)


# Pieces -------------------------------------------------------------------------------------------


def _points(
    s: Series, log_x: bool, log_y: bool, y_most: float | None
) -> list[tuple[float, float] | None]:
    """The points of a series in its order, None where one cannot be drawn; of very many, the
    lowest and the highest of each stretch.
    """
    most = LARGEST if y_most is None else y_most
    made = [
        (float(x), float(y)) if drawable(x, log_x) and drawable(y, log_y) and y <= most else None
        for x, y in zip(s.x, s.y, strict=True)
    ]
    if len(made) <= MOST_POINTS:
        return made
    stretch = -(-2 * len(made) // MOST_POINTS)
    thin: list[tuple[float, float] | None] = []
    for start in range(0, len(made), stretch):
        part = made[start : start + stretch]
        there = [p for p in part if p is not None]
        thin += [None] * (len(there) < len(part))
        if there:
            ends = {there.index(min(there, key=_height)), there.index(max(there, key=_height))}
            thin += [there[i] for i in sorted(ends)]
    return thin


def _height(point: tuple[float, float]) -> float:
    return point[1]


def _x(place: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * place


def _frame(x: Axis, y: Axis, top: float, bottom: float, x_label: str) -> Iterator[str]:
    for tick, label in zip(y.ticks, y.labels, strict=True):
        at = bottom - PLOT_HEIGHT * y.place(tick)
        yield _line(LEFT, at, WIDTH - RIGHT, at, "grid")
        yield _text(LEFT - 6, at + 4, label, "muted", "end")
    for tick, label in _spaced(x, lambda v: _x(x.place(v))):
        at = _x(x.place(tick))
        yield _line(at, bottom, at, bottom + 4, "frame")
        yield _text(at, bottom + 17, label, "muted", "middle")
    yield _line(LEFT, bottom, WIDTH - RIGHT, bottom, "frame")
    yield _text((LEFT + WIDTH - RIGHT) / 2, bottom + 33, x_label, "muted", "middle")


def _spaced(along: Axis, place: Place) -> Iterator[tuple[float, str]]:
    """The ticks whose labels have room beside the one before."""
    end = float("-inf")
    for tick, label in zip(along.ticks, along.labels, strict=True):
        at = place(tick)
        half = LETTER * len(label) / 2
        if at - half > end + 4:
            yield tick, label
            end = at + half


def _marks(marks: Sequence[Mark], x: Axis, top: float, bottom: float) -> Iterator[str]:
    for number, mark in enumerate(marks):
        at, height = _x(x.place(mark.x)), top - 6 - FONT * number
        yield _line(at, height + 3, at, bottom, "mark")
        half = LETTER * len(mark.label) / 2
        inside = min(max(at, half + 2), WIDTH - half - 2)
        yield _text(inside, height, mark.label, "ink", "middle")


def _curve(places: Iterable[tuple[float, float] | None], number: int) -> Iterator[str]:
    """Runs of points joined by lines; a point that is alone, and each of a few, as a dot."""
    colour, name = COLOURS[number % len(COLOURS)], f"c{number % len(COLOURS)}"
    dash = DASHES[number % len(DASHES)]
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(place)
    few = sum(map(len, runs)) <= FEW_POINTS
    for run in runs:
        if len(run) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            yield (
                f'<polyline class="{name}" points="{path}" fill="none" stroke="{colour}"'
                f' stroke-width="1.8" stroke-linejoin="round"{dashed}/>'
            )
        if few or len(run) == 1:
            for x, y in run:
                yield _dot(x, y, number)


def _dot(x: float, y: float, number: int) -> str:
    which = number % len(COLOURS)
    return f'<circle class="f{which}" cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{COLOURS[which]}"/>'


def _bar(value: float, across: Axis, place: Place, top: float, number: int) -> Iterator[str]:
    which, middle = number % len(COLOURS), top + BAR / 2
    start = place(across.low if across.log else 0.0)
    if not drawable(value, across.log):
        yield _text(start + 4, middle + 4, shown(value), "muted")
        return
    end = place(value)
    if across.log:
        yield _line(start, middle, end, middle, "frame")
        yield _dot(end, middle, number)
    else:
        yield (
            f'<rect class="f{which}" x="{min(start, end):.1f}" y="{top + 1:.1f}"'
            f' width="{max(abs(end - start), 0.8):.1f}" height="{BAR - 2}"'
            f' fill="{COLOURS[which]}"/>'
        )
    yield _text(max(start, end) + 6, middle + 4, shown(value), "ink")


def _legend(names: Sequence[str], top: float, lines: bool) -> tuple[list[str], float]:
    """A key to each name, in as many rows as they need; and where the next thing can be."""
    made: list[str] = []
    first = x = float(LEFT if lines else 14)
    y = top
    for number, name in enumerate(names):
        wide = 30 + LETTER * len(name) + 14
        if x > first and x + wide > WIDTH:
            x, y = first, y + LINE
        made += _curve([(x, y - 4), (x + 24, y - 4)], number) if lines else [_key(x, y, number)]
        made.append(_text(x + (30 if lines else 16), y, name))
        x += wide
    return [m for m in made if "<circle" not in m], y + LINE + 2


def _key(x: float, y: float, number: int) -> str:
    which = number % len(COLOURS)
    return (
        f'<rect class="f{which}" x="{x:.1f}" y="{y - 9:.1f}" width="10" height="10"'
        f' fill="{COLOURS[which]}"/>'
    )


def _told(values: Sequence[float]) -> str:
    """The range of a curve in words, for who cannot see it."""
    kept = [v for v in values if drawable(v)]
    if not kept:
        return "no values"
    ends = f"from {shown(kept[0])} to {shown(kept[-1])}"
    return f"{ends}, between {shown(min(kept))} and {shown(max(kept))}"


_LOOK = {
    "ink": 'fill="currentColor"',
    "muted": 'fill="currentColor" fill-opacity="0.75"',
    "grid": 'stroke="currentColor" stroke-opacity="0.15"',
    "frame": 'stroke="currentColor" stroke-opacity="0.6"',
    "mark": 'stroke="currentColor" stroke-dasharray="3 3"',
}


def _text(x: float, y: float, text: str, look: str = "ink", anchor: str = "start") -> str:
    turned = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {_LOOK[look]}{turned}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {_LOOK[look]}/>'


def _svg(title: str, description: str, height: float, body: Iterable[str]) -> str:
    heading = (
        f'<text x="0" y="14" font-size="13" font-weight="600" fill="currentColor">'
        f"{escape(title)}</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img"'
        f' viewBox="0 0 {WIDTH} {height:.0f}" font-size="{FONT}"'
        f' font-family="system-ui, sans-serif" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
        f"{heading}{''.join(body)}</svg>"
    )
