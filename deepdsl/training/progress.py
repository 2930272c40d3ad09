"""What a checkpoint says of a training beside its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from deepdsl.core.record import record
from deepdsl.training.metric_sums import Figures
from deepdsl.training.stages import Proof, proofs_in
from deepdsl.transfer.weights.checkpoint import Checkpoint


@record
class TrainingProgress:
    """How far a training is: the figure that is watched and those of the last and the best epoch,
    the stage with the epochs of its phase that are done, the proofs of frozen tensors so far, and
    the counters of the schedule `plateau`.
    """

    on: str = ""
    train: Figures = field(default_factory=dict)
    best_train: Figures = field(default_factory=dict)
    stage: int = 0
    phase_epochs: int = 0
    proofs: tuple[Proof, ...] = ()
    plateau: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> TrainingProgress:
        """What a checkpoint says; a training with one stage does not write its stage."""
        kept = checkpoint.watched
        return cls(
            kept.get("on", ""),
            kept.get("train", {}),
            kept.get("best_train", {}),
            int(kept.get("stage", 0)),
            int(kept.get("phase_epochs", checkpoint.epoch)),
            tuple(proofs_in(kept)),
            kept.get("plateau"),
        )

    def as_json(self, several_stages: bool) -> dict[str, Any]:
        """What a checkpoint keeps."""
        kept: dict[str, Any] = {
            "on": self.on,
            "train": dict(self.train),
            "best_train": dict(self.best_train),
        }
        if several_stages:
            kept |= {"stage": self.stage, "phase_epochs": self.phase_epochs}
            kept["proofs"] = [proof.as_json() for proof in self.proofs]
        if self.plateau is not None:
            kept["plateau"] = dict(self.plateau)
        return kept
