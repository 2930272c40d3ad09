"""The protocols between the trainer and whatever runs graphs.  The trainer knows these and no
runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from deepdsl.core.record import record
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import NoSuchDevice

if TYPE_CHECKING:
    # Loaded for types alone: a help text that lists devices needs no NumPy.
    from numpy.typing import NDArray

Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"

# Always available, and what is used where no device is named.
DEFAULT_DEVICE = "cpu"


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
    """A device that graphs run on, with what it can do.

    `auto` takes the available backend of the highest `priority`. A `deterministic` one gives a row
    the same bits in a batch of any size. With `own_memory` it does not see the arrays of the CPU:
    what it reads and writes is copied.
    """

    name: ClassVar[str]
    priority: ClassVar[int]
    deterministic: ClassVar[bool]
    own_memory: ClassVar[bool]

    @staticmethod
    def unavailable() -> str | None:
        """Why this machine cannot run it, and what mends that; None where it can."""
        ...

    def __init__(self, threads: int | None = None) -> None: ...

    def runner(self, onnx: bytes) -> Runner: ...

    def stepper(self, model: StepModel, state: Arrays) -> Stepper: ...


def devices() -> tuple[str, ...]:
    """The names of all backends that are installed, whether they are available or not, the
    default first.

    They are found by entry point, so that another distribution can bring one.
    """
    return tuple(sorted(_entries(), key=lambda name: (name != DEFAULT_DEVICE, name)))


def open_backend(device: str, threads: int | None = None) -> Backend:
    """The backend of this name, or for `auto` the available one of the highest priority.

    Raises DnnError with NoSuchDevice when the device was asked for by name and cannot be used:
    never a silent fall back.
    """
    found = _entries()
    if device == "auto":
        return _best(found)(threads)
    if device not in found:
        raise DnnError(
            [NoSuchDevice(None, device, "no installed package provides it", tuple(found))]
        )
    backend: type[Backend] = found[device].load()
    if (reason := backend.unavailable()) is not None:
        raise DnnError([NoSuchDevice(None, device, reason, tuple(found))])
    return backend(threads)


def _best(found: Mapping[str, EntryPoint]) -> type[Backend]:
    backends: list[type[Backend]] = [entry.load() for entry in found.values()]
    backends.sort(key=lambda backend: -backend.priority)
    return next(backend for backend in backends if backend.unavailable() is None)


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="deepdsl.backends")}
