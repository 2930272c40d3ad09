"""A placed tree as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from deepdsl.graph import by_times
from deepdsl.insight.charts.escape import escape
from deepdsl.insight.drawing.layout import (
    LINE,
    PAD,
    PlacedBox,
    Wire,
    box_columns,
    columns_of,
    header_of,
    placed,
)
from deepdsl.insight.drawing.tree import Box, BoxGroup, folded, gathered, row_count, tree
from deepdsl.language.analysis import Model

# A picture of more rows than this is made smaller: what is alike is told once, then what is deep.
MOST_ROWS = 120
MARGIN = 8.0

STYLE = (
    "<style>svg{color:#1c1c1c;background:#fff}"
    "@media(prefers-color-scheme:dark){svg{color:#e8e8e8;background:#16181c}}</style>"
)


def picture(model: Model, depth: int | None = None, *, alone: bool = False) -> str:
    """The model as SVG: a box for each chain of layers with shapes and parameters, a frame round
    each part and each use of a block.

    `depth` is how many frames deep it goes, all where it is None; a picture that would be too long
    tells neighbours that are alike once.  One that is `alone` has a background of its own.
    """
    group = tree(model)
    if depth is not None:
        group = folded(group, depth)
    if row_count(group) > MOST_ROWS:
        group = gathered(group)
    for shallower in (4, 3, 2, 1, 0):
        if row_count(group) <= MOST_ROWS:
            break
        group = gathered(folded(group, shallower))
    whole = placed(group)
    width, height = whole.width + 2 * MARGIN, whole.height + 2 * MARGIN
    body = "".join(_group(whole, MARGIN, MARGIN, 0))
    size = f' width="{width:.0f}" height="{height:.0f}"' if alone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img"{size}'
        f' viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px"'
        ' font-size="12" font-family="system-ui, sans-serif">'
        f"<title>{escape(f'The model {model.name}')}</title>"
        f"<desc>{escape(', then '.join(_told(group)))}</desc>"
        f"{STYLE if alone else ''}{body}</svg>\n"
    )


def _told(group: BoxGroup) -> Iterator[str]:
    """The picture in words, for who cannot see it."""
    for node in group.nodes:
        if isinstance(node, Box):
            for row in node.rows:
                yield f"{row.words} {by_times(row.shape)}"
        else:
            title, _ = header_of(node)
            yield f"{title} ({', '.join(_told(node))})"


def _group(at: PlacedBox, x: float, y: float, depth: int) -> Iterator[str]:
    group = at.node
    assert isinstance(group, BoxGroup)
    if depth:
        yield _frame(x, y, at.width, at.height, depth)
        title, params = header_of(group)
        yield _text(x + PAD, y + 15, title, weight=600, tip=group.path)
        yield _text(x + at.width - PAD, y + 15, params, "end", faint=True)
    for wire in at.wires:
        yield from _wire(wire, x, y)
    for inner in at.inner:
        if isinstance(inner.node, BoxGroup):
            yield from _group(inner, x + inner.x, y + inner.y, depth + 1)
        else:
            yield from _box(inner, x + inner.x, y + inner.y)


def _frame(x: float, y: float, width: float, height: float, depth: int) -> str:
    colour = ("#0072b2", "#009e73", "#d55e00", "#b5579a")[(depth - 1) % 4]
    return (
        f'<rect class="group" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f' rx="8" fill="{colour}" fill-opacity="0.07" stroke="{colour}" stroke-opacity="0.7"/>'
    )


def _box(at: PlacedBox, x: float, y: float) -> Iterator[str]:
    box = at.node
    assert isinstance(box, Box)
    yield (
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{at.width:.1f}"'
        f' height="{at.height:.1f}" rx="4" fill="currentColor" fill-opacity="0.06"'
        ' stroke="currentColor" stroke-opacity="0.45"/>'
    )
    *_, third = box_columns(box)
    right = x + at.width - PAD
    for number, row in enumerate(box.rows):
        line = y + 4 + LINE * number + 13
        layer, shape, params = columns_of(row)
        yield _text(x + PAD, line, layer, tip=row.path)
        yield _text(right - (third + 14 if third else 0), line, shape, "end", faint=True)
        if params:
            yield _text(right, line, params, "end", faint=True)


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str = "start",
    *,
    faint: bool = False,
    weight: int = 400,
    tip: str = "",
) -> str:
    opacity = ' fill-opacity="0.7"' if faint else ""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
        f' fill="currentColor"{opacity}>{title}{escape(text)}</text>'
    )


def _wire(wire: Wire, x: float, y: float) -> Iterator[str]:
    points = [(x + px, y + py) for px, py in wire.points]
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x1, y1), (x2, y2) in pairwise(points):
        if x1 == x2:
            path += f" V{y2:.1f}"
        else:
            middle = (y1 + y2) / 2
            path += f" C{x1:.1f},{middle:.1f} {x2:.1f},{middle:.1f} {x2:.1f},{y2:.1f}"
    yield (
        f'<path class="wire" d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.6"/>'
    )
    if wire.arrives:
        end_x, end_y = points[-1]
        yield (
            f'<path class="head" d="M{end_x - 3.5:.1f},{end_y - 6:.1f} l3.5,6 l3.5,-6 z"'
            ' fill="currentColor" fill-opacity="0.75"/>'
        )
