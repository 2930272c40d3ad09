"""Inputs that hold whole numbers: what an `input` line says of them, and which table they are
looked up in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deepdsl.core.registry import Word
from deepdsl.diagnostics.language.arguments import (
    GivenTwice,
    TooManyArguments,
    UnknownOption,
    WrongValue,
)
from deepdsl.graph import DType
from deepdsl.language.analysis.model import LayerCall, ModelInput
from deepdsl.language.analysis.values import FAILED, Environment, evaluate, found
from deepdsl.language.syntax import ast
from deepdsl.nn.layers.embedding import Embedding

TYPES: dict[str, DType] = {"float32": "f32", "int64": "i64"}


def element_type(statement: ast.Input, env: Environment) -> DType | None:
    """`dtype=int64`, or None where that cannot be said; what else is after the shape is
    reported.
    """
    made: DType | None = "f32"
    first: ast.Keyword | None = None
    for arg in statement.args:
        if not isinstance(arg, ast.Keyword):
            env.say(TooManyArguments(arg.span, "input", "a name and a shape"))
        elif arg.name.text != "dtype":
            env.say(UnknownOption(arg.name.span, "input", arg.name.text, ("dtype",)))
        elif first is not None:
            env.say(GivenTwice(arg.name.span, "input", "dtype", first.name.span))
        else:
            first = arg
            value = evaluate(arg.value, env)
            made = TYPES.get(value.text) if isinstance(value, Word) else None
            if made is None and value is not FAILED:
                shown = found(arg.value, value)
                expected = "`int64`, or `float32` where it is left out"
                env.say(WrongValue(arg.value.span, "input", "dtype", expected, shown, ""))
    return made


def with_tables(inputs: Sequence[ModelInput], calls: Sequence[LayerCall]) -> tuple[ModelInput, ...]:
    """The inputs, those that hold indices with the rows of the smallest table they are looked up
    in.
    """
    made = []
    for number, given in enumerate(inputs):
        rows = [
            call.layer.count
            for call in calls
            if number in call.inputs and isinstance(call.layer, Embedding)
        ]
        made.append(replace(given, rows=min(rows, default=None)))
    return tuple(made)
