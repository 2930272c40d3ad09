"""`default dense init=he_normal`: options for the layers below the line, in the body that it is
in.
"""

from __future__ import annotations

from typing import Any

from deepdsl.core.registry import lookup
from deepdsl.diagnostics.language.arguments import TooManyArguments
from deepdsl.diagnostics.language.names import UnknownLayer
from deepdsl.language.analysis.arguments import DefaultOption, bind
from deepdsl.language.analysis.values import Environment
from deepdsl.language.syntax import ast
from deepdsl.nn.layers import Layer


def add_default(
    statement: ast.Default, defaults: dict[str, tuple[DefaultOption, ...]], env: Environment
) -> None:
    """Note a `default` line: it counts for the layers below it, in the body it is in."""
    name = statement.layer.text
    cls = lookup("layer").get(name)
    if cls is None:
        env.say(UnknownLayer(statement.layer.span, name, tuple(lookup("layer"))))
        return
    given = {default.option: default for default in defaults.get(name, ())}
    for arg in statement.args:
        if isinstance(arg, ast.Keyword):
            given[arg.name.text] = DefaultOption(arg, env)
        else:
            env.say(TooManyArguments(arg.span, "default", "options only, such as `init=he_normal`"))
    _check_default(cls, statement, env)
    defaults[name] = tuple(given.values())


def _check_default(cls: type[Layer], statement: ast.Default, env: Environment) -> None:
    """Bind the options once with are-ins for what is required, so that a mistake is said at the
    default itself.
    """
    given = [a for a in statement.args if isinstance(a, ast.Keyword)]
    names = {k.name.text for k in given}
    span = statement.layer.span
    stand_ins = [
        ast.Keyword(
            ast.Name(s.name, span=span),
            ast.Number("0.5" if not _whole(s.kind) else "1", span=span),
            span=span,
        )
        for s in cls.signature()
        if s.required and s.name not in names
    ]
    bind(cls, [*given, *stand_ins], span, env)


def _whole(kind: Any) -> bool:
    return getattr(kind, "whole", True) is True
