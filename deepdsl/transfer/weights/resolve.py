"""Decides how a file lays out its kernels, and says what is wrong where not all was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic, closest
from deepdsl.diagnostics.transfer.weight_matching import (
    AmbiguousMatch,
    LayoutUnknown,
    MissingWeights,
    NothingMatches,
    OrderUnknown,
    WeightsLeftOver,
    WrongShape,
)
from deepdsl.graph import by_times
from deepdsl.language.analysis.reused import Reused
from deepdsl.transfer.weights.conversion import Misfit, Recast
from deepdsl.transfer.weights.matching import MATCHERS, Attempt, Found, MatchTask, keys, shared
from deepdsl.transfer.weights.names import evidence, ignored, plain
from deepdsl.transfer.weights.weight_file import LAYOUTS, Layout, TensorPlace

WORDS: dict[Layout, str] = {
    "torch": "(out, in), as in PyTorch",
    "keras": "(in, out) and channels last, as in Keras",
    "deepdsl": "(in, out)",
}


@record
class Resolved:
    """The attempt that was taken, and what decided how the file is laid out."""

    attempt: Attempt
    told: str


def resolve(
    task: MatchTask, reused: Reused, where: TensorPlace
) -> tuple[Resolved | None, list[Diagnostic]]:
    """Match in every layout that the file may have, and take the one that fits."""
    attempts = _attempts(task, reused)
    best = max(a.score for a in attempts)
    fitting = [a for a in attempts if a.possible] or [a for a in attempts if a.score == best]
    if not best and not any(isinstance(f.made, Misfit) for a in fitting for f in a.found):
        return None, [_nothing(task, reused, where, attempts)]
    chosen, by = _decided(task, reused, attempts, fitting)
    if by is None and any(a.complete for a in fitting):
        return None, [_unknown(fitting, where)]
    problems = list(_problems(task, reused, where, chosen))
    if problems:
        return None, problems
    return Resolved(chosen, _told(attempts, fitting, chosen, by)), []


def _attempts(task: MatchTask, reused: Reused) -> list[Attempt]:
    matcher = MATCHERS[reused.match]
    layouts: tuple[Layout, ...] = task.stored.layouts
    if task.stored.layout is not None:
        layouts = (task.stored.layout,)
    if reused.layout is not None and not task.stored.own:
        layouts = tuple(layout for layout in LAYOUTS if layout == reused.layout)
    return [matcher(task, layout) for layout in layouts]


def _decided(
    task: MatchTask, reused: Reused, attempts: Sequence[Attempt], fitting: Sequence[Attempt]
) -> tuple[Attempt, str | None]:
    """The attempt to take, and by what; by nothing where the layouts that are left differ."""
    if task.stored.own:
        return fitting[0], ""
    if reused.layout is not None:
        return fitting[0], f"layout={reused.layout}"
    if task.stored.layout is not None:
        return fitting[0], task.stored.by
    found = evidence(task.stored.tensors)
    named = [a for a in fitting if a.layout in found]
    chosen = named[0] if named else fitting[0]
    differing = _differing(fitting)
    if not differing:
        names = _deciding(chosen, [a for a in attempts if a not in fitting])
        return chosen, " and ".join(f"`{n}`" for n in names)
    if len(named) == 1:
        return chosen, f"the name `{found[chosen.layout]}`"
    return chosen, None


def _key(found: Found) -> tuple[object, ...]:
    done = found.made.done if isinstance(found.made, Recast) else ""
    return (found.tensors, done)


def _differing(fitting: Sequence[Attempt]) -> list[str]:
    """The tensors that come out differently."""
    first = fitting[0]
    return list(
        dict.fromkeys(
            name
            for other in fitting[1:]
            for one, two in zip(first.found, other.found, strict=True)
            if _key(one) != _key(two)
            for name in one.tensors or two.tensors
        )
    )


def _deciding(chosen: Attempt, others: Sequence[Attempt]) -> list[str]:
    """For each layout that does not fit, a tensor that says so."""
    names: list[str] = []
    for other in others:
        mine = [
            f.tensors[0]
            for f, o in zip(chosen.found, other.found, strict=True)
            if f.fits and f.tensors and not o.fits
        ]
        if mine and not set(mine) & set(names):
            names.append(mine[0])
    return names


def _told(
    attempts: Sequence[Attempt], fitting: Sequence[Attempt], chosen: Attempt, by: str | None
) -> str:
    """How the kernels lie and what said so, where that makes a difference."""
    if not by or (len(attempts) > 1 and len(fitting) == len(attempts) and not _differing(fitting)):
        return ""
    either = len(fitting) > 1 and not _differing(fitting)
    words = WORDS["deepdsl"] if either and chosen.layout != "torch" else WORDS[chosen.layout]
    return f"{words}: by {by}"


def _unknown(fitting: Sequence[Attempt], where: TensorPlace) -> LayoutUnknown:
    layouts: list[str] = []
    seen: list[list[tuple[object, ...]]] = []
    for attempt in fitting:
        made = [_key(f) for f in attempt.found]
        if made not in seen:
            seen.append(made)
            layouts.append(attempt.layout)
    return LayoutUnknown(where.span, tuple(_differing(fitting)), where.shown, tuple(layouts))


# What is wrong ------------------------------------------------------------------------------------


def _problems(
    task: MatchTask, reused: Reused, where: TensorPlace, attempt: Attempt
) -> Iterator[Diagnostic]:
    mine, theirs = attempt.unclear
    if mine:
        yield AmbiguousMatch(reused.span, mine, theirs, where.shown, reused.match)
    yield from _shapes(task, reused, where, attempt)
    for layer, over in attempt.over.items():
        span = next((f.slot.span for f in attempt.found if f.wanted.here == layer), None)
        yield WeightsLeftOver(
            span or reused.span, reused.span, layer, over, where.shown, _surplus(over, attempt)
        )
    unclear = set(mine)
    missing: dict[str, list[Found]] = {}
    for found in attempt.found:
        if found.made is None and not {found.slot.here, found.wanted.here} & unclear:
            missing.setdefault(found.wanted.here, []).append(found)
    yield from _missing(task, reused, where, attempt, missing)


def _surplus(over: Sequence[str], attempt: Attempt) -> str:
    ends = {name.replace("/", ".").rpartition(".")[2] for name in over}
    if ends & {"bias", "bias:0"}:
        return "give the layer here its bias: leave `bias=false` out"
    if ends & {"running_mean", "running_var", "moving_mean", "moving_variance"}:
        return "these are of a `batch_norm`; another kind of layer stands here"
    return ""


def _shapes(
    task: MatchTask, reused: Reused, where: TensorPlace, attempt: Attempt
) -> Iterator[Diagnostic]:
    last = attempt.found[-1].wanted.here
    told: set[str] = set()
    for found in attempt.found:
        if not isinstance(found.made, Misfit) or found.wanted.here in told:
            continue
        told.add(found.wanted.here)
        slot, span = found.slot, found.slot.span or reused.span
        name = found.tensors[0] if found.tensors else slot.there
        if found.made.unordered:
            yield OrderUnknown(span, reused.span, slot.here, name)
            continue
        has = " and ".join(by_times(task.stored.tensors[n].shape) for n in found.tensors)
        yield WrongShape(
            span,
            reused.span,
            slot.here,
            by_times(slot.shape),
            name,
            has,
            where.shown,
            _both_ways(found, attempt.layout),
            found.wanted.here == last,
        )
        if has == by_times(slot.shape):
            return  # it is the layout that is wrong, of all kernels alike


def _both_ways(found: Found, layout: Layout) -> str:
    """Why the shape does not fit, where that is the layout's matter."""
    if found.slot.local != "weight" or found.wanted.kind not in ("dense", "conv"):
        return ""
    if found.wanted.kind == "dense":
        shape = found.slot.shape[::-1] if layout == "torch" else found.slot.shape
        words = WORDS[layout].partition(" and")[0].partition(", as")[0]
        return f"as a kernel {words} it would be {by_times(shape)}"
    if layout == "keras":
        shape = (*found.slot.shape[2:], found.slot.shape[1], found.slot.shape[0])
        return f"with `layout=keras` it would be {by_times(shape)} in the file"
    return ""


