"""Where the boxes of a picture are.

Within a group every node has a layer (one more than the deepest node that feeds it) and a column:
what is written first keeps the column of what feeds it, others are beside it.  An arrow past
layers runs through a column that is free there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deepdsl.graph import by_times
from deepdsl.insight.drawing.tree import ENTRY, Box, BoxGroup, BoxRow, Node

LETTER = 6.7  # the mean width of a letter of 12
LINE = 18.0
PAD = 8.0
GAP = 22.0  # between layers, where arrows are
ASIDE = 18.0  # between columns
HEADER = 22.0


@dataclass
class PlacedBox:
    """A node with its corner, its size, and the place of its arrows from the left edge."""

    node: Node
    width: float
    height: float
    port: float
    x: float = 0.0
    y: float = 0.0
    inner: list[PlacedBox] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)


@dataclass
class Wire:
    """An arrow as points from above to below; between points of different x it bends."""

    points: list[tuple[float, float]]
    arrives: bool  # at a node, where it has a head; else at the edge of its group


def columns_of(row: BoxRow) -> tuple[str, str, str]:
    """The three texts of a row: its layers, its shape, its parameters."""
    times = f" × {row.times}" if row.times > 1 else ""
    params = "shared" if row.shared else (f"{row.params * row.times:,}" if row.params else "")
    return row.words + times, by_times(row.shape), params


def header_of(group: BoxGroup) -> tuple[str, str]:
    times = f" × {group.times}" if group.times > 1 else ""
    params = f"{group.params * group.times:,}" if group.params else ""
    return group.name + times, params


def box_columns(box: Box) -> tuple[float, float, float]:
    """The widths of a box's three columns of text."""
    told = [columns_of(row) for row in box.rows]
    first, second, third = (LETTER * max(len(t[i]) for t in told) for i in range(3))
    return first, second, third


def placed(node: Node) -> PlacedBox:
    """A node with all inside it, at the origin."""
    if isinstance(node, Box):
        told = box_columns(node)
        width = sum(told) + 2 * PAD + 14 * (sum(w > 0 for w in told) - 1)
        return PlacedBox(node, width, LINE * len(node.rows) + 8, width / 2)
    return _placed_group(node)


def _placed_group(group: BoxGroup) -> PlacedBox:
    nodes = [placed(node) for node in group.nodes]
    layers = _layers(group)
    columns = _columns(group, layers)
    ways = _ways(group, layers, columns)
    depth = max(layers, default=0)
    wide = 1 + max([*columns, *ways.values()], default=0)
    before, after = [6.0] * wide, [6.0] * wide
    for node, column in zip(nodes, columns, strict=True):
        before[column] = max(before[column], node.port)
        after[column] = max(after[column], node.width - node.port)
    centres, x = [], PAD
    for column in range(wide):
        centres.append(x + before[column])
        x += before[column] + after[column] + ASIDE
    heights = [0.0] * (depth + 1)
    for node, layer in zip(nodes, layers, strict=True):
        heights[layer] = max(heights[layer], node.height)
    tops, y = [], (HEADER if group.path else 0.0) + PAD
    for layer in range(depth + 1):
        tops.append(y + GAP * (layer > 0 or _entered(group)))
        y = tops[-1] + heights[layer]
    for node, layer, column in zip(nodes, layers, columns, strict=True):
        node.x, node.y = centres[column] - node.port, tops[layer]
    title, params = header_of(group)
    least = LETTER * (len(title) + len(params)) + 3 * PAD
    width = max(x - ASIDE + PAD, least if group.path else 0.0)
    height = y + (GAP if group.path else 0.0) + PAD / 2
    made = PlacedBox(group, width, height, centres[0], inner=nodes)
    bottoms = [top + tall for top, tall in zip(tops, heights, strict=True)]
    made.wires = _wires(group, made, layers, ways, centres, tops, bottoms)
    return made


def _entered(group: BoxGroup) -> bool:
    return any(a == ENTRY for a, _ in group.edges)


def _layers(group: BoxGroup) -> list[int]:
    """Nodes are in the order of computation, so that one pass finds the layers."""
    layers = [0] * len(group.nodes)
    for b in range(len(group.nodes)):
        layers[b] = max(
            (layers[a] + 1 for a, to in group.edges if to == b and a != ENTRY), default=0
        )
    return layers


def _columns(group: BoxGroup, layers: Sequence[int]) -> list[int]:
    taken: set[tuple[int, int]] = set()
    columns: list[int] = []
    for b, layer in enumerate(layers):
        feeding = [columns[a] for a, to in group.edges if to == b and a != ENTRY]
        column = min(feeding, default=0)
        while (layer, column) in taken:
            column += 1
        taken.add((layer, column))
        columns.append(column)
    return columns


def _ways(
    group: BoxGroup, layers: Sequence[int], columns: Sequence[int]
) -> dict[tuple[int, int], int]:
    """For each arrow that passes layers, the column that it runs through."""
    taken = set(zip(layers, columns, strict=True))
    ways: dict[tuple[int, int], int] = {}
    edges = [*group.edges, *((e, len(layers)) for e in group.exits)]
    last = max(layers, default=0) + 1
    for a, b in sorted(edges, key=lambda e: _span(e, layers, last)[1] - _span(e, layers, last)[0]):
        start, end = _span((a, b), layers, last)
        passed = range(start + 1, end)
        if not passed:
            continue
        column = 0 if a == ENTRY else columns[a]
        while any((layer, column) in taken for layer in passed):
            column += 1
        taken.update((layer, column) for layer in passed)
        ways[a, b] = column
    return ways


def _span(edge: tuple[int, int], layers: Sequence[int], last: int) -> tuple[int, int]:
    a, b = edge
    return (-1 if a == ENTRY else layers[a]), (last if b == len(layers) else layers[b])


def _wires(
    group: BoxGroup,
    made: PlacedBox,
    layers: Sequence[int],
    ways: dict[tuple[int, int], int],
    centres: Sequence[float],
    tops: Sequence[float],
    bottoms: Sequence[float],
) -> list[Wire]:
    wires = []
    count = len(layers)
    exits = [(e, count) for e in group.exits] if group.path else []
    for a, b in [*group.edges, *exits]:
        if a == ENTRY:
            layer, points = -1, [(made.port, HEADER if group.path else 0.0)]
        else:
            layer = layers[a]
            node = made.inner[a]
            x = node.x + node.port
            points = [(x, node.y + node.height), (x, bottoms[layer])]
        end = len(tops) if b == count else layers[b]
        if (a, b) in ways:
            x = centres[ways[a, b]]
            points += [(x, tops[layer + 1]), (x, bottoms[end - 1])]
        if b == count:
            points.append((made.port, made.height))
        else:
            node = made.inner[b]
            points.append((node.x + node.port, node.y))
        wires.append(Wire(points, b != count))
    return wires
