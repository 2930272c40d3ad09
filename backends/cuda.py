"""An NVIDIA GPU, through stock onnxruntime-gpu: the same code as the CPU's with another
provider.
"""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import onnxruntime as ort

from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import NoSuchDevice
from deepdsl.graph.backend import Arrays, StepModel

from ._session import OrtRunner, OrtStepper

PROVIDER = "CUDAExecutionProvider"


class CudaBackend:
    """Runs graphs on a GPU.  Making one fails with NoSuchDevice where CUDA does not work: there is
    no fallback.
    """

    name = "cuda"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self.providers: tuple[Any, ...] = (PROVIDER, "CPUExecutionProvider")
        self._prove()

    def _prove(self) -> None:
        """Allocate on the device: a provider that is listed may still lack its libraries or its
        GPU.
        """
        reason = "this onnxruntime was built without CUDA"
        if PROVIDER in ort.get_available_providers():
            said = io.StringIO()
            # onnxruntime prints what it cannot load; the message below says it once.
            with (
                contextlib.redirect_stdout(said),
                contextlib.redirect_stderr(said),
                contextlib.suppress(Exception),
            ):
                ort.preload_dlls()
            ort.set_default_logger_severity(4)
            try:
                ort.OrtValue.ortvalue_from_shape_and_type([1], "float32", "cuda", 0)
                return
            except Exception:
                missing = re.search(r"Failed to load (\S+?):", said.getvalue())
                library = (
                    f"{missing.group(1)} is missing" if missing else "no CUDA device was found"
                )
                reason = f'{library}; `pip install "deepdsl[cuda]"` brings CUDA and cuDNN'
            finally:
                ort.set_default_logger_severity(3)
        raise DnnError([NoSuchDevice(None, "cuda", reason, ("cpu", "cuda"))])

    def runner(self, onnx: bytes) -> OrtRunner:
        return OrtRunner(onnx, self.providers, self.threads)

    def stepper(self, model: StepModel, state: Arrays) -> OrtStepper:
        return OrtStepper(model, state, self.providers, self.threads, "cuda")
