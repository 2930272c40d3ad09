"""What is frozen in each phase of a training, and how a training falls into phases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics import Label
from deepdsl.diagnostics.language.freezing import (
    AllFrozen,
    HalfFrozen,
    MatchesNothing,
    NothingFrozenThere,
    ThroughForeign,
)
from deepdsl.language.analysis.freezing import Freezing
from deepdsl.language.analysis.model import Model, Training
from deepdsl.language.analysis.values import Environment
from deepdsl.language.sections.freeze_rows import Freeze, LrMult, Unfreeze
from deepdsl.language.syntax import ast


@record
class PlacedRow:
    """A row about freezing, with what it was made from."""

    row: Freeze | Unfreeze | LrMult
    syntax: ast.Row

    def spans(self) -> Iterator[tuple[str, Span]]:
        """Each pattern of the row with its place."""
        if isinstance(self.row, LrMult):
            names = [a.name.span for a in self.syntax.args if isinstance(a, ast.Keyword)]
            yield from zip((path for path, _ in self.row.feeds), names, strict=True)
        else:
            values = [a.span for a in self.syntax.args if not isinstance(a, ast.Keyword)]
            yield from zip(self.row.paths, values, strict=True)


@record
class PhasePart:
    """What a phase says: its name, its settings, the rows about freezing."""

    name: str
    span: Span
    settings: Mapping[str, Any]
    spans: Mapping[str, Span]
    rows: Sequence[PlacedRow]


@record
class _Held:
    """A layer or a tensor that is frozen: until which epoch of the phase (0 for its end).

    `whole` is what a row before the phases said, whose epochs are those of all phases.
    """

    until: int = 0
    moving: bool = False
    whole: int = 0


class _Ice:
    """What is frozen as the phases go by."""

    def __init__(self, model: Model, env: Environment) -> None:
        self.model, self.env = model, env
        self.fresh: frozenset[str] = frozenset().union(*(r.fresh for r in model.reused))
        self.calls: dict[str, _Held] = {}
        self.tensors: dict[str, _Held] = {}  # those that were named one by one
        self.rates: dict[str, float] = {}
        self.patterns: dict[str, Span] = {}
        self.cache = "auto"
        self.epochs = 0  # of the phases that went by
        self.unclear = False  # a `freeze` that matches nothing meant something

    # Rows -----------------------------------------------------------------------------------------

    def take(self, placed: PlacedRow, in_phase: bool = False) -> None:
        rates = dict(placed.row.feeds) if isinstance(placed.row, LrMult) else {}
        for pattern, span in placed.spans():
            calls, tensors = self.matched(pattern)
            if not calls and not tensors:
                paths = (*self.model.pieces, *(c.path for c in self.model.calls))
                names = tuple(dict.fromkeys((*paths, *(p.name for p in self.model.params))))
                self.env.say(MatchesNothing(span, placed.row.name, pattern, names))
                self.unclear |= isinstance(placed.row, Freeze)
            elif isinstance(placed.row, Freeze):
                until = placed.row.until or 0
                whole = 0 if in_phase else until
                held = _Held(until, placed.row.batch_norm == "update", whole)
                self.patterns[pattern] = span
                self.calls.update(dict.fromkeys(calls, held))
                self.tensors.update(dict.fromkeys(tensors, held))
                self.cache = self.cache if placed.row.cache == "auto" else placed.row.cache
            elif isinstance(placed.row, Unfreeze):
                self._thaw(pattern, span, calls, tensors)
            else:
                self._rate(rates[pattern], calls, tensors)

    def _thaw(self, pattern: str, span: Span, calls: Sequence[str], tensors: Sequence[str]) -> None:
        frozen = [c for c in calls if c in self.calls] + [t for t in tensors if t in self.tensors]
        inside = [t for t in self.tensors if any(t.startswith(f"{c}.") for c in calls)]
        if not frozen and not inside and not self.unclear:
            layer = next((c for c in self.calls if {*tensors} & {*self.owned([c])}), "")
            self.env.say(NothingFrozenThere(span, pattern, tuple(self.patterns), layer))
        for path in (*frozen, *inside):
            self.calls.pop(path, None)
            self.tensors.pop(path, None)
        self._forget()

    def _forget(self) -> None:
        """Leave out the patterns of which nothing is frozen any more."""

        def holds(pattern: str) -> bool:
            calls, tensors = self.matched(pattern)
            return bool(self.calls.keys() & calls or self.tensors.keys() & tensors)

        self.patterns = {p: span for p, span in self.patterns.items() if holds(p)}

    def _rate(self, rate: float, calls: Sequence[str], tensors: Sequence[str]) -> None:
        # What a tied layer borrows is not below its path.
        own = [t for c in calls for t in self.owned([c]) if t.startswith(f"{c}.")]
        self.rates.update(dict.fromkeys((*own, *tensors), rate))

    def matched(self, pattern: str) -> tuple[list[str], list[str]]:
        """The layers at and below a path, and the tensors that are named one by one: those of these
        layers are not, as a pattern such as `body.*` means the layers whole.
        """
        calls = [c.path for c in self.model.calls if any(_is(pattern, p) for p in _ways(c.path))]
        inside = {*self.owned(calls)}
        single = (p for p in self.model.params if p.trainable and p.name not in inside)
        return list(dict.fromkeys(calls)), [p.name for p in single if _is(pattern, p.name)]

    def owned(self, calls: Iterable[str]) -> Iterator[str]:
        """The parameters of layers, those that they borrow from others among them."""
        wanted = frozenset(calls)
        for call in self.model.calls:
            if call.path in wanted:
                yield from (p.name for p in call.params)

    # What holds from an epoch on ------------------------------------------------------------------

    def turns(self, epochs: int) -> list[int]:
        """The epochs of a phase after which something is unfrozen."""
        held = (*self.calls.values(), *self.tensors.values())
        named = sorted({h.until for h in held if 0 < h.until < epochs})
        # Nothing is unfrozen where a tensor's time is up and its layer still is.
        return [n for b, n in zip((0, *named), named, strict=False) if self.at(b) != self.at(n)]

    def at(self, epoch: int) -> Freezing:
        """What is frozen from an epoch of the phase on."""
        afresh = {c.path for c in self.model.calls if any(p.name in self.fresh for p in c.params)}
        calls = {
            path: held
            for path, held in self.calls.items()
            if not (0 < held.until <= epoch) and path not in afresh
        }
        single = {t for t, held in self.tensors.items() if not (0 < held.until <= epoch)}
        tensors = {*self.owned(calls), *single} - self.fresh
        told = {}
        for pattern in self.patterns:
            inside, named = self.matched(pattern)
            found = [t for t in (*self.owned(inside), *named) if t in tensors]
            if found:
                told[pattern] = tuple(dict.fromkeys(found))
        moving = {
            c.path
            for c in self.model.calls
            if c.path in calls
            and calls[c.path].moving
            and any(p.role == "statistic" for p in c.params)
        }
        tensors -= {
            p.name
            for c in self.model.calls
            if c.path in moving
            for p in c.params
            if p.role == "statistic"
        }
        rates = {
            p.name: self.rates[p.name]
            for p in self.model.params
            if p.trainable and p.name not in tensors and self.rates.get(p.name, 1.0) != 1.0
        }
        return Freezing(
            frozenset(calls),
            frozenset(tensors),
            frozenset(moving),
            rates,
            told,
            self.cache,
        )

    def end_phase(self, epochs: int, last: bool) -> tuple[tuple[int, int], ...]:
        """What is unfrozen within a phase, or with its end, is free in the next one.  Gives each
        `until=` that never comes, with the epochs that there are.
        """
        self.epochs += epochs
        late: set[tuple[int, int]] = set()
        for held in (self.calls, self.tensors):
            for path, h in [(p, h) for p, h in held.items() if h.until]:
                if h.until < epochs or (h.until == epochs and not last):
                    del held[path]
                elif h.whole and not last:
                    held[path] = replace(h, until=h.until - epochs)
                else:
                    late.add((h.whole, self.epochs) if h.whole else (h.until, epochs))
                    held[path] = replace(h, until=0)
        self._forget()
        return tuple(sorted(late))


def _ways(path: str) -> Iterator[str]:
    """A path, and those of the parts that it is in."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _is(pattern: str, path: str) -> bool:
    return fnmatchcase(path, pattern) if "*" in pattern or "?" in pattern else path == pattern


