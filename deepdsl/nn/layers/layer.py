"""What a layer of the language is: a registered dataclass that becomes operations in a scope."""

from __future__ import annotations

from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import Registered
from deepdsl.graph import Builder, DType, Op, Param, Role, Type, Value
from deepdsl.nn.layers.propagation import Moments, Transfer


@record
class Scope:
    """Where a layer is: its builder, its path, and whether the graph trains.

    `sampling` is whether noise is drawn though the graph does not train (Monte-Carlo dropout).
    `seed` is the file's seed, from which random streams are derived together with the path.
    `dtype` is the element type of a layer's numbers where its operands do not have it.
    """

    builder: Builder
    path: str
    training: bool = False
    seed: int = 0
    sampling: bool = False
    dtype: DType = "f32"

    @property
    def noisy(self) -> bool:
        """Whether layers that draw random numbers draw them."""
        return self.training or self.sampling

    def param(
        self,
        name: str,
        shape: tuple[int, ...],
        init: Any,
        role: Role = "weight",
        fans: tuple[int, int] | None = None,
        dtype: Any = "f32",
        regularizer: Any = None,
    ) -> Param:
        """The layer's own parameter `name`; its full path is the layer's, a dot, and the name."""
        path = f"{self.path}.{name}"
        return self.builder.param(path, Type(shape, dtype), init, role, fans, regularizer)


@record
class Layer(Registered, kind="layer"):
    """Base of layers.

    `activation` marks a nonlinearity and names the initializer of the layer that flows into it;
    `transparent` layers are looked through when that activation is sought; `operands` layers take
    named values as arguments; `parts_rows` layers divide by how much rows differ (batch norm);
    what `independent` layers predict of signals holds for operands that have no weights in common;
    `indices` layers take whole numbers, others numbers with fractions; through a layer that is not
    `differentiable` nothing can be trained.
    """

    activation: ClassVar[str | None] = None
    transparent: ClassVar[bool] = False
    operands: ClassVar[bool] = False
    parts_rows: ClassVar[bool] = False
    independent: ClassVar[bool] = False
    indices: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        """Add the layer's operations; its output.  Shapes that do not fit raise ShapeError."""
        assert isinstance(self, Op), f"{type(self).__name__} has no expand"
        return scope.builder.add(self, *inputs)

    @property
    def borrows(self) -> tuple[str, ...]:
        """The paths of parameters of other layers that it uses."""
        return ()

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        """What becomes of the operands' moments at the start of a training, and of a gradient on
        its way back; None where that is not known.
        """
        return None
