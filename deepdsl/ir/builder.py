"""Builds a graph node by node; types are inferred as nodes are added, so a graph is never
ill-typed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from deepdsl.ir.constant import Constant, Dimension
from deepdsl.ir.graph import Graph, Node, Param, Role, Value
from deepdsl.ir.op import Op
from deepdsl.ir.types import DType, ShapeError, Type, by_times
from deepdsl.source import Span


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
