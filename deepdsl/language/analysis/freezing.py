"""Which tensors are frozen while a model is trained, and how fast the others go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from deepdsl.core.record import record
from deepdsl.graph import Param


@record
class Freezing:
    """What is frozen in a stage of a training.

    `calls` are the paths of layers that are frozen: they work as they do at inference, without
    dropout and with the running values of batch norm, and learn nothing.  `tensors` are the paths
    of all parameters that are frozen, those of these layers and single ones.  `moving` are the
    batch norms among the calls that continue normalizing by the batch and moving their statistics.
    `rates` are what the rate is multiplied with, by tensor, where that is not 1.  `told` are the
    patterns as they were written, with the tensors of each.  `cache` is what was said of keeping
    the outputs of frozen layers: `auto`, `ram`, `disk`, or `off`.  `late` are the epochs
    after which some of it was to unfreeze and never does, each with the epochs that there are.
    """

    calls: frozenset[str] = frozenset()
    tensors: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()
    rates: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cache: str = "auto"
    late: tuple[tuple[int, int], ...] = ()

    def trains(self, param: Param) -> bool:
        """Whether a parameter learns."""
        return param.trainable and param.name not in self.tensors