def _missing(
    task: MatchTask,
    reused: Reused,
    where: TensorPlace,
    attempt: Attempt,
    missing: dict[str, list[Found]],
) -> Iterator[Diagnostic]:
    over = {name for names in attempt.over.values() for name in names}
    unused = [
        n for n in task.named.names.values() if n not in attempt.used | over and not ignored(n)
    ]
    layers = sorted({n.replace("/", ".").rpartition(".")[0] for n in unused} - {""})
    places: dict[Span, list[str]] = {}
    for layer, found in missing.items():
        places.setdefault(found[0].slot.span or reused.span, []).append(layer)
    advice = _advice(task, reused, attempt, list(missing))
    for span, mine in places.items():
        first = missing[mine[0]]
        near = closest(first[0].wanted.there, layers) or closest(mine[0], layers) or ""
        yield MissingWeights(
            span,
            reused.span,
            tuple(mine),
            tuple(f.slot.local for f in first),
            where.shown,
            near,
            tuple(unused),
            advice,
        )


def _advice(task: MatchTask, reused: Reused, attempt: Attempt, missing: Sequence[str] = ()) -> str:
    """A prefix, or another way of matching, with which all would be found."""
    if task.stored.own:
        return ""
    prefix = _prefix(task)
    if prefix:
        return f'the names begin with more: `prefix="{prefix}"`'
    if reused.match != "strict":
        return ""
    for match in ("shape", "order"):
        other = MATCHERS[match](task, attempt.layout)
        if other.complete:
            rules = _renames(task, other, missing)
            said = (
                f"`rename=[{' '.join(rules)}]` or `match={match}`" if rules else f"`match={match}`"
            )
            return f"names differ, and the layers fit: {said}"
    norms = any(w.kind == "batch_norm" for w in task.wanted)
    if norms and task.stored.shown.endswith(".onnx"):
        return (
            "a graph made for inference has its batch norms folded away: "
            f'`use "{task.stored.shown}" as NAME` takes its layers as they are'
        )
    return ""


