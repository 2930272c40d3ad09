"""Elementwise arithmetic with broadcasting, and the small functions that other gradients are
written with.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import ClassVar

from deepdsl.core.record import record
from deepdsl.graph import Builder, DType, Emitter, Node, Op, ShapeError, Type, Value, broadcast
from deepdsl.graph.reshaping import Reshape, unbroadcast
from deepdsl.graph.types import ONNX_CODES


@record
class Elementwise(Op):
    """Operations that ONNX has under a name of its own, element by element."""

    onnx: ClassVar[str] = ""

    def infer(self, *inputs: Type) -> Type:
        dtypes = {t.dtype for t in inputs}
        if len(dtypes) > 1:
            raise ShapeError(f"{self.title} mixes element types {', '.join(sorted(dtypes))}")
        return Type(broadcast(*(t.shape for t in inputs)), inputs[0].dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node(self.onnx, *inputs)


@record
class Add(Elementwise):
    onnx = "Add"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        x, y = inputs
        return unbroadcast(b, grad, x), unbroadcast(b, grad, y)


@record
class Sub(Elementwise):
    onnx = "Sub"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        x, y = inputs
        return unbroadcast(b, grad, x), unbroadcast(b, b.add(Neg(), grad), y)


@record
class Mul(Elementwise):
    onnx = "Mul"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        x, y = inputs
        return unbroadcast(b, mul(b, grad, y), x), unbroadcast(b, mul(b, grad, x), y)


@record
class Div(Elementwise):
    onnx = "Div"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        x, y = inputs
        over = div(b, grad, y)
        return unbroadcast(b, over, x), unbroadcast(b, b.add(Neg(), mul(b, over, out)), y)


@record
class Neg(Elementwise):
    onnx = "Neg"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        return (b.add(Neg(), grad),)


@record
class Exp(Elementwise):
    onnx = "Exp"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        return (mul(b, grad, out),)


@record
class Log(Elementwise):
    onnx = "Log"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        return (div(b, grad, inputs[0]),)


@record
class Sqrt(Elementwise):
    onnx = "Sqrt"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        return (div(b, mul(b, grad, b.like(0.5, out)), out),)


@record
class Erf(Elementwise):
    """The error function."""

    onnx = "Erf"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        bell = b.add(Exp(), b.add(Neg(), square(b, inputs[0])))
        return (mul(b, grad, scaled(b, 2 / sqrt(pi), bell)),)


@record
class Abs(Elementwise):
    onnx = "Abs"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        return (mul(b, grad, b.add(Sign(), inputs[0])),)


@record
class Sign(Elementwise):
    onnx = "Sign"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[None]:
        return (None,)


@record
class Floor(Elementwise):
    onnx = "Floor"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[None]:
        return (None,)


@record
class Cos(Elementwise):
    """The cosine of an angle in radians."""

    onnx = "Cos"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        # cos(x + pi / 2) = -sin(x)
        return (mul(b, grad, b.add(Cos(), plus(b, inputs[0], pi / 2))),)


@record
class Pow(Elementwise):
    """x ** y for a positive base; the gradient is that of x alone (exponents are constants
    here).
    """

    onnx = "Pow"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, None]:
        x, y = inputs
        return unbroadcast(b, mul(b, grad, div(b, mul(b, out, y), x)), x), None


@record
class Minimum(Elementwise):
    """The smaller of two; where they are equal the gradient goes to the first."""

    onnx = "Min"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        return _to_winner(b, grad, inputs, b.add(Greater(), *inputs))


@record
class Maximum(Elementwise):
    """The larger of two; where they are equal the gradient goes to the first."""

    onnx = "Max"

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        return _to_winner(b, grad, inputs, b.add(Greater(), inputs[1], inputs[0]))


def _to_winner(
    b: Builder, grad: Value, inputs: tuple[Value, ...], second: Value
) -> tuple[Value, ...]:
    x, y = inputs
    zero = b.like(0.0, grad)
    to_x = b.add(Where(), second, zero, grad)
    to_y = b.add(Where(), second, grad, zero)
    return unbroadcast(b, to_x, x), unbroadcast(b, to_y, y)


@record
class Compare(Elementwise):
    """Comparisons: the result is boolean and has no gradient."""

    def infer(self, *inputs: Type) -> Type:
        return super().infer(*inputs).with_dtype("bool")

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[None, ...]:
        return tuple(None for _ in inputs)


@record
class Greater(Compare):
    onnx = "Greater"


@record
class Less(Compare):
    onnx = "Less"


@record
class Equal(Compare):
    onnx = "Equal"


@record
class Where(Op):
    """`where(condition, x, y)`: x where the condition holds, y elsewhere."""

    def infer(self, *inputs: Type) -> Type:
        condition, x, y = inputs
        return Type(broadcast(condition.shape, x.shape, y.shape), x.dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Where", *inputs)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value | None, ...]:
        condition, x, y = inputs
        zero = b.like(0.0, grad)
        to_x = b.add(Where(), condition, grad, zero)
        to_y = b.add(Where(), condition, zero, grad)
        return None, unbroadcast(b, to_x, x), unbroadcast(b, to_y, y)


@record
class IsFinite(Op):
    """Whether a scalar is neither NaN nor infinite."""

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_dtype("bool")

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        # x - x is 0 for a finite number, NaN for any other: no kernel is needed that a provider may
        # lack.
        difference = onnx.node("Sub", inputs[0], inputs[0])
        return onnx.node("Equal", difference, onnx.constant(0.0, node.inputs[0].type.dtype))


@record
class Cast(Op):
    """The same numbers in another element type."""

    dtype: DType

    def infer(self, *inputs: Type) -> Type:
        return inputs[0].with_dtype(self.dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Cast", *inputs, to=ONNX_CODES[self.dtype])

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value | None]:
        dtype = inputs[0].type.dtype
        if dtype not in ("f32", "f64"):
            return (None,)
        return (cast(b, grad, dtype),)


def add(b: Builder, x: Value, y: Value) -> Value:
    return b.add(Add(), x, y)


def sub(b: Builder, x: Value, y: Value) -> Value:
    return b.add(Sub(), x, y)


def mul(b: Builder, x: Value, y: Value) -> Value:
    return b.add(Mul(), x, y)


def div(b: Builder, x: Value, y: Value) -> Value:
    return b.add(Div(), x, y)


def scaled(b: Builder, factor: float, x: Value) -> Value:
    return b.add(Mul(), x, b.like(factor, x))


def plus(b: Builder, x: Value, number: float) -> Value:
    return b.add(Add(), x, b.like(number, x))


def square(b: Builder, x: Value) -> Value:
    return b.add(Mul(), x, x)


def cast(b: Builder, x: Value, dtype: DType) -> Value:
    return x if x.type.dtype == dtype else b.add(Cast(dtype), x)


def along_features(b: Builder, vector: Value, like: Value) -> Value:
    """A vector with one number a feature (axis 1), in a shape that is broadcast against `like`."""
    spread = (*vector.type.shape, *[1] * (like.type.rank - 2))
    return vector if vector.type.shape == spread else b.add(Reshape(spread), vector)
