"""How far a training is: a frozen value, and the meta data of every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from deepdsl.core.record import record
from deepdsl.training.metric_sums import Figures
from deepdsl.training.stages import Arrays, Proof, StatePlace, proofs_in
from deepdsl.transfer.weights.checkpoint import Checkpoint

Best = tuple[int, float]


@record
class PlateauCounters:
    """What the schedule `plateau` counts: `waited` epochs went by without improvement; `resting`
    more are not counted.
    """

    best: float | None = None
    waited: int = 0
    resting: int = 0

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> PlateauCounters:
        return cls(saved.get("best"), int(saved.get("waited", 0)), int(saved.get("resting", 0)))

    def as_json(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "resting": self.resting}


@record
class TrainingState:
    """Everything that a training knows between two steps, apart from its tensors.

    `epoch` epochs are done, and `steps_done` steps of the next one, whose running sums are `sums`.
    `best` is the best value of the watched figure `on` in this phase, with its epoch.  `train` are
    the figures of the last epoch, `best_train` those of the best one.
    """

    epoch: int = 0
    steps_done: int = 0
    sums: Mapping[str, Any] = field(default_factory=dict)
    place: StatePlace = StatePlace()
    on: str = ""
    best: Best | None = None
    plateau: PlateauCounters | None = None
    train: Figures = field(default_factory=dict)
    best_train: Figures = field(default_factory=dict)
    proofs: tuple[Proof, ...] = ()

    # On the disk ----------------------------------------------------------------------------------

    @classmethod
    def from_checkpoint(cls, saved: Checkpoint) -> TrainingState:
        """The state that a checkpoint describes; a training with one stage does not write its
        place.
        """
        watched = saved.watched
        plateau = watched.get("plateau")
        return cls(
            saved.epoch,
            saved.steps_done,
            saved.sums,
            StatePlace(int(watched.get("stage", 0)), int(watched.get("phase_epochs", saved.epoch))),
            watched.get("on", ""),
            saved.best,
            None if plateau is None else PlateauCounters.from_json(plateau),
            watched.get("train", {}),
            watched.get("best_train", {}),
            tuple(proofs_in(watched)),
        )

    def checkpoint(self, tensors: Arrays, several_stages: bool) -> Checkpoint:
        """The checkpoint of this state with its tensors."""
        watched: dict[str, Any] = {
            "on": self.on,
            "train": dict(self.train),
            "best_train": dict(self.best_train),
        }
        if several_stages:
            watched |= {"stage": self.place.stage, "phase_epochs": self.place.epochs}
            watched["proofs"] = [proof.as_json() for proof in self.proofs]
        if self.plateau is not None:
            watched["plateau"] = self.plateau.as_json()
        return Checkpoint(tensors, self.epoch, self.steps_done, self.sums, self.best, watched)

    # What follows ---------------------------------------------------------------------------------

    def watching(self, on: str, plateau: bool, new_phase: bool) -> TrainingState:
        """The state in which a stage begins or is resumed that watches `on`.

        A phase starts from scratch.  Where a checkpoint was watching another figure, the best value
        of that says nothing about this one.
        """
        same = self.on in ("", on) and not new_phase
        counters = PlateauCounters() if new_phase or self.plateau is None else self.plateau
        best = self.best if same else None
        return replace(self, on=on, best=best, plateau=counters if plateau else None)

    def paused(self, steps_done: int, sums: Mapping[str, Any]) -> TrainingState:
        """The state after some steps of an epoch that is not complete."""
        return replace(self, steps_done=steps_done, sums=sums)

    def after_epoch(self, best: Best | None) -> TrainingState:
        """The state after a complete epoch; `best` is given if it is the best so far.  Whether its
        phase goes on is decided from that (`moved`).
        """
        best = best or self.best
        return replace(self, epoch=self.epoch + 1, steps_done=0, sums={}, best=best)

    def moved(self, place: StatePlace) -> TrainingState:
        return replace(self, place=place)

    def proved(self, proof: Proof | None) -> TrainingState:
        return self if proof is None else replace(self, proofs=(*self.proofs, proof))
