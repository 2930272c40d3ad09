"""The CPU, through stock onnxruntime."""

from __future__ import annotations

from deepdsl.graph.backend import Arrays, StepModel

from ._session import OrtRunner, OrtStepper

PROVIDERS = ("CPUExecutionProvider",)


class CpuBackend:
    """Runs graphs on the CPU; `threads` is how many take part, all usable cores by default."""

    name = "cpu"
    priority = 0
    deterministic = True
    own_memory = False

    @staticmethod
    def unavailable() -> str | None:
        return None

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def runner(self, onnx: bytes) -> OrtRunner:
        return OrtRunner(onnx, PROVIDERS, self.threads)

    def stepper(self, model: StepModel, state: Arrays) -> OrtStepper:
        return OrtStepper(model, state, PROVIDERS, self.threads, "cpu", self.own_memory)
