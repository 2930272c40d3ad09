"""Formulas that are written once: on numbers they give numbers, on values of a graph operations.

An activation's `function` is such a formula.  On numbers it is what the prediction of signals
integrates; on a `Term` it is the forward pass, and its gradient follows from the operations'.
"""

from __future__ import annotations

import math
from typing import Any

from deepdsl.core.registry import lookup
from deepdsl.graph import Builder, DType, Op, Shape, Value
from deepdsl.graph.arithmetic import (
    Abs,
    Div,
    Erf,
    Exp,
    Greater,
    Log,
    Maximum,
    Minimum,
    Mul,
    Neg,
    Pow,
    Sign,
    Sqrt,
    Sub,
    Where,
    add,
    cast,
)
from deepdsl.graph.reshaping import ReduceSum, Reshape


class Term:
    """A value of a graph under construction, to be calculated with."""

    def __init__(self, b: Builder, value: Value) -> None:
        self.b, self.value = b, value

    def apply(self, op: Op, *operands: Term | float) -> Term:
        """An operation on terms and numbers; numbers become constants of this term's type."""
        return Term(self.b, self.b.add(op, *(self._value(o) for o in operands)))

    def constant(self, number: float) -> Term:
        """A scalar of this term's element type."""
        return Term(self.b, self.b.like(number, self.value))

    def cast(self, dtype: DType) -> Term:
        """The same numbers in a different element type."""
        return Term(self.b, cast(self.b, self.value, dtype))

    def reshaped(self, shape: Shape) -> Term:
        """The same elements in a different shape."""
        return self if self.value.type.shape == shape else self.apply(Reshape(shape), self)

    def sum(self, axes: tuple[int, ...]) -> Term:
        """The sum over axes, which the result does not have."""
        return self.apply(ReduceSum(axes), self)

    def layer(self, name: str) -> Term:
        """The activation of this name, with its defaults."""
        return self.apply(lookup("layer")[name](), self)

    def _value(self, other: Term | float) -> Value:
        return other.value if isinstance(other, Term) else self.b.like(float(other), self.value)

    def __add__(self, other: Term | float) -> Term:
        return Term(self.b, add(self.b, self.value, self._value(other)))

    __radd__ = __add__

    def __mul__(self, other: Term | float) -> Term:
        return self.apply(Mul(), self, other)

    __rmul__ = __mul__

    def __sub__(self, other: Term | float) -> Term:
        return self.apply(Sub(), self, other)

    def __rsub__(self, other: Term | float) -> Term:
        return self.apply(Sub(), other, self)

    def __truediv__(self, other: Term | float) -> Term:
        return self.apply(Div(), self, other)

    def __rtruediv__(self, other: Term | float) -> Term:
        return self.apply(Div(), other, self)

    def __neg__(self) -> Term:
        return self.apply(Neg(), self)

    def __pow__(self, other: Term | float) -> Term:
        return self.apply(Pow(), self, other)

    def __rpow__(self, other: float) -> Term:
        return self.apply(Pow(), other, self)


def terms(b: Builder, *values: Value) -> tuple[Term, ...]:
    """Values of a graph, to be calculated with."""
    return tuple(Term(b, value) for value in values)


def exp(x: Any) -> Any:
    """e^x; on numbers infinite where it overflows."""
    if isinstance(x, Term):
        return x.apply(Exp(), x)
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def expm1(x: Any) -> Any:
    """e^x - 1; on numbers exact near 0, where the prediction of faint signals needs it."""
    return exp(x) - 1.0 if isinstance(x, Term) else math.expm1(x)


def log(x: Any) -> Any:
    """The natural logarithm."""
    return x.apply(Log(), x) if isinstance(x, Term) else math.log(x)


def erf(x: Any) -> Any:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return x.apply(Erf(), x) if isinstance(x, Term) else math.erf(x)


def sqrt(x: Any) -> Any:
    """The square root."""
    return x.apply(Sqrt(), x) if isinstance(x, Term) else math.sqrt(x)


def square(x: Any) -> Any:
    """x^2."""
    return x * x


def sign(x: Term) -> Term:
    """-1, 0 or 1."""
    return x.apply(Sign(), x)


def absolute(x: Any) -> Any:
    """|x|."""
    return x.apply(Abs(), x) if isinstance(x, Term) else abs(x)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two, the first of which is a term where either is."""
    return x.apply(Maximum(), x, y) if isinstance(x, Term) else max(x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller of two, the first of which is a term where either is."""
    return x.apply(Minimum(), x, y) if isinstance(x, Term) else min(x, y)


def where_above(x: Any, limit: float, then: Any, otherwise: Any) -> Any:
    """`then` where x is above the limit, `otherwise` elsewhere.

    Both are computed everywhere: neither may overflow where it is not taken.
    """
    if isinstance(x, Term):
        return x.apply(Where(), x.apply(Greater(), x, limit), then, otherwise)
    return then if x > limit else otherwise


# Activations that other formulas are written with.  On terms they are operations by themselves, and
# asked of the registry, since they are defined above this module.


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return x.layer("tanh") if isinstance(x, Term) else math.tanh(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow."""
    if isinstance(x, Term):
        return x.layer("sigmoid")
    small = math.exp(-abs(x))
    return 1 / (1 + small) if x >= 0 else small / (1 + small)


def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6."""
    return x.layer("hard_sigmoid") if isinstance(x, Term) else min(max(x + 3, 0.0), 6.0) / 6


def relu(x: Any) -> Any:
    """max(x, 0)."""
    return x.layer("relu") if isinstance(x, Term) else max(x, 0.0)


def elu(x: Any) -> Any:
    """x where x > 0, exp(x) - 1 elsewhere."""
    if isinstance(x, Term):
        return x.layer("elu")
    return x if x > 0 else math.expm1(x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), without overflow."""
    if isinstance(x, Term):
        return x.layer("softplus")
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
