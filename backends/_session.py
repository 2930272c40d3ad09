"""Sessions of onnxruntime: one for the step with its state in ping-pong, others that are fed and
forgotten.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Before the import: its Linux wheels otherwise write under the user's home and report.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from deepdsl.core.cores import usable_cores
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import RuntimeFailed
from deepdsl.graph.backend import Arrays, StepModel

from ._denormals import Flushed, Restored

# Warnings of onnxruntime speak of graphs that the user did not write.
ort.set_default_logger_severity(3)

ALIGNMENT = 64
# Optimizing a graph takes longer than linear in its size: above this many nodes, only the cheap
# rewrites.
MANY_NODES = 6_000


def session(
    onnx: bytes, providers: Sequence[Any], threads: int | None, spin: bool, nodes: int = 0
) -> ort.InferenceSession:
    """A session with this project's settings.

    Gradients that become denormal make some kernels 5 to 20 times slower, so they are flushed to
    zero.  Only the session of the step may spin: a second spinning pool would take the step's
    cores.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    if any("CUDA" in str(p) for p in providers):
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "0")
    # Small blocks that each thread takes as it comes: a core that other programs keep busy does not
    # hold the step up (median with one busy core of two: 2.0-3.0 ms against 3.0-3.3).
    options.add_session_config_entry("session.dynamic_block_base", "1")
    if nodes > MANY_NODES:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        with Restored():
            made = ort.InferenceSession(onnx, options, providers=list(providers))
    except Exception as error:
        raise DnnError([RuntimeFailed(None, "loading a graph", first_line(error))]) from error
    made.disable_fallback()
    return made


def first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def aligned(shape: Sequence[int], dtype: Any) -> NDArray[Any]:
    """Uninitialized memory whose start suits vector instructions."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    out: NDArray[Any] = raw[start : start + size].view(dtype).reshape(tuple(shape))
    return out


# An array and the runtime's value over the same memory (on a device, beside it).
Buffer = tuple[NDArray[Any], Any]


class OrtRunner:
    """A graph that is fed by name."""

    def __init__(self, onnx: bytes, providers: Sequence[Any], threads: int | None) -> None:
        self.session = session(onnx, providers, threads, spin=False)
        self.inputs = {i.name for i in self.session.get_inputs()}
        self.outputs = [o.name for o in self.session.get_outputs()]

    def run(self, feeds: Arrays) -> dict[str, NDArray[Any]]:
        fed = {name: array for name, array in feeds.items() if name in self.inputs}
        try:
            with Flushed():
                made = self.session.run(self.outputs, fed)
        except Exception as error:
            raise DnnError([RuntimeFailed(None, "running a graph", first_line(error))]) from error
        return dict(zip(self.outputs, made, strict=True))


class OrtStepper:
    """The step's session with two sets of state buffers and fixed bindings between them.

    A step reads one set and writes the other.  Binding an output to its own input's buffer would be
    wrong: nothing orders a later read of the old value before the write.  Bindings are made once
    for each batch size: the full batch, and the ragged last one.
    """

    def __init__(
        self,
        model: StepModel,
        state: Arrays,
        providers: Sequence[Any],
        threads: int | None,
        device: str,
        own_memory: bool,
    ) -> None:
        self.model, self.device, self.own_memory = model, device, own_memory
        self.flushed = Flushed()
        self.session = session(model.onnx, providers, threads, spin=True, nodes=model.nodes)
        first = self._side(state, {})
        # A tensor that no step changes is in both sets, once in memory.
        fixed = {name: kept for name, kept in first.items() if name not in model.updates}
        self.sides = (first, self._side(state, fixed))
        self.now = 0
        self.bindings: dict[tuple[int, int], Any] = {}
        self.fed: dict[int, dict[str, Buffer]] = {}
        self.results: dict[int, dict[str, Buffer]] = {}

    def _side(self, state: Arrays, shared: Mapping[str, Buffer]) -> dict[str, Buffer]:
        side: dict[str, Buffer] = {}
        for name, value in state.items():
            if name in shared:
                side[name] = shared[name]
                continue
            array = aligned(value.shape, value.dtype)
            array[...] = value
            side[name] = (array, self._value(array))
        return side

    def _value(self, array: NDArray[Any]) -> Any:
        # On the CPU the value shares the array's memory; on a device it is a copy.
        return ort.OrtValue.ortvalue_from_numpy(array, self.device, 0)

    def buffers(self, rows: int) -> dict[str, NDArray[Any]]:
        if rows not in self.fed:
            made: dict[str, Buffer] = {}
            for name, (shape, dtype) in self.model.batch.items():
                array = aligned((rows, *shape), dtype)
                array[...] = 0
                made[name] = (array, self._value(array))
            self.fed[rows] = made
        return {name: array for name, (array, _) in self.fed[rows].items()}

    def step(self, rows: int) -> dict[str, NDArray[Any]]:
        key = (rows, self.now)
        binding = self.bindings.get(key)
        if binding is None:
            binding = self.bindings[key] = self._bind(rows)
        if self.own_memory:
            for array, value in self.fed[rows].values():
                value.update_inplace(array)
        try:
            with self.flushed:
                self.session.run_with_iobinding(binding)
        except Exception as error:
            raise DnnError([RuntimeFailed(None, "a training step", first_line(error))]) from error
        self.now = 1 - self.now
        results = self.results[rows]
        if self.own_memory:
            return {name: value.numpy() for name, (_, value) in results.items()}
        return {name: array for name, (array, _) in results.items()}

    def _bind(self, rows: int) -> Any:
        self.buffers(rows)
        if rows not in self.results:
            made: dict[str, Buffer] = {}
            for name, (shape, dtype) in self.model.results.items():
                array = aligned([rows if isinstance(d, str) else d for d in shape], dtype)
                made[name] = (array, self._value(array))
            self.results[rows] = made
        here, there = self.sides[self.now], self.sides[1 - self.now]
        binding = self.session.io_binding()
        for name, (_, value) in (*self.fed[rows].items(), *here.items()):
            binding.bind_ortvalue_input(name, value)
        for name, output in self.model.updates.items():
            binding.bind_ortvalue_output(output, there[name][1])
        for name, (_, value) in self.results[rows].items():
            binding.bind_ortvalue_output(name, value)
        return binding

    def state(self) -> dict[str, NDArray[Any]]:
        return self._read(self.sides[self.now])

    def before(self) -> dict[str, NDArray[Any]]:
        return self._read(self.sides[1 - self.now])

    def _read(self, side: Mapping[str, Buffer]) -> dict[str, NDArray[Any]]:
        if self.own_memory:
            return {name: value.numpy() for name, (_, value) in side.items()}
        return {name: array for name, (array, _) in side.items()}

    def load(self, state: Arrays) -> None:
        for name, (array, value) in self.sides[self.now].items():
            array[...] = state[name]
            if self.own_memory:
                value.update_inplace(array)
