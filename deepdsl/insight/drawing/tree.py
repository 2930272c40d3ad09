"""A model as a tree: parts and blocks hold others, chains of layers are boxes with a row for each
layer that has weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from deepdsl.language.analysis import LayerCall, Model
from deepdsl.nn.initializers import Initializer
from deepdsl.nn.layers.layer import Layer

# Where an arrow begins that comes from outside a group.
ENTRY = -1


@dataclass
class BoxRow:
    """A layer, with the layers without weights after it; `times` when equal rows are told once."""

    words: str
    path: str
    shape: tuple[int, ...]
    params: int
    times: int = 1
    shared: bool = False


@dataclass
class Box:
    """Layers that follow each other with nothing between."""

    rows: list[BoxRow]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows[-1].shape

    @property
    def params(self) -> int:
        return sum(row.params * row.times for row in self.rows)


@dataclass
class BoxGroup:
    """One use of a part or a block, or the whole model: nodes, arrows between them by number (from
    ENTRY for what flows in), and the nodes that give what flows out.
    """

    name: str
    path: str
    nodes: list[Node] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    times: int = 1
    calls: set[str] = field(default_factory=set)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.nodes[self.exits[-1] if self.exits else -1].shape

    @property
    def params(self) -> int:
        return sum(n.params * (n.times if isinstance(n, BoxGroup) else 1) for n in self.nodes)


Node = Box | BoxGroup
# Where a value is made: the groups from the outermost inwards, each with the number of its node.
Place = tuple[tuple[BoxGroup, int], ...]


def tree(model: Model) -> BoxGroup:
    """The whole model as a group; its inputs are boxes of their own."""
    return _Grower(model).root


class _Grower:
    def __init__(self, model: Model) -> None:
        self.root = BoxGroup(model.name, "")
        self.places: list[Place] = []
        self.counted: set[str] = set()
        self.stack: list[BoxGroup] = [self.root]
        self.uses = Counter(n for call in model.calls for n in call.inputs)
        self.uses.update(model.outputs.values())
        for given in model.inputs:
            row = BoxRow(f"input {given.name}", "", given.row_shape, 0)
            self.root.nodes.append(Box([row]))
            self.places.append(((self.root, len(self.root.nodes) - 1),))
        for call in model.calls:
            self._call(call)
        for value in model.outputs.values():
            self._leave(self.places[value], 0)

    def _call(self, call: LayerCall) -> None:
        groups = self._groups(call)
        for group in groups:
            group.calls.add(call.path)
        inner = groups[-1]
        fresh = {p.name: p.type.count or 0 for p in call.params if p.name not in self.counted}
        self.counted |= fresh.keys()
        shape = call.type.row
        shared = bool(call.params) and not fresh
        row = BoxRow(words(call.layer), call.path, shape, sum(fresh.values()), shared=shared)
        box = self._continued(call, inner)
        if box is None:
            inner.nodes.append(Box([row]))
        elif call.params or not box.rows[-1].path:
            box.rows.append(row)
        else:
            box.rows[-1].words += f" | {row.words}"
            box.rows[-1].shape = shape
        place = self._place(groups)
        self.places.append(place)
        if box is None:
            for value in dict.fromkeys(call.inputs):
                self._arrow(self.places[value], place)

    def _groups(self, call: LayerCall) -> list[BoxGroup]:
        """The group that a call is in, opened where it is a new one, and all around it."""
        names = call.path.split(".")[:-1]
        depth = 0
        while depth < len(names) and depth + 1 < len(self.stack):
            group = self.stack[depth + 1]
            if group.name != names[depth] or self._again(call, group):
                break
            depth += 1
        del self.stack[depth + 1 :]
        for name in names[depth:]:
            around = self.stack[-1]
            group = BoxGroup(name, f"{around.path}.{name}" if around.path else name)
            around.nodes.append(group)
            self.stack.append(group)
        return list(self.stack)

    def _again(self, call: LayerCall, group: BoxGroup) -> bool:
        """Whether a call begins another use of a part: one that was there, on a value from
        outside.
        """
        if call.path not in group.calls:
            return False
        last = self.places[call.inputs[0]]
        within = any(g is group for g, _ in last)
        return not within or len(call.path.split(".")) == len(group.path.split(".")) + 1

    def _continued(self, call: LayerCall, inner: BoxGroup) -> Box | None:
        """The box that a call continues, if it continues one: nothing else reads what it makes."""
        if len(call.inputs) != 1 or self.uses[call.inputs[0]] > 1:
            return None
        group, number = self.places[call.inputs[0]][-1]
        if group is not inner or number != len(inner.nodes) - 1:
            return None
        box = inner.nodes[number]
        return box if isinstance(box, Box) and box.rows[-1].path else None

    def _place(self, groups: Sequence[BoxGroup]) -> Place:
        return tuple((group, len(group.nodes) - 1) for group in groups)

    def _arrow(self, source: Place, target: Place) -> None:
        common = 0
        while (
            common + 1 < min(len(source), len(target))
            and source[common + 1][0] is target[common + 1][0]
        ):
            common += 1
        group = target[common][0]
        self._add(group, source[common][1], target[common][1])
        self._leave(source, common + 1)
        for inner, number in target[common + 1 :]:
            self._add(inner, ENTRY, number)

    @staticmethod
    def _leave(source: Place, depth: int) -> None:
        for group, number in source[depth:]:
            if number not in group.exits:
                group.exits.append(number)

    @staticmethod
    def _add(group: BoxGroup, a: int, b: int) -> None:
        if (a, b) not in group.edges:
            group.edges.append((a, b))


def words(layer: Layer) -> str:
    """A layer as its line says it, without what only says how weights begin."""
    told = []
    for s in layer.signature():
        value = getattr(layer, s.name)
        if isinstance(value, Initializer) or (not s.required and value == s.default):
            continue
        told.append(s.shown(value) if s.positional else f"{s.name}={s.shown(value)}")
    return " ".join([layer.name, *told])


# Making a tree smaller ---------------------------------------------------------------------------


def row_count(node: Node) -> int:
    """How many lines of text a node takes."""
    if isinstance(node, Box):
        return len(node.rows)
    return 1 + sum(map(row_count, node.nodes))


def folded(group: BoxGroup, depth: int) -> BoxGroup:
    """The same with groups below a depth told in one row each."""
    if depth < 0:
        row = BoxRow(group.name, group.path, group.shape, group.params, group.times)
        return _with(group, [Box([row])], [(ENTRY, 0)], [0])
    nodes: list[Node] = []
    for node in group.nodes:
        if isinstance(node, Box):
            nodes.append(node)
        elif depth == 0:
            row = BoxRow(node.name, node.path, node.shape, node.params, node.times)
            nodes.append(Box([row]))
        else:
            nodes.append(folded(node, depth - 1))
    return _with(group, nodes, group.edges, group.exits)


def gathered(group: BoxGroup) -> BoxGroup:
    """The same with neighbours that are alike told once: `× 3`."""
    nodes = [_gathered_rows(n) if isinstance(n, Box) else gathered(n) for n in group.nodes]
    number = list(range(len(nodes)))  # of each old node, the new one
    kept: list[Node] = []
    for i, node in enumerate(nodes):
        last = kept[-1] if kept else None
        follows = group.edges.count((i - 1, i)) == 1 and _only(group, i)
        if (
            isinstance(node, BoxGroup)
            and isinstance(last, BoxGroup)
            and follows
            and _alike(last, node)
        ):
            last.times += 1
        else:
            kept.append(node)
        number[i] = len(kept) - 1
    edges = [
        (a if a == ENTRY else number[a], number[b])
        for a, b in group.edges
        if a == ENTRY or number[a] != number[b]
    ]
    exits = list(dict.fromkeys(number[e] for e in group.exits))
    return _with(group, kept, list(dict.fromkeys(edges)), exits)


def _only(group: BoxGroup, i: int) -> bool:
    """Whether a node is fed by the one before it alone, which feeds nothing else."""
    into = [a for a, b in group.edges if b == i]
    out = [b for a, b in group.edges if a == i - 1]
    return into == [i - 1] and out == [i] and i - 1 not in group.exits


def _gathered_rows(box: Box) -> Box:
    rows: list[BoxRow] = []
    for row in box.rows:
        last = rows[-1] if rows else None
        told = (row.words, row.shape, row.params, row.shared)
        if last and told == (last.words, last.shape, last.params, last.shared):
            last.times += row.times
        else:
            rows.append(BoxRow(*told[:1], row.path, row.shape, row.params, row.times, row.shared))
    return Box(rows)


def _alike(one: Node, other: Node) -> bool:
    return list(_signature(one)) == list(_signature(other))


def _signature(node: Node) -> Iterator[object]:
    if isinstance(node, Box):
        yield [(r.words, r.shape, r.params, r.times) for r in node.rows]
        return
    # Uses of one block are told apart by their number alone.
    yield node.name.rstrip("0123456789"), tuple(node.edges), tuple(node.exits)
    for inner in node.nodes:
        yield from _signature(inner)


def _with(
    group: BoxGroup, nodes: list[Node], edges: list[tuple[int, int]], exits: list[int]
) -> BoxGroup:
    return BoxGroup(
        group.name, group.path, nodes, list(edges), list(exits), group.times, group.calls
    )
