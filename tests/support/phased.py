"""Trainings in phases, in tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from workbench import Memory, opened

from deepdsl.graph.backend import open_backend
from deepdsl.training.callbacks import NullCallback
from deepdsl.training.trainer import Trainer

NET = """
data digits {{ train builtin digits; take 400; valid split=10%; scale (1 / 16) }}
model net {{
  input image[8 8]
  part body {{ flatten | dense 32 bias=false | batch_norm | relu | dropout 20% }}
  part head {{ dense 10 | softmax }}
}}
train net on digits {{ loss cross_entropy; metric accuracy; batch 32; seed 5; {rows} }}
"""


def text(rows: str) -> str:
    """A file whose training has these rows; an epoch has 12 steps."""
    return NET.format(rows=rows)


def same(first: Mapping[str, Any], second: Mapping[str, Any], only: str = "") -> None:
    names = [n for n in first if n.startswith(only)]
    assert names
    for name in names:
        assert np.array_equal(first[name], second[name]), name


def steps_of(source: str, first: int, count: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The states before and after some steps."""
    job, artifacts = opened(source)
    seen: list[tuple[dict[str, Any], dict[str, Any]]] = []

    class Watch:
        def enter(self, training: Any) -> None: ...

        def due(self, step: int) -> bool:
            return first <= step < first + count

        def observe(self, epoch: int, step: int, before: Any, after: Any, batch: Any) -> None:
            seen.append(tuple({k: v.copy() for k, v in side.items()} for side in (before, after)))  # type: ignore[arg-type]

    Trainer(job, artifacts, open_backend("cpu", 1), Memory(), observer=Watch()).run()
    return seen


class StopAt(NullCallback):
    """Interrupts a training with a step."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.trainer: Trainer | None = None

    def step_done(self, *what: Any) -> None:
        self.left -= 1
        if self.left == 0 and self.trainer is not None:
            self.trainer.interrupted = True


def interrupted(source: str, step: int, keeper: Memory) -> None:
    """Train until a step, and keep what is kept then."""
    job, artifacts = opened(source)
    listener = StopAt(step)
    listener.trainer = Trainer(job, artifacts, open_backend("cpu", 1), keeper, listener)
    assert listener.trainer.run().interrupted
