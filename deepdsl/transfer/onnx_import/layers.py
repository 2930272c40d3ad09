"""Layers without a name in the language: what a foreign graph has between those that have one."""

from __future__ import annotations

from typing import Any, ClassVar

from deepdsl.core.record import record
from deepdsl.graph import Builder, Dim, DType, Emitter, Node, Op, Role, Shape, Type, Value
from deepdsl.graph.arithmetic import Greater, Where
from deepdsl.graph.reshaping import Reshape, unbroadcast
from deepdsl.graph.windows import Windows
from deepdsl.nn.initializers import Ones, Zeros
from deepdsl.nn.layers.image_reshaping import padded_apart
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.pooling import MaxOf, MeanOf, largest


@record
class Unnamed(Layer, abstract=True):
    """Base: `title` begins its path, as a layer's name would."""

    operands = True
    indices = True

    @property
    def name(self) -> str:  # type: ignore[override]
        """As messages and tables call it."""
        return self.title

    @property
    def title(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} has no title")

    def show(self) -> str:
        return self.title


@record
class Computed(Unnamed, abstract=True):
    """An operation on values that flow in; `output` says which of its results."""

    op: Op
    output: int = 0

    @property
    def title(self) -> str:
        return self.op.title

    def show(self) -> str:
        return str(self.op)

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        return scope.builder.apply(self.op, *inputs)[self.output]


@record
class WithNumber(Unnamed, abstract=True):
    """An operation on a value and a number, which comes first or second."""

    op: Op
    number: float
    first: bool = False

    @property
    def title(self) -> str:
        return self.op.title

    def show(self) -> str:
        return f"{self.title} {self.number:g}"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        number = scope.builder.like(self.number, x)
        return scope.builder.add(self.op, *((number, x) if self.first else (x, number)))


@record
class WithTensor(Unnamed, abstract=True):
    """An operation on a value and numbers that are no weights, as nested tuples: whole numbers."""

    op: Op
    value: Any
    dtype: DType
    first: bool = False

    @property
    def title(self) -> str:
        return self.op.title

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        tensor = scope.builder.constant(self.value, self.dtype)
        return scope.builder.add(self.op, *((tensor, x) if self.first else (x, tensor)))


@record
class WithWeight(Unnamed, abstract=True):
    """An operation on a value and a tensor of the layer's own, `weight`: a factor for each channel,
    a vector that is added at each position, a table of numbers.
    """

    op: Op
    shape: tuple[int, ...]
    role: Role = "weight"
    first: bool = False

    #: What the operations are called that a layer of the language might have.
    CALLED: ClassVar[dict[str, str]] = {"mul": "scale", "add": "shift"}

    @property
    def title(self) -> str:
        return self.CALLED.get(self.op.title, self.op.title)

    def show(self) -> str:
        return f"{self.title} [{' '.join(map(str, self.shape))}]"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        start = Ones() if self.title == "scale" else Zeros()
        weight = scope.param("weight", self.shape, start, self.role)
        return scope.builder.add(self.op, *((weight, x) if self.first else (x, weight)))


@record
class Choice(Unnamed, abstract=True):
    """At each place one of two values: a number, or what flows in.

    `mask` is the shape of a tensor of the layer's own, with 1 where the first is taken; without it
    a condition flows in.
    """

    mask: tuple[int, ...] | None
    first: float | None
    second: float | None

    title = "where"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        given, b = list(inputs), scope.builder
        if self.mask is None:
            condition = given.pop(0)
        else:
            own = scope.param("weight", self.mask, Ones(), "constant")
            condition = b.add(Greater(), own, b.like(0.5, own))
        like = given[0]
        numbers = (self.first, self.second)
        values = [given.pop(0) if n is None else b.like(n, like) for n in numbers]
        return b.add(Where(), condition, *values)


@record
class Pooled(Unnamed, abstract=True):
    """A pool whose windows lie as no pool of the language has them."""

    windows: Windows
    largest: bool
    count_pad: bool = False

    @property
    def title(self) -> str:
        return "max_pool" if self.largest else "avg_pool"

    def show(self) -> str:
        return f"{self.title} {self.windows}"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if self.largest and scope.training:
            return largest(scope.builder, x, self.windows)
        x = padded_apart(scope.builder, x)
        op = MaxOf(self.windows) if self.largest else MeanOf(self.windows, self.count_pad)
        return scope.builder.add(op, x)


