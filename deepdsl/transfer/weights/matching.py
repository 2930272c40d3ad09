"""Which layer of a file is which layer here, by name, by shape, or by order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from deepdsl.core.record import record
from deepdsl.transfer.weights.conversion import Leaf, Made, Misfit, Recast
from deepdsl.transfer.weights.conversion_rules import anonymous, recast
from deepdsl.transfer.weights.names import NamedTensor, layers_of
from deepdsl.transfer.weights.targets import TargetLayer, TargetTensor
from deepdsl.transfer.weights.weight_file import Layout, Stored


@record
class Found:
    """What was found for a parameter: how it is made, of which tensors of the file."""

    slot: TargetTensor
    wanted: TargetLayer
    made: Made
    tensors: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return isinstance(self.made, Recast)


@record
class Attempt:
    """An attempt to find all parameters, with the file laid out in one way.

    `over` are tensors of a layer that was found which the layer here has no place for; `unclear`
    are layers here that several of the file fit, and those.
    """

    layout: Layout
    found: tuple[Found, ...]
    over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unclear: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def score(self) -> int:
        return sum(f.fits for f in self.found)

    @property
    def complete(self) -> bool:
        return self.score == len(self.found) and not self.over and not self.unclear[0]

    @property
    def possible(self) -> bool:
        """Whether it would be complete if what is unclear were told."""
        unclear = set(self.unclear[0])
        return not self.over and all(
            f.fits or {f.slot.here, f.wanted.here} & unclear for f in self.found
        )

    @property
    def used(self) -> set[str]:
        return {name for f in self.found for name in f.tensors}


@record
class MatchTask:
    """What is to be matched: the layers here, the file, and its names as they are met here."""

    wanted: tuple[TargetLayer, ...]
    stored: Stored
    named: NamedTensor
    renamed: bool = False

    def leaf(self, name: str) -> Leaf:
        tensor = self.stored.tensors[self.named.names[name]]
        return Leaf(tensor.shape, tensor.turned)


Matcher = Callable[[MatchTask, Layout], Attempt]


# A layer with the tensors of a layer --------------------------------------------------------------


def _fill(
    task: MatchTask, wanted: TargetLayer, layer: Mapping[str, str], layout: Layout
) -> tuple[list[Found], list[str]]:
    """The parameters of a layer from those of one of the file, and what of it nothing took.

    `layer` has the names by what the tensors are called in their layer.
    """
    leaves = {leaf: task.leaf(name) for leaf, name in layer.items()}
    found, used = [], set()
    for slot in wanted.slots:
        made = recast(wanted, slot, leaves, layout)
        names = tuple(made.leaves) if made is not None else ()
        used |= set(names)
        files = tuple(task.named.names[layer[leaf]] for leaf in names)
        found.append(Found(slot, wanted, made, files))
    over = [task.named.names[name] for leaf, name in layer.items() if leaf not in used]
    return found, over


def _nothing(wanted: TargetLayer) -> list[Found]:
    return [Found(slot, wanted, None) for slot in wanted.slots]


# By name ------------------------------------------------------------------------------------------


def strict(task: MatchTask, layout: Layout) -> Attempt:
    """Each layer from that of its name."""
    if task.stored.own:
        return _own(task, layout)
    layers = _by_name(task)
    found: list[Found] = []
    over: dict[str, tuple[str, ...]] = {}
    for wanted in task.wanted:
        layer = layers.get(wanted.here)
        made, rest = _fill(task, wanted, layer, layout) if layer else (_nothing(wanted), [])
        found += made
        if rest:
            over[wanted.here] = tuple(rest)
    return Attempt(layout, tuple(found), over)


def _own(task: MatchTask, layout: Layout) -> Attempt:
    """Names and shapes as they are, as a checkpoint of ours has them."""
    found, own, taken = [], keys(task.wanted), set()
    for wanted in task.wanted:
        for slot in wanted.slots:
            tails = [
                f"{key}.{slot.local}" for key, w in own.items() if w is wanted and task.renamed
            ]
            name = next((n for n in (slot.there, *tails) if n in task.named.names), None)
            if name is None:
                found.append(Found(slot, wanted, None))
                continue
            taken.add(name)
            leaf = task.leaf(name)
            fits = leaf.shape == slot.shape
            made = Recast(("",), lambda a: a) if fits else Misfit(("",))
            found.append(Found(slot, wanted, made, (task.named.names[name],)))
    over: dict[str, tuple[str, ...]] = {}
    layers = {w.there: w.here for w in task.wanted}
    for name in task.named.names:
        layer = layers.get(name.rpartition(".")[0])
        if layer is not None and name not in taken:
            over[layer] = (*over.get(layer, ()), name)
    return Attempt(layout, tuple(found), over)


def levels(wanted: Sequence[TargetLayer]) -> tuple[dict[str, TargetLayer], ...]:
    """What layers may be called: by their path there, by that within the piece, by that here."""
    common = shared([w.there for w in wanted])
    return (
        {w.there: w for w in wanted},
        {w.there.removeprefix(common): w for w in wanted},
        {w.here: w for w in wanted},
    )


def keys(wanted: Sequence[TargetLayer]) -> dict[str, TargetLayer]:
    """All of these; what two layers are called is the first one's."""
    made: dict[str, TargetLayer] = {}
    for level in levels(wanted):
        for key, w in level.items():
            made.setdefault(key, w)
    return made


