"""How a parameter of ours is made of tensors of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from deepdsl.core.record import record
from deepdsl.transfer.weights.targets import TargetTensor
from deepdsl.transfer.weights.weight_file import Array, Shape

AS_IT_IS = "as it is"
TRANSPOSED = "transposed"


@record
class Leaf:
    """A tensor of a layer in a file: its shape, and whether it is known to be (out, in)."""

    shape: Shape
    turned: bool | None = None


Leaves = Mapping[str, Leaf]


@record
class Recast:
    """How a parameter is made of tensors of a layer.  `done` says it in words."""

    leaves: tuple[str, ...]
    make: Callable[..., Array]
    done: str = AS_IT_IS


@record
class Misfit:
    """Tensors have the names and not the shapes; with `unordered` the order of rows is unknown."""

    leaves: tuple[str, ...]
    unordered: bool = False


Made = Recast | Misfit | None


def plain(slot: TargetTensor, name: str, leaf: Leaf) -> Made:
    return Recast((name,), lambda a: a) if leaf.shape == slot.shape else Misfit((name,))


def turned(axes: tuple[int, ...]) -> Callable[[Array], Array]:
    return lambda a: np.transpose(a, axes)