# Phases -------------------------------------------------------------------------------------------


def in_phases(
    training: Training,
    model: Model,
    parts: Sequence[PhasePart],
    rows: Sequence[PlacedRow],
    env: Environment,
) -> Training:
    """The training with its phases; `rows` are those about freezing that are before them."""
    ice = _Ice(model, env)
    for placed in rows:
        ice.take(placed)
    stages: list[Training] = []
    phases = parts or (PhasePart("", training.span, {}, {}, ()),)
    for part in phases:
        for placed in part.rows:
            ice.take(placed, in_phase=True)
        base = replace(training, phase=part.name, span=part.span, **_settings(training, part))
        base = replace(base, clock=len(stages))
        turns = ice.turns(base.epochs)
        for begins, ends in zip((0, *turns), (*turns, 0), strict=True):
            stages.append(replace(base, begins=begins, ends=ends, freezing=ice.at(begins)))
        late = ice.end_phase(base.epochs, part is phases[-1])
        stages[-1] = replace(stages[-1], freezing=replace(stages[-1].freezing, late=late))
    for stage in stages:
        _look_at(stage, model, env)
    stages = _with_births(stages, model)
    if len(stages) == 1 and not parts:
        return replace(training, freezing=stages[0].freezing)
    epochs = sum(s.epochs for s in stages if not s.begins)
    first = stages[0]
    return replace(
        training,
        epochs=epochs,
        optimizer=first.optimizer,
        schedule=first.schedule,
        freezing=first.freezing,
        phases=tuple(stages),
    )


