"""Blocks and models as templates: what they are, and how their parameters get values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic
from deepdsl.diagnostics.language.arguments import (
    GivenTwice,
    MissingArgument,
    TooManyArguments,
    UnknownOption,
    WrongValue,
)
from deepdsl.language.analysis.definitions import Template
from deepdsl.language.analysis.frames import Flowing
from deepdsl.language.analysis.values import FAILED, Environment, LetConstant, evaluate
from deepdsl.language.syntax import ast


@record
class Called:
    """What is at a layer's place: a name, its arguments, and where their names are looked up.

    `span` is all of it.
    """

    name: str
    named: Span
    args: Sequence[ast.Argument]
    span: Span
    env: Environment


@record
class Bound:
    """A template's names with the values of one use: constants, and values that flow."""

    env: Environment
    values: Mapping[str, Flowing]


def bind_parameters(
    template: Template, called: Called, values: Mapping[str, Flowing]
) -> Bound | None:
    """The parameters' values, given by place or by name; None after something was reported.

    An argument that names one of `values` hands this on.
    """
    given = _given(template, called)
    if given is None:
        return None
    env = template.env.reporting(called.env.report)
    flowing: dict[str, Flowing] = {}
    failed = False
    for parameter in template.parameters:
        name, arg = parameter.name.text, given.get(parameter.name.text)
        known = values.get(arg.text) if isinstance(arg, ast.Path) else None
        if known is not None and arg is not None and arg.span.text not in called.env.constants:
            flowing[name] = Flowing(known.value, arg.span)
            continue
        made: Any = FAILED
        if arg is not None:
            made = evaluate(arg, called.env)
        elif parameter.default is not None:
            made = evaluate(parameter.default, env)
        failed |= made is FAILED
        env = env.inner({name: LetConstant(made, parameter.name.span)})
    return None if failed else Bound(env, flowing)


def unbound(template: Template, env: Environment) -> Bound:
    """The parameters without values, to look at the block's names alone."""
    constants = {p.name.text: LetConstant(FAILED, p.name.span) for p in template.parameters}
    return Bound(env.inner(constants).unknown(), {})


def _given(template: Template, called: Called) -> Mapping[str, ast.Value] | None:
    """The argument of each parameter that has one; None after something was reported."""
    names = [p.name.text for p in template.parameters]
    given: dict[str, ast.Value] = {}
    spans: dict[str, Span] = {}
    wrong: list[Diagnostic] = []
    places = iter(names)
    for arg in called.args:
        if isinstance(arg, ast.Keyword):
            name: str | None = arg.name.text
            if name not in names:
                wrong.append(UnknownOption(arg.name.span, called.name, str(name), tuple(names)))
                continue
        else:
            name = next(places, None)
            if name is None:
                wrong.append(TooManyArguments(arg.span, called.name, _takes(template)))
                continue
        if isinstance(arg, ast.Pair):
            shown = f"`{arg.span.text}`"
            wrong.append(WrongValue(arg.span, called.name, name, "one value", shown))
        elif name in given:
            wrong.append(GivenTwice(arg.span, called.name, name, spans[name]))
        else:
            given[name] = arg.value if isinstance(arg, ast.Keyword) else arg
            spans[name] = arg.span
    if not wrong:
        wrong += _missing(template, called, given)
    for diagnostic in wrong:
        called.env.say(diagnostic)
    return None if wrong else given


def _missing(
    template: Template, called: Called, given: Mapping[str, ast.Value]
) -> Sequence[Diagnostic]:
    doc = "a parameter without a default value"
    return [
        MissingArgument(
            called.named, called.name, p.name.text, doc, "a value", f"{called.name} {p.name.text}=…"
        )
        for p in template.parameters
        if p.default is None and p.name.text not in given
    ]


def _takes(template: Template) -> str:
    names = [f"`{p.name.text}`" for p in template.parameters]
    if not names:
        return (
            f"nothing: it is a {template.what}{' without parameters' * (template.what == 'block')}"
        )
    return f"{len(names)} value{'s' if len(names) > 1 else ''}: {', '.join(names)}"
