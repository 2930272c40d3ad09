"""What becomes of signals and gradients, measured layer by layer, beside the prediction."""

from deepdsl.insight.probe.measure import (
    Expected,
    Meter,
    Probe,
    ProbedLayer,
    probe_normal,
    probe_task,
)

__all__ = ["Expected", "Meter", "Probe", "ProbedLayer", "probe_normal", "probe_task"]
