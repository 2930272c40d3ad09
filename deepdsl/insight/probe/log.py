"""`--every N`: a probe of the running training, every N steps, as lines of a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from deepdsl.compiler.training_step import Task
from deepdsl.graph.backend import Backend
from deepdsl.insight.probe.graphs import loss_flow
from deepdsl.insight.probe.measure import Meter, counted, spreads, with_update_ratios
from deepdsl.insight.probe.measure import report as measured
from deepdsl.language.analysis import Training
from deepdsl.nn.layers.activations.base import Activation

Arrays = Mapping[str, NDArray[Any]]


@dataclass
class ProbeLog:
    """Implements callbacks.Observer: probes the batch of every N steps, before the step, with
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

    def enter(self, training: Training) -> None:
        """What is frozen works otherwise than what is trained: a stage has a graph of its own."""
        self.task = replace(self.task, training=training)
        self.meter = None

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
        active = {
            call.output: on
            for call in self.task.model.calls
            if isinstance(call.layer, Activation)
            and (on := meter.sums[call.output].active) is not None
        }
        line = {
            "step": step,
            "epoch": epoch,
            "layers": [layer.as_json() for layer in counted(self.task.model, layers, active)],
        }
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