def shared(paths: Sequence[str]) -> str:
    """The pieces that all paths begin with, and a dot; never a whole path."""
    if not paths:
        return ""
    first, pieces = paths[0].split("."), 0
    while pieces < len(first) - 1 and all(
        p.startswith(".".join(first[: pieces + 1]) + ".") for p in paths
    ):
        pieces += 1
    return "".join(f"{p}." for p in first[:pieces])


def _by_name(task: MatchTask) -> dict[str, dict[str, str]]:
    """For each layer here the tensors of the file that have its name, by what is after it.

    A file calls all of them in one way; what was renamed may be called in any.
    """
    names = [n for n in task.named.names if n not in task.named.renamed]
    found = [_called_so(names, level) for level in levels(task.wanted)]
    made = max(found, key=len)
    for here, layer in _called_so(task.named.renamed, keys(task.wanted)).items():
        made[here] = {**made.get(here, {}), **layer}
    return made


def _called_so(names: Iterable[str], known: Mapping[str, TargetLayer]) -> dict[str, dict[str, str]]:
    made: dict[str, dict[str, str]] = {}
    for name in names:
        pieces = name.split(".")
        for count in range(len(pieces) - 1, 0, -1):
            key = ".".join(pieces[:count])
            if key in known:
                made.setdefault(known[key].here, {})[".".join(pieces[count:])] = name
                break
    return made


# By order -----------------------------------------------------------------------------------------


def natural(name: str) -> list[tuple[int, int | str]]:
    """`conv_10` after `conv_9`."""
    return [(0, int(p)) if p.isdigit() else (1, p) for p in re.split(r"(\d+)", name) if p]


def listed(task: MatchTask) -> dict[str, dict[str, str]]:
    """The layers of the file in their order, as far as it has one."""
    layers = layers_of(task.named.names)
    if task.stored.ordered:
        return layers
    return {name: layers[name] for name in sorted(layers, key=natural)}


def by_order(task: MatchTask, layout: Layout) -> Attempt:
    """The first layer with weights here from the first one of the file, and so on."""
    layers = listed(task)
    if not task.stored.ordered:
        if any("" not in layer for layer in layers.values()):
            return _by_numbers(task, layers, layout)
        if len({numberless(name) for name in layers}) > 1:
            everything = tuple(w.here for w in task.wanted)
            return Attempt(layout, tuple(_all_missing(task)), unclear=(everything, tuple(layers)))
    queue = list(layers.items())
    found: list[Found] = []
    over: dict[str, tuple[str, ...]] = {}
    for wanted in task.wanted:
        layer = _next(queue, wanted, layout)
        if not layer:
            found += _nothing(wanted)
            continue
        made, rest = _fill(task, wanted, layer, layout)
        found += made
        if rest:
            over[wanted.here] = tuple(rest)
    return Attempt(layout, tuple(found), over)


