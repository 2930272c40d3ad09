"""The intermediate representation: frozen, typed, small; every value knows its type and its place
in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from deepdsl.ir.types import Type
from deepdsl.record import record
from deepdsl.source import Span

if TYPE_CHECKING:
    from deepdsl.ir.op import Op

Role = Literal["weight", "bias", "norm", "slope", "statistic", "slot", "constant", "counter"]


@record(eq=False)
class Value:
    """A tensor in a graph.  Two values are the same only if they are the same object."""

    name: str
    type: Type

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


@record(eq=False, repr=False)
class Param(Value):
    """State: a tensor that outlives a step.  Its name is its path, `body.dense_1.weight`.

    `init` makes its first value; `role` says what it is to optimizers, freezing and reports.
    `fans` are fan_in and fan_out for initializers that scale by them.  `regularizer` is what keeps
    it small in training, if anything does.
    """

    init: Any
    role: Role = "weight"
    fans: tuple[int, int] | None = None
    span: Span | None = None
    regularizer: Any = None

    @property
    def trainable(self) -> bool:
        return self.role in ("weight", "bias", "norm", "slope")


@record(eq=False)
class Node:
    """An operation applied: `outputs = op(inputs)`."""

    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    span: Span | None = None


@record(eq=False)
class Graph:
    """Nodes in an order in which each runs after what it reads.

    `updates` maps a parameter to its next value: the one mechanism for weights, moments, running
    statistics and counters.
    """

    inputs: tuple[Value, ...]
    params: tuple[Param, ...]
    nodes: tuple[Node, ...]
    outputs: Mapping[str, Value]
    updates: Mapping[Param, Value] = field(default_factory=dict)

    @property
    def results(self) -> tuple[Value, ...]:
        """Every value that the graph is run for."""
        return (*self.outputs.values(), *self.updates.values())

    def producers(self) -> dict[Value, Node]:
        return {out: node for node in self.nodes for out in node.outputs}
