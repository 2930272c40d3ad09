"""Graphs: values, operations, nodes, and the builder that puts them together.

All are frozen but the builder, which infers the type of each value as it adds a node: no graph is
ever ill-typed.  They are one module because they refer to each other: a node has an operation, an
operation writes its gradient with a builder, and a builder adds nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, fields
from itertools import islice
from typing import Any, Literal

from deepdsl.core.record import record
from deepdsl.core.registry import show, snake_case
from deepdsl.core.source import Span
from deepdsl.graph.emitter import Emitter
from deepdsl.graph.types import ONNX_CODES, Dim, DType, ShapeError, Type, by_times

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
        told = [f"{f.name}={show(getattr(self, f.name))}" for f in fields(self)]
        return f"{self.title}({', '.join(told)})" if told else self.title


@record
class Constant(Op):
    """A number, or nested tuples of numbers, written into the graph."""

    value: Any
    dtype: DType = "f32"

    def infer(self) -> Type:  # type: ignore[override]
        shape: list[Dim] = []
        value = self.value
        while isinstance(value, tuple):
            shape.append(len(value))
            value = value[0]
        return Type(tuple(shape), self.dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.constant(self.value, self.dtype)


@record
class Dimension(Op):
    """The size of one axis of a tensor, as a scalar."""

    axis: int
    dtype: DType = "f32"

    def infer(self, x: Type) -> Type:  # type: ignore[override]
        return Type((), self.dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        size = onnx.node("Shape", inputs[0], start=self.axis, end=self.axis + 1)
        scalar = onnx.node("Squeeze", size)
        if self.dtype == "i64":
            return scalar
        return onnx.node("Cast", scalar, to=ONNX_CODES[self.dtype])


class Builder:
    """The one mutable thing of the compiler; what it gives out is frozen."""

    def __init__(self) -> None:
        self._inputs: dict[str, Value] = {}
        self._params: dict[str, Param] = {}
        self._nodes: list[Node] = []
        self._updates: dict[Param, Value] = {}
        self._names: dict[str, int] = {}
        self._constants: dict[tuple[str, DType], Value] = {}
        self._dimensions: dict[str, Value] = {}
        self._draws: Counter[str] = Counter()
        self._makers: dict[Value, Node] = {}
        self._prefix = ""
        self._span: Span | None = None

    @contextmanager
    def at(self, path: str, span: Span | None = None) -> Iterator[None]:
        """Values added inside are named after `path` and carry `span`."""
        before = self._prefix, self._span
        self._prefix, self._span = path, span or self._span
        try:
            yield
        finally:
            self._prefix, self._span = before

    # Leaves ---------------------------------------------------------------------------------------

    def input(self, name: str, type: Type) -> Value:
        value = self._inputs[name] = Value(self._unique(name), type)
        return value

    def param(
        self,
        path: str,
        type: Type,
        init: Any,
        role: Role = "weight",
        fans: tuple[int, int] | None = None,
        regularizer: Any = None,
    ) -> Param:
        """The parameter at a path.  Asked for again, it is the same one: that is how weights are
        shared.
        """
        known = self._params.get(path)
        if known is not None:
            if known.type != type:
                have, want = by_times(known.type.shape), by_times(type.shape)
                raise ShapeError(
                    f"the shared weights `{path}` are {have}",
                    f"here they would have to be {want}",
                    "a part has one set of weights: what flows into it must have one shape",
                )
            return known
        self._unique(path)
        param = self._params[path] = Param(path, type, init, role, fans, self._span, regularizer)
        return param

    def constant(self, value: Any, dtype: DType = "f32") -> Value:
        """A scalar, or a tensor from nested tuples.  The same constant is added once."""
        key = (repr(value), dtype)
        if key not in self._constants:
            self._constants[key] = self.add(Constant(value, dtype))
        return self._constants[key]

    def like(self, value: float, x: Value) -> Value:
        """A scalar constant with the element type of `x`."""
        return self.constant(value, x.type.dtype)

    def dimension(self, symbol: str, dtype: DType = "f32") -> Value:
        """The size of a symbolic dimension as a scalar, read off the first input that has it."""
        key = f"{symbol}:{dtype}"
        if key not in self._dimensions:
            for value in self._inputs.values():
                if symbol in value.type.shape:
                    op = Dimension(value.type.shape.index(symbol), dtype)
                    with self.at(f"rows_{symbol}"):
                        self._dimensions[key] = self.add(op, value)
                    break
        return self._dimensions[key]

    def draw(self, path: str) -> int:
        """How often random numbers have been drawn at a path before: a shared part is used more
        than once.
        """
        self._draws[path] += 1
        return self._draws[path] - 1

    # Nodes ----------------------------------------------------------------------------------------

    def add(self, op: Op, *inputs: Value) -> Value:
        """Apply an operation with one output."""
        (out,) = self.apply(op, *inputs)
        return out

    def apply(self, op: Op, *inputs: Value) -> tuple[Value, ...]:
        types = op.infer(*(v.type for v in inputs))
        types = types if isinstance(types, tuple) else (types,)
        stem = f"{self._prefix}/{op.title}" if self._prefix else op.title
        outputs = tuple(Value(self._unique(stem), t) for t in types)
        node = Node(op, inputs, outputs, self._span)
        self._nodes.append(node)
        self._makers.update(dict.fromkeys(outputs, node))
        return outputs

    def made_by(self, value: Value) -> Node | None:
        """The node that makes a value; None for an input or a parameter."""
        return self._makers.get(value)

    def update(self, param: Param, value: Value) -> None:
        """`value` becomes the parameter's next value."""
        assert value.type == param.type, f"{param} cannot become {value}"
        self._updates[param] = value

    def current(self, param: Param) -> Value:
        """The parameter's value so far in this step: what it was updated to, or itself."""
        return self._updates.get(param, param)

    def graph(self, outputs: Mapping[str, Value]) -> Graph:
        return Graph(
            tuple(self._inputs.values()),
            tuple(self._params.values()),
            tuple(self._nodes),
            dict(outputs),
            dict(self._updates),
        )

    def params_since(self, count: int) -> tuple[Param, ...]:
        """The parameters beyond the first `count`, in the order in which they were made."""
        # From the end: this is asked once a layer, and the first parameters are many.
        return tuple(islice(reversed(self._params.values()), len(self._params) - count))[::-1]

    @property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(self._nodes)

    @property
    def params(self) -> tuple[Param, ...]:
        return tuple(self._params.values())

    def _unique(self, stem: str) -> str:
        count = self._names[stem] = self._names.get(stem, 0) + 1
        return stem if count == 1 else f"{stem}_{count}"
