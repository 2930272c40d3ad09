"""An NVIDIA GPU, through stock onnxruntime-gpu: the same code as the CPU's with another
provider.
"""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import onnxruntime as ort

from deepdsl.graph.backend import Arrays, StepModel

from ._session import OrtRunner, OrtStepper

PROVIDER = "CUDAExecutionProvider"


class CudaBackend:
    """Runs graphs on a GPU."""

    name = "cuda"
    priority = 10
    # A GPU chooses its kernels by the size of a batch.
    deterministic = False
    own_memory = True

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self.providers: tuple[Any, ...] = (PROVIDER, "CPUExecutionProvider")

    @staticmethod
    def unavailable() -> str | None:
        """Allocate on the device: a provider that is listed may still lack its libraries or its
        GPU.
        """
        if PROVIDER not in ort.get_available_providers():
            return "this onnxruntime was built without CUDA"
        output = io.StringIO()
        # onnxruntime prints what it cannot load; the message below says it once.
        with (
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
            contextlib.suppress(Exception),
        ):
            ort.preload_dlls()
        ort.set_default_logger_severity(4)
        try:
            ort.OrtValue.ortvalue_from_shape_and_type([1], "float32", "cuda", 0)
        except Exception:
            missing = re.search(r"Failed to load (\S+?):", output.getvalue())
            reason = f"{missing.group(1)} is missing" if missing else "no CUDA device was found"
            return f'{reason}; `pip install "deepdsl[cuda]"` brings CUDA and cuDNN'
        finally:
            ort.set_default_logger_severity(3)
        return None

    def runner(self, onnx: bytes) -> OrtRunner:
        return OrtRunner(onnx, self.providers, self.threads)

    def stepper(self, model: StepModel, state: Arrays) -> OrtStepper:
        return OrtStepper(model, state, self.providers, self.threads, "cuda", self.own_memory)