@record
class ForEachRow(Unnamed, abstract=True):
    """A tensor of the layer's own, once for each row of what flows in."""

    shape: tuple[int, ...]

    title = "for_each_row"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        weight = scope.param("weight", (1, *self.shape), Zeros(), "weight")
        return scope.builder.add(RepeatForRows(), weight, x)


@record
class NumbersForEachRow(Unnamed, abstract=True):
    """Whole numbers, as nested tuples with one row, once for each row of what flows in."""

    value: Any
    dtype: DType

    title = "for_each_row"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        row = scope.builder.constant(self.value, self.dtype)
        return scope.builder.add(RepeatForRows(), row, x)


@record
class RepeatForRows(Op):
    """The first operand, which has one row, once for each row of the second."""

    def infer(self, *inputs: Type) -> Type:
        row, like = inputs
        return row.with_shape((like.shape[0], *row.shape[1:]))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        rows = onnx.node("Shape", inputs[1], start=0, end=1)
        ones = onnx.constant((1,) * (node.inputs[0].type.rank - 1), "i64")
        rank = node.inputs[0].type.rank
        shape = onnx.node("Concat", rows, ones, axis=0) if rank > 1 else rows
        return onnx.node("Expand", inputs[0], shape)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, None]:
        return unbroadcast(b, grad, inputs[0]), None


@record
class Widen(Op):
    """The operand, repeated along axes of size 1 until it has the shape `shape`."""

    shape: Shape

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_shape(self.shape)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        # The batch is 1 in the target: it goes with any number of rows.
        sizes = tuple(1 if isinstance(d, str) else d for d in self.shape)
        return onnx.node("Expand", inputs[0], onnx.constant(sizes, "i64"))

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (unbroadcast(b, grad, inputs[0]),)


@record
class Product(Op):
    """`a @ b` by the rules of NumPy and ONNX: axes before the last two are repeated where one of
    the operands has size 1 or lacks them.
    """

    def infer(self, *inputs: Type) -> Type:
        from deepdsl.graph import broadcast

        a, b = inputs
        front = broadcast(a.shape[:-2], b.shape[:-2]) if max(a.rank, b.rank) > 2 else ()
        assert a.rank > 1
        assert b.rank > 1
        assert a.shape[-1] == b.shape[-2]
        return a.with_shape((*front, a.shape[-2], b.shape[-1]))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("MatMul", *inputs)

    def flops(self, out: Type, *inputs: Type) -> int:
        inner = inputs[0].shape[-1]
        return 2 * out.per_row * (inner if isinstance(inner, int) else 1)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, Value]:
        from deepdsl.graph.matmul import turned

        x, y = inputs
        to_x = b.add(Product(), grad, turned(b, y))
        to_y = b.add(Product(), turned(b, x), grad)
        return unbroadcast(b, to_x, x), unbroadcast(b, to_y, y)


@record
class Step(Op):
    """Each `step`-th place along an axis, from the first; after the gradient are zeros."""

    axis: int
    step: int

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        size = x.shape[self.axis]
        assert isinstance(size, int)
        return x.with_shape(_with(x.shape, self.axis, -(-size // self.step)))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        size = node.inputs[0].type.shape[self.axis]
        numbers = (onnx.constant((n,), "i64") for n in (0, size, self.axis, self.step))
        return onnx.node("Slice", inputs[0], *numbers)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        from deepdsl.nn.layers.image_reshaping import Surround, Within

        (x,) = inputs
        size, rank = x.type.shape[self.axis], x.type.rank
        made = grad.type.shape[self.axis]
        assert isinstance(size, int)
        assert isinstance(made, int)
        apart = (*grad.type.shape[: self.axis + 1], 1, *grad.type.shape[self.axis + 1 :])
        ends = [0] * (rank + 1)
        ends[self.axis + 1] = self.step - 1
        spread = b.add(Surround((0,) * (rank + 1), tuple(ends)), b.add(Reshape(apart), grad))
        whole = b.add(Reshape(_with(x.type.shape, self.axis, made * self.step)), spread)
        over = made * self.step - size
        if not over:
            return (whole,)
        cut = tuple(over if axis == self.axis else 0 for axis in range(rank))
        return (b.add(Within((0,) * rank, cut), whole),)


def _with(shape: Shape, axis: int, size: Dim) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


@record
class Reciprocal(Op):
    """1 / x."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Reciprocal", *inputs)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        from deepdsl.graph.arithmetic import Neg, mul, square

        return (b.add(Neg(), mul(b, grad, square(b, out))),)