def _by_numbers(task: MatchTask, layers: dict[str, dict[str, str]], layout: Layout) -> Attempt:
    """In a file without an order the numbers in the names tell it, among layers of one shape that
    differ in nothing but these numbers.
    """
    left = dict(layers)
    found: list[Found] = []
    unclear: dict[str, tuple[str, ...]] = {}
    for wanted in task.wanted:
        alike = tuple(_fitting(task, wanted, layers, layout))
        if len({numberless(name) for name in alike}) > 1:
            unclear[wanted.here] = alike
        name = next((n for n in alike if n in left), None)
        if name is None:
            found += _nothing(wanted)
        else:
            found += _fill(task, wanted, left.pop(name), layout)[0]
    names = dict.fromkeys(name for alike in unclear.values() for name in alike)
    return Attempt(layout, tuple(found), unclear=(tuple(unclear), tuple(names)))


def numberless(name: str) -> str:
    return re.sub(r"\d+", "", name)


def _all_missing(task: MatchTask) -> Iterator[Found]:
    for wanted in task.wanted:
        yield from _nothing(wanted)


def _next(
    queue: list[tuple[str, dict[str, str]]], wanted: TargetLayer, layout: Layout
) -> dict[str, str]:
    """The next layer of a file, or this many tensors without names of their own as one takes."""
    if not queue:
        return {}
    if "" not in queue[0][1]:
        return queue.pop(0)[1]
    layer = {}
    for leaf in anonymous(wanted, layout):
        if queue and "" in queue[0][1]:
            layer[leaf] = queue.pop(0)[1][""]
    return layer


# By shape -----------------------------------------------------------------------------------------


def by_shape(task: MatchTask, layout: Layout) -> Attempt:
    """Each layer from the only one that fits it; tensors without names of layers one by one."""
    layers = listed(task)
    items = list(task.wanted)
    if layers and all("" in layer for layer in layers.values()):
        items = [replace(w, slots=(slot,)) for w in task.wanted for slot in w.slots]
    fits = {n: list(_fitting(task, w, layers, layout)) for n, w in enumerate(items)}
    taken = _settled(fits)
    found: list[Found] = []
    for number, wanted in enumerate(items):
        layer = taken.get(number)
        if layer is None:
            found += _nothing(wanted)
        else:
            found += _fill(task, wanted, _called(wanted, layers[layer], layout), layout)[0]
    open_ = [n for n in fits if n not in taken and fits[n]]
    names = dict.fromkeys(name for n in open_ for name in fits[n])
    return Attempt(
        layout,
        tuple(found),
        unclear=(tuple(_told(items[n]) for n in open_), tuple(names)),
    )


def _told(wanted: TargetLayer) -> str:
    return wanted.slots[0].here if len(wanted.slots) == 1 else wanted.here


def _called(wanted: TargetLayer, layer: dict[str, str], layout: Layout) -> dict[str, str]:
    """The tensors of a layer; one without a name is called as what is wanted."""
    if "" not in layer:
        return layer
    return {wanted.slots[0].local: layer[""]} if len(wanted.slots) == 1 else {}


def _fitting(
    task: MatchTask, wanted: TargetLayer, layers: Mapping[str, dict[str, str]], layout: Layout
) -> Iterator[str]:
    """The layers of a file that fill one here, with nothing left over."""
    for name, layer in layers.items():
        called = _called(wanted, layer, layout)
        if called:
            found, over = _fill(task, wanted, called, layout)
            if not over and all(f.fits for f in found):
                yield name


def _settled(fits: Mapping[int, list[str]]) -> dict[int, str]:
    """What the shapes leave one way for: a layer that only one fits takes that from the others."""
    left = {n: list(names) for n, names in fits.items()}
    taken: dict[int, str] = {}
    while True:
        single = [(n, names[0]) for n, names in left.items() if len(names) == 1]
        # Two that want the same one are both left open.
        sure = [(n, name) for n, name in single if [m for _, m in single].count(name) == 1]
        if not sure:
            return taken
        for number, name in sure:
            taken[number] = name
            del left[number]
            for names in left.values():
                if name in names:
                    names.remove(name)


MATCHERS: Mapping[str, Matcher] = {"strict": strict, "order": by_order, "shape": by_shape}
