"""Tensors as a file holds them: names and shapes at once, numbers when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deepdsl.core.record import record
from deepdsl.core.source import Span

# How a file lays out kernels: PyTorch's (out, in) and OIHW; Keras's (in, out), HWIO and channels
# last before a flatten; ours, (in, out) and OIHW.
Layout = Literal["torch", "keras", "deepdsl"]
LAYOUTS: tuple[Layout, ...] = ("torch", "keras", "deepdsl")

Shape = tuple[int, ...]
Array = NDArray[Any]

FLOATS = ("float16", "bfloat16", "float32", "float64")


class Unreadable(Exception):
    """A file cannot be taken: `reason` is what is wrong with it, `advice` the way out."""

    def __init__(self, reason: str, advice: str = "", kind: str = "damaged") -> None:
        super().__init__(reason)
        self.reason, self.advice, self.kind = reason, advice, kind


@record
class WeightTensor:
    """A tensor of a file.  `dtype` is as NumPy calls it, or as the file does where NumPy has none.

    `turned` says, where the file does, that a matrix is (out, in), or that it is (in, out).
    """

    name: str
    shape: Shape
    dtype: str
    read: Callable[[], Array]
    turned: bool | None = None


@record
class Stored:
    """The tensors of a source in its own order.

    `layout` is a fact about the file, by what `by` names; `layouts` are those that it may have.
    `own` are names of ours, as a checkpoint has them.  In a file that is not `ordered` the tensors
    are in no order of layers.
    """

    shown: str
    tensors: Mapping[str, WeightTensor]
    layout: Layout | None = None
    by: str = ""
    own: bool = False
    ordered: bool = True
    notes: tuple[str, ...] = ()
    layouts: tuple[Layout, ...] = LAYOUTS


def in_memory(arrays: Mapping[str, Array]) -> dict[str, WeightTensor]:
    """Tensors over arrays that are there already."""
    return {name: _of(name, array) for name, array in arrays.items()}


def _of(name: str, array: Array) -> WeightTensor:
    return WeightTensor(name, tuple(array.shape), array.dtype.name, lambda: array)


def widened(raw: NDArray[np.uint16]) -> NDArray[np.float32]:
    """bfloat16 as float32: its bits are the upper half of one."""
    wide: NDArray[np.float32] = (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return wide


@record
class TensorPlace:
    """The place that a message about a source is at, and how it names the source."""

    span: Span
    shown: str
