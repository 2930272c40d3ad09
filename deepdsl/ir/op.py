"""The contract of an operation: how its type follows, how it becomes ONNX, how its gradient flows
back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from deepdsl.ir.graph import Node, Value
from deepdsl.ir.types import DType, Shape, Type
from deepdsl.record import fields_of, record
from deepdsl.registry import show, snake_case

if TYPE_CHECKING:
    from deepdsl.ir.builder import Builder


class Emitter(Protocol):
    """What `lower` writes ONNX with.  Tensors are known by name."""

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; its name.  An empty input name leaves an optional input
        out.
        """
        ...

    def nodes(self, op_type: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        ...

    def constant(self, value: Any, dtype: DType, shape: Shape | None = None) -> str:
        """A constant tensor from a number or nested sequence; `shape` fills a shape with one
        number.
        """
        ...

    def scan(
        self,
        step: Callable[[Emitter, list[str], list[str]], tuple[list[str], list[str]]],
        states: Sequence[str],
        sequences: Sequence[str],
        dtype: DType,
        reverse: bool = False,
    ) -> list[str]:
        """Go through sequences along their first axis, from the end with `reverse`.

        `step` is given an emitter, the states and a slice of each sequence, and gives the next
        states and a slice of each result.  What comes back are the results, in the order of the
        sequences.
        """
        ...


@record
class Op:
    """Base of all operations.  The fields of a subclass are its attributes.

    A subclass defines `infer`, `lower` and, where it is differentiable, `vjp` (vector-Jacobian
    product: the gradient of the inputs from the gradient of the output; None for an input without
    one).
    """

    def infer(self, *inputs: Type) -> Type | tuple[Type, ...]:
        raise NotImplementedError(f"{type(self).__name__} has no infer")

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str | list[str]:
        raise NotImplementedError(f"{type(self).__name__} has no lower")

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value | None, ...]:
        raise NotImplementedError(f"{type(self).__name__} has no gradient")

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value | None, ...]:
        """The same for operations with several outputs; a gradient that is None is zero."""
        (grad,), (out,) = grads, outs
        assert grad is not None
        return self.vjp(b, grad, out, *inputs)

    @property
    def domains(self) -> Mapping[str, int]:
        """The opsets of other domains than ONNX's own that its ONNX is of."""
        return {}

    def flops(self, out: Type, *inputs: Type) -> int:
        """Floating-point operations for one row of the batch: one for each element, and two for
        each term of a sum of products.
        """
        return out.per_row if inputs else 0

    @property
    def title(self) -> str:
        """The operation's name, as texts and tensor names write it."""
        return snake_case(type(self).__name__)

    def __str__(self) -> str:
        told = [f"{f.name}={show(getattr(self, f.name))}" for f in fields_of(self)]
        return f"{self.title}({', '.join(told)})" if told else self.title
