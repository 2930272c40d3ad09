"""What a training does to each layer in each of its phases: frozen or not, how fast it learns,
where its weights come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.text import plural
from deepdsl.graph import Param
from deepdsl.language.analysis.model import CheckedProgram, LayerCall, Model, Training
from deepdsl.language.frozen_prefix import cut_frozen


@record
class PlannedTensor:
    """A tensor in a phase: its rate at the beginning of the phase; None where it is not trained, as
    running values of batch norm never are.
    """

    path: str
    frozen: bool
    lr: float | None
    source: str

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "frozen": self.frozen,
            "lr": self.lr,
            "source": self.source,
        }


@record
class PlannedPhase:
    """A stage of a training; `cached` are the layers whose outputs are kept, and `why_not` says why
    there are none where something is frozen.
    """

    name: str
    training: Training
    tensors: tuple[PlannedTensor, ...]
    cached: frozenset[str]
    why_not: str

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "epochs": self.training.length,
            "optimizer": self.training.optimizer.show(),
            "schedule": self.training.schedule.show(),
            "cached": sorted(self.cached),
            "not_cached_because": self.why_not or None,
            "tensors": [tensor.as_json() for tensor in self.tensors],
        }


@record
class Plan:
    """The phases of one training."""

    model: Model
    training: Training
    phases: tuple[PlannedPhase, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "data": self.training.data,
            "phases": [phase.as_json() for phase in self.phases],
        }

    def rows(self, tensors: bool = False) -> list[list[str]]:
        """A table: a row for each layer with weights (for each tensor), a column for each phase."""
        head = ["tensor" if tensors else "layer", "numbers", "weights from"]
        several = len(self.phases) > 1
        head += [_head(p, f"stage {n}" * several) for n, p in enumerate(self.phases, 1)]
        made = [head]
        planned = [{t.path: t for t in phase.tensors} for phase in self.phases]
        reused = {t for r in self.model.reused for t in r.kept}
        seen: set[str] = set()
        for call in self.model.calls:
            own = [p for p in call.params if p.name not in seen]
            seen.update(p.name for p in own)
            for group in [[p] for p in own] if tensors else [own] * bool(own):
                # Biases and norms begin as they all do, but for those that are reused.
                telling = [p for p in group if p.role == "weight" or p.name in reused]
                told = [planned[0][p.name].source for p in telling]
                told = told or [
                    f"tied to {owner.rpartition('.')[0]}" for owner in call.layer.borrows
                ]
                numbers = f"{sum(p.type.count or 0 for p in group):,}"
                name = group[0].name if tensors else call.path
                cells = [name, numbers, ", ".join(list(dict.fromkeys(told))[:2])]
                made.append([*cells, *self._states(call, group, planned)])
        return made

    def _states(
        self,
        call: LayerCall,
        group: Sequence[Param],
        planned: Sequence[Mapping[str, PlannedTensor]],
    ) -> list[str]:
        """What some tensors of a layer do in each phase."""
        cells = []
        for phase, tensors in zip(self.phases, planned, strict=True):
            trained = [tensors[p.name] for p in group if p.trainable or len(group) == 1]
            text = ", ".join(dict.fromkeys(_told(t) for t in trained))
            if call.path in phase.training.freezing.moving:
                text += ", statistics move"
            cells.append(f"{text}, cached" if call.path in phase.cached else text)
        return cells


def _told(tensor: PlannedTensor) -> str:
    if tensor.frozen:
        return "frozen"
    return "moves" if tensor.lr is None else f"{tensor.lr:g}"


def _head(phase: PlannedPhase, otherwise: str) -> str:
    name = phase.name or otherwise or "training"
    length = phase.training.length
    return f"{name} ({length} {plural(length, 'epoch')})"


def _start(param: Param) -> str:
    return param.init.show() if hasattr(param.init, "show") else str(param.init)


def _sources(model: Model) -> Mapping[str, str]:
    """For each reused tensor, the piece that it is from; one that begins from scratch is not
    there.
    """
    found: dict[str, str] = {}
    for reused in model.reused:
        where = f" ({reused.weights})" if reused.weights else ""
        told = f"{reused.path}{where}"
        found.update(dict.fromkeys(reused.kept, told))
    return found


def plan(program: CheckedProgram, training: Training) -> Plan:
    """What a training does in each phase, as far as the text says it."""
    model, data = program.models[training.model], program.datasets[training.data]
    sources = _sources(model)
    phases = []
    for stage in training.stages:
        freezing = stage.freezing
        tensors = tuple(
            PlannedTensor(
                p.name,
                p.name in freezing.tensors,
                _rate(p, stage),
                sources.get(p.name) or _start(p),
            )
            for p in model.params
        )
        cached: frozenset[str] = frozenset()
        why_not = ""
        if freezing.tensors:
            cut = cut_frozen(model, freezing, data)
            if isinstance(cut, str):
                why_not = cut
            else:
                cached = frozenset(cut.layers)
        phases.append(PlannedPhase(stage.phase, stage, tensors, cached, why_not))
    return Plan(model, training, tuple(phases))


def _rate(param: Param, stage: Training) -> float | None:
    """The rate at which a tensor learns; None where it is frozen.  Statistics have none."""
    if not stage.freezing.trains(param):
        return None
    return stage.optimizer.lr * stage.freezing.rates.get(param.name, 1.0)
