"""Lints about what a section and its phases say."""

from __future__ import annotations

from collections.abc import Iterator

from deepdsl.core.record import record
from deepdsl.language.analysis.model import CheckedProgram
from deepdsl.language.lints.base import Lint
from deepdsl.language.overrides import ONCE


@record
class NoPhaseLeft(Lint):
    """A row of the train section has no effect: each phase has its own.

    What a phase leaves out is the section's. Where no phase leaves it out, the row before the
    phases says nothing, and changing it changes nothing.

    ```wrong
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits {
      loss   cross_entropy
      seed   1
      epochs 20
      phase warm_up   { freeze body; epochs 2 }
      phase fine_tune { unfreeze body; epochs 4 }
    }
    ```
    ```right
    data digits { train builtin digits; scale (1 / 16) }
    model net { input x[8 8]; part body { flatten | dense 32 | relu }; dense 10 | softmax }
    train net on digits {
      loss   cross_entropy
      seed   1
      epochs 20
      phase warm_up   { freeze body; epochs 2 }
      phase fine_tune { unfreeze body }
    }
    ```
    """

    code = "W506"
    speaks_of_reused = True
    row: str
    count: int

    @property
    def message(self) -> str:
        return f"this `{self.row}` holds in no phase"

    @property
    def label(self) -> str:
        every = "the phase has" if self.count == 1 else f"each of the {self.count} phases has"
        return f"{every} a row of its own"

    @property
    def help(self) -> str:
        return "leave it out here, or in a phase in which it is to hold"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        for whole in program.trainings:
            names = {stage.phase for stage in whole.phases} - {""}
            for row in sorted(ONCE & whole.spans.keys()) if names else ():
                span = whole.spans[row]
                if all(stage.spans.get(row) != span for stage in whole.phases):
                    yield cls(span, row, len(names))
