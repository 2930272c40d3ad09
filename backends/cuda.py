"""An NVIDIA GPU, through stock onnxruntime-gpu: the same code as the CPU's with another provider."""

from __future__ import annotations

import contextlib
from typing import Any

from deepdsl.backend import Arrays, StepModel
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.runtime import NoSuchDevice

from ._session import OrtRunner, OrtStepper, first_line, ort

PROVIDER = "CUDAExecutionProvider"


class CudaBackend:
    """Runs graphs on a GPU.  Making one fails with NoSuchDevice where CUDA does not work: there is no fallback."""

    name = "cuda"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self.providers: tuple[Any, ...] = (PROVIDER, "CPUExecutionProvider")
        self._prove()

    def _prove(self) -> None:
        """Allocate on the device: a provider that is listed may still lack its libraries or its GPU."""
        reason = "this onnxruntime was built without CUDA"
        if PROVIDER in ort.get_available_providers():
            with contextlib.suppress(Exception):
                ort.preload_dlls()
            try:
                ort.OrtValue.ortvalue_from_shape_and_type([1], "float32", "cuda", 0)
                return
            except Exception as error:
                reason = first_line(error)
        raise DnnError([NoSuchDevice(None, "cuda", _plain(reason), ("cpu", "cuda"))])

    def runner(self, onnx: bytes) -> OrtRunner:
        return OrtRunner(onnx, self.providers, self.threads)

    def stepper(self, model: StepModel, state: Arrays) -> OrtStepper:
        return OrtStepper(model, state, self.providers, self.threads, "cuda")


def _plain(reason: str) -> str:
    """onnxruntime's reason without its source location."""
    return reason.rpartition("] ")[2][:200] or "no CUDA device was found"
