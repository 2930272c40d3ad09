"""Decides the conditions of `if … then … else …`, when the file is compiled."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from deepdsl.core.registry import Word
from deepdsl.diagnostics.language.arguments import UnknownConstant
from deepdsl.diagnostics.language.templates import NoCondition
from deepdsl.language.analysis.values import FAILED, Closure, Environment, evaluate, found
from deepdsl.language.syntax import ast

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(condition: ast.Condition, env: Environment) -> Any:
    """Whether a condition is true, or FAILED after something was reported."""
    sides = [(side, evaluate(side, env)) for side in (condition.left, condition.right)]
    if any(value is FAILED for _, value in sides):
        return FAILED
    (left, a), (right, b) = sides
    # A word by itself compared with another, or with a number as it is written: neither can
    # change, so that a name is misspelt.
    for (side, value), other in ((sides[0], right), (sides[1], left)):
        if _is_bare(side, value) and (_is_fixed(other) or _is_bare(other, evaluate(other, env))):
            return env.say(UnknownConstant(side.span, value.text, tuple(env.constants)))
    if condition.operator in ("==", "!="):
        return _equal(a, b) == (condition.operator == "==")
    for side, value in sides:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return env.say(NoCondition(side.span, condition.operator, found(side, value)))
    return _ORDERS[condition.operator](a, b)


def _is_bare(side: ast.Value, value: Any) -> bool:
    return isinstance(side, ast.Path) and isinstance(value, Word) and value.text == side.text


def _is_fixed(side: ast.Value) -> bool:
    if isinstance(side, ast.Path):
        return side.text in ("true", "false")
    return isinstance(side, ast.Number | ast.Percent)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Word) and isinstance(b, Word):
        return a.text == b.text
    if isinstance(a, Closure) and isinstance(b, Word):
        return a.call.name.text == b.text
    if isinstance(b, Closure):
        return isinstance(a, Word) and _equal(b, a)
    # `true` is not a number here.
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)