def _renames(task: MatchTask, attempt: Attempt, missing: Sequence[str]) -> list[str]:
    """What would have to be renamed, where that is little."""
    made = {}
    for found in attempt.found:
        if found.wanted.here in missing and found.tensors:
            theirs = plain(found.tensors[0]).rpartition(".")[0]
            made[found.wanted.here] = f'"{theirs}={found.wanted.there}"'
    return list(made.values()) if len(made) <= 3 else []


def _prefix(task: MatchTask) -> str:
    """What the names in the file begin with before those of the layers here."""
    known = {f"{key}." for key in keys(task.wanted)}
    found: dict[str, set[str]] = {}
    for name in task.named.names:
        for key in known:
            at = name.find(f".{key}")
            if at > 0:
                found.setdefault(name[: at + 1], set()).add(key)
    best = max(found, key=lambda p: len(found[p]), default="")
    return best if best and len(found[best]) >= len(task.wanted) else ""


def _nothing(
    task: MatchTask, reused: Reused, where: TensorPlace, attempts: Sequence[Attempt]
) -> Diagnostic:
    mine, theirs = attempts[0].unclear
    if mine:
        return AmbiguousMatch(reused.span, mine, theirs, where.shown, reused.match)
    common = shared([w.there for w in task.wanted])
    ours = tuple(s.there.removeprefix(common) for w in task.wanted for s in w.slots)
    advice = next((a for t in attempts if (a := _advice(task, reused, t))), "")
    return NothingMatches(
        where.span, reused.path, where.shown, ours, tuple(task.named.names.values()), advice
    )
