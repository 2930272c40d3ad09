"""Finds blocks that come back to themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from deepdsl.core.source import Span
from deepdsl.diagnostics import Label, Report
from deepdsl.diagnostics.language.names import UsesItself
from deepdsl.language.syntax import ast
from deepdsl.language.syntax.walk import nodes

# Block -> the blocks that are in it, each with its first place.
Graph = Mapping[str, Mapping[str, Span]]


def circular(file: ast.File, report: Report) -> frozenset[str]:
    """The blocks of a file that are in each other, each circle told once."""
    blocks = {i.name.text: i for i in file.items if isinstance(i, ast.Block)}
    graph = {name: dict(_blocks_in(block, blocks)) for name, block in blocks.items()}
    found: set[str] = set()
    done: set[str] = set()
    for start in graph:
        for circle in _circles(start, graph, done):
            if not found.issuperset(circle):
                report.add(_told(circle, graph))
            found.update(circle)
    return frozenset(found)


def _blocks_in(block: ast.Block, blocks: Mapping[str, ast.Block]) -> Iterator[tuple[str, Span]]:
    own = {p.name.text for p in block.parameters}
    inner = list(nodes(block.body))
    own.update(n.name.text for n in inner if isinstance(n, ast.Part | ast.Bind))
    # The first place counts, and a mapping keeps the last.
    for node in reversed(inner):
        if isinstance(node, ast.Layer) and node.path.text in blocks and node.path.text not in own:
            yield node.path.text, node.span


def _circles(start: str, graph: Graph, done: set[str]) -> Iterator[list[str]]:
    """The circles that a walk from a block closes; what it has gone through is `done`."""
    if start in done:
        return
    way = [start]
    todo = [iter(graph[start])]
    while todo:
        name = next(todo[-1], None)
        if name is None:
            todo.pop()
            done.add(way.pop())
        elif name in way:
            yield way[way.index(name) :]
        elif name not in done:
            way.append(name)
            todo.append(iter(graph[name]))


def _told(circle: list[str], graph: Graph) -> UsesItself:
    ring = [*circle, circle[0]]
    steps = [(a, b, graph[a][b]) for a, b in pairwise(ring)]
    labels = tuple(Label(span, f"`{a}` uses `{b}` here") for a, b, span in steps[:-1])
    return UsesItself(steps[-1][2], circle[0], tuple(ring), labels)
