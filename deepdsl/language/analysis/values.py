"""What a written value is: numbers, words and computed values, with the names that are in sight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from deepdsl.core.record import record
from deepdsl.core.registry import Word, show
from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic, Report
from deepdsl.diagnostics.language.arguments import BadArithmetic, UnknownConstant
from deepdsl.language.syntax import ast

FAILED: Any = object()

# Longer values are shown as they come out, not as they are written.
LONGEST_SHOWN = 40


@record
class LetConstant:
    """The value of a name, and where the name is defined."""

    value: Any
    span: Span


@record
class Closure:
    """A value with options of its own, and where its names are looked up."""

    call: ast.Call
    env: Environment

    def __str__(self) -> str:
        return f"{self.call.name.text}(…)"


class Environment:
    """The names in sight whose values are known, with those that were used, by their places.

    `home` is the file that they are in.
    """

    def __init__(
        self,
        constants: dict[str, LetConstant],
        report: Report,
        used: set[Span] | None = None,
        home: Home | None = None,
    ) -> None:
        self.constants, self.report, self.home = constants, report, home
        self.used: set[Span] = set() if used is None else used

    def inner(self, more: Mapping[str, LetConstant]) -> Environment:
        return Environment({**self.constants, **more}, self.report, self.used, self.home)

    def reporting(self, report: Report) -> Environment:
        """The same names, with another place for messages."""
        return Environment(self.constants, report, self.used, self.home)

    def unknown(self) -> Environment:
        """The same names with values that are not known, of which nothing wrong can be said."""
        hidden = {name: LetConstant(FAILED, c.span) for name, c in self.constants.items()}
        return Environment(hidden, self.report, self.used, self.home)

    def named(self, name: str) -> Any:
        """The value of a constant; None where there is none, FAILED where that has been said."""
        constant = self.constants.get(name)
        if constant is not None:
            self.used.add(constant.span)
            return constant.value
        lost = self.home is not None and self.home.is_lost(name)
        return FAILED if lost else None

    def say(self, diagnostic: Diagnostic) -> Any:
        self.report.add(diagnostic)
        return FAILED


class Home(Protocol):
    """The file that a text is in, as far as values are concerned."""

    def is_lost(self, name: str) -> bool:
        """Whether it begins with the name of a used file that could not be read."""
        ...

    def word(self, text: str) -> Word | None:
        """A bare word, which may name a block; None where it names what a used file lacks."""
        ...


def evaluate(value: ast.Value, env: Environment) -> Any:
    """The Python value of a written one: numbers, booleans, texts, lists, sizes, words as `Word`,
    and what has options of its own as `Closure`.

    FAILED after something was reported.
    """
    match value:
        case ast.Number() | ast.Percent() | ast.String():
            return value.value
        case ast.Size():
            return value.sides
        case ast.List():
            items = [evaluate(item, env) for item in value.items]
            return FAILED if FAILED in items else tuple(items)
        case ast.Path():
            if value.text in ("true", "false"):
                return value.text == "true"
            known = env.named(value.text)
            if known is not None:
                return known
            word = Word(value.text) if env.home is None else env.home.word(value.text)
            if word is None:
                return env.say(UnknownConstant(value.span, value.text, tuple(env.constants)))
            return word
        case ast.Binary():
            return _arithmetic(value, env)
        case ast.Call():
            return Closure(value, env)
    raise AssertionError(value)


def _arithmetic(value: ast.Binary, env: Environment) -> Any:
    left, right = (_operand(side, env) for side in (value.left, value.right))
    if left is FAILED or right is FAILED:
        return FAILED
    if value.operator == "/":
        if right == 0:
            return env.say(BadArithmetic(value.span, "this divides by zero"))
        exact = isinstance(left, int) and isinstance(right, int) and left % right == 0
        return left // right if exact else left / right
    result = {"+": left + right, "-": left - right, "*": left * right}[value.operator]
    if abs(result) > 1e300:
        return env.say(BadArithmetic(value.span, "this number is too large"))
    return result


def _operand(side: ast.Value, env: Environment) -> Any:
    number = evaluate(side, env)
    if isinstance(number, Word):
        return env.say(UnknownConstant(side.span, number.text, tuple(env.constants)))
    if number is not FAILED and (isinstance(number, bool) or not isinstance(number, int | float)):
        return env.say(BadArithmetic(side.span, f"{found(side, number)} is no number"))
    if isinstance(number, int) and abs(number) > 10**300:
        return env.say(BadArithmetic(side.span, "this number is too large"))
    return number


def found(syntax: ast.Argument, value: Any) -> str:
    """A value as it is written, and what it comes to where that is not plain."""
    if isinstance(value, Closure):
        return f"`{value}`"
    written = syntax.span.text if syntax.span else ""
    if not written or "\n" in written or len(written) > LONGEST_SHOWN:
        return f"`{show(value)}`"
    named = isinstance(syntax, ast.Path) and written != show(value)
    if named or isinstance(syntax, ast.Binary | ast.Percent):
        return f"`{written}`, which is {show(value)}"
    return f"`{written}`"