def _with_births(stages: Sequence[Training], model: Model) -> list[Training]:
    """The stages, each with the numbers of those in which its tensors' optimizer state began.

    A tensor that was trained in the stage before, by an optimizer with the same state, continues;
    all others begin from scratch.
    """
    made: list[Training] = []
    before: dict[str, int] = {}
    for number, stage in enumerate(stages):
        same = bool(made) and made[-1].optimizer.goes_on_as(stage.optimizer)
        births = {
            p.name: before.get(p.name, number) if same else number
            for p in model.params
            if stage.freezing.trains(p)
        }
        made.append(replace(stage, births={t: n for t, n in births.items() if n}))
        before = births
    return made


def _settings(training: Training, part: PhasePart) -> dict[str, Any]:
    given = part.settings
    made = {k: given[k] for k in ("optimizer", "schedule", "clip", "stop") if k in given}
    epochs = given["epochs"].count if "epochs" in given else training.epochs
    return {**made, "epochs": epochs, "spans": {**training.spans, **part.spans}}


def _look_at(stage: Training, model: Model, env: Environment) -> None:
    """Say what cannot be trained in a stage."""
    freezing = stage.freezing
    if not any(freezing.trains(p) for p in model.params):
        env.say(AllFrozen(stage.spans.get("freeze", stage.span), stage.phase))
    _shared(stage, model, env)
    moved = {c.output for c in model.calls if any(freezing.trains(p) for p in c.params)}
    for call in model.calls:
        above = [v for v in call.inputs if v in moved]
        if above and not call.layer.differentiable:
            told = model.call_of(next(v for v in above))
            layer: Any = call.layer
            env.say(
                ThroughForeign(
                    call.span,
                    layer.operator,
                    layer.node,
                    layer.tensor,
                    told.path if told is not None else "",
                    stage.phase,
                )
            )
            return
        if above:
            moved.add(call.output)


def _shared(stage: Training, model: Model, env: Environment) -> None:
    """A tensor that one layer holds still and another one trains."""
    frozen = stage.freezing.calls
    for call in model.calls:
        if call.path in frozen:
            continue
        for param in call.params:
            if not param.trainable or param.name not in stage.freezing.tensors:
                continue
            others = [
                c
                for c in model.calls
                if c.path in frozen and param.name in {p.name for p in c.params}
            ]
            if others:
                labels = (Label(call.span, f"`{call.path}` trains it"),)
                span = stage.spans.get("freeze", stage.span)
                env.say(HalfFrozen(span, param.name, others[0].path, call.path, labels))
                return
