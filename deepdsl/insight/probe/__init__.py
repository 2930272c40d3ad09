"""What becomes of signals and gradients, measured layer by layer, beside the prediction."""

from deepdsl.insight.probe.measure import Expected, Layer, Meter, Probe, probe_normal, probe_task

__all__ = ["Expected", "Layer", "Meter", "Probe", "probe_normal", "probe_task"]
