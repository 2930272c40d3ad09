"""The protocols between the trainer and whatever runs graphs.  The trainer knows these and no
runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Protocol

from numpy.typing import NDArray

from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import NoSuchDevice

Arrays = Mapping[str, NDArray[Any]]


@record
class StepModel:
    """A step graph as bytes, with what a runtime must know to keep its state.

    `updates` maps a state tensor to the output that is its next value; a tensor without one never
    changes.  `batch` maps each batch input to its row shape and NumPy type; `results` each other
    output to its shape, in which a name means the rows of the batch, and its NumPy type.
    `nodes` is the size of the graph, by which a runtime chooses how hard to optimize it.
    """

    onnx: bytes
    updates: Mapping[str, str]
    batch: Mapping[str, tuple[tuple[int, ...], Any]]
    results: Mapping[str, tuple[tuple[int | str, ...], Any]]
    nodes: int = 0


class Runner(Protocol):
    """A closed or open graph that is run with whatever it is fed."""

    def run(self, feeds: Arrays) -> dict[str, NDArray[Any]]: ...


class Stepper(Protocol):
    """A training step with its state kept in place between steps."""

    def buffers(self, rows: int) -> Arrays:
        """The batch buffers for this many rows, to be filled before `step`."""
        ...

    def step(self, rows: int) -> Arrays:
        """One step on the filled buffers; the results, valid until the next step."""
        ...

    def state(self) -> Arrays:
        """The state as it is: views on the CPU where they can be, valid until the next step."""
        ...

    def before(self) -> Arrays:
        """The state before the last step, valid until the next one."""
        ...

    def load(self, state: Arrays) -> None:
        """Replace the state."""
        ...


class Backend(Protocol):
    """A device that graphs run on."""

    name: str

    def __init__(self, threads: int | None = None) -> None: ...

    def runner(self, onnx: bytes) -> Runner: ...

    def stepper(self, model: StepModel, state: Arrays) -> Stepper: ...


def open_backend(device: str, threads: int | None = None) -> Backend:
    """The backend for `cpu`, `cuda` or `auto` (cuda where it works, else cpu).

    Backends are found by entry point, so that another package can bring one.  Raises DnnError with
    NoSuchDevice when the device was asked for by name and cannot be used: never a silent fall back.
    """
    found = {entry.name: entry for entry in entry_points(group="deepdsl.backends")}
    if device == "auto":
        try:
            return open_backend("cuda", threads)
        except DnnError:
            return open_backend("cpu", threads)
    if device not in found:
        raise DnnError(
            [NoSuchDevice(None, device, "no installed package provides it", tuple(found))]
        )
    backend: Backend = found[device].load()(threads)
    return backend
