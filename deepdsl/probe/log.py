"""`--every N`: a probe of the running training, every N steps, as lines of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.backend import Backend
from deepdsl.ops.activations import Activation
from deepdsl.probe.graphs import loss_flow
from deepdsl.probe.measure import Layer, Meter, spreads, with_update_ratios
from deepdsl.probe.measure import report as measured
from deepdsl.step import Task

Arrays = Mapping[str, NDArray[Any]]


@dataclass
class ProbeLog:
    """Implements trainer.Observer: probes the batch of every so many steps, before the step, with
    the state that the step began from.  Where several batches make one update, the step is the next
    one that completes an update.

    A line has `step` and `epoch` (from 1) and the layers' figures; `dead` counts the units that
    were 0 on all rows of that batch.
    """

    task: Task
    backend: Backend
    every: int
    file: Path
    meter: Meter | None = field(default=None, init=False)

    def due(self, step: int) -> bool:
        """Whether the step with this number, from 1, is observed: the first update's, and that of
        the first update at or after every Nth step.
        """
        count = self.task.training.accumulate
        if step % count:
            return False
        return step == count or step // self.every > (step - count) // self.every

    def observe(self, epoch: int, step: int, before: Arrays, after: Arrays, batch: Arrays) -> None:
        """Measure a step that was taken, and write its line."""
        if self.meter is None:
            # The step's own session is the only one that may spin, so this one is slow and rare.
            self.meter = Meter(self.task.model, *loss_flow(self.task), self.backend)
        meter = self.meter
        meter.clear()
        meter.add(before, batch)
        ratios = spreads(before, after, self.task.model)
        layers = with_update_ratios(measured(meter), self.task.model, ratios).layers
        line = {
            "step": step,
            "epoch": epoch,
            "layers": [layer.as_json() for layer in self._with_dead(layers, meter)],
        }
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")

    def _with_dead(self, layers: tuple[Layer, ...], meter: Meter) -> list[Layer]:
        out = []
        for call, layer in zip(self.task.model.calls, layers, strict=True):
            active = meter.sums[call.output].active
            if isinstance(call.layer, Activation) and active is not None:
                dead = int(np.count_nonzero(~active))
                layer = replace(layer, dead=dead, units=int(active.size))
            out.append(layer)
        return out
