"""A lint about keeping the outputs of frozen layers."""

from __future__ import annotations

from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.language.analysis.model import CheckedProgram, Training
from deepdsl.language.frozen_prefix import cut_frozen
from deepdsl.language.lints.base import Lint


@record
class NothingToKeep(Lint):
    """`cache=ram` or `cache=disk`, and there is nothing that could be kept.

    The outputs of frozen layers are computed once where they are the same in every epoch: from the
    input to the cut all weights are frozen, no layer draws random numbers, and the rows are not
    augmented. `cache=auto`, which needs no word, keeps them wherever that is so.

    ```wrong
    data digits { train builtin digits; scale (1 / 16); augment crop pad=1 }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; freeze body cache=ram }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits { loss cross_entropy; seed 1; freeze body cache=ram }
    ```
    """

    code = "W510"
    cache: str
    reason: str

    @property
    def message(self) -> str:
        return f"`cache={self.cache}`, and no outputs can be kept"

    @property
    def label(self) -> str:
        return self.reason

    @property
    def help(self) -> str:
        return f"leave `cache={self.cache}` out"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for training in program.trainings:
            wanting = [s for s in training.stages if s.freezing.cache in ("ram", "disk")]
            stages = [s for s in wanting if s.freezing.calls]
            reasons = [_reason(program, stage) for stage in stages]
            if stages and all(reasons):
                span = stages[0].spans.get("freeze", stages[0].span)
                yield cls(span, stages[0].freezing.cache, reasons[0])


def _reason(program: CheckedProgram, stage: Training) -> str:
    """Why nothing is kept in a stage; nothing where something is."""
    found = cut_frozen(program.models[stage.model], stage.freezing, program.datasets[stage.data])
    return found if isinstance(found, str) else ""
