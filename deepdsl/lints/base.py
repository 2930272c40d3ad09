"""A lint is a diagnostic that can find itself in a program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from deepdsl.analysis.model import Call, Model, Program
from deepdsl.diagnostics import Diagnostic
from deepdsl.record import record
from deepdsl.source import Source


@record
class Lint(Diagnostic):
    """Base of lints: a diagnostic with a code that begins with W, and `check`."""

    @classmethod
    def check(cls, program: Program) -> Iterator[Lint]:
        """Every place of the program where this lint has something to say."""
        raise NotImplementedError(f"{cls.__name__} has no check")


def lint(program: Program) -> list[Diagnostic]:
    """What all lints find."""
    found: list[Diagnostic] = []
    for cls in Diagnostic.registry.values():
        if issubclass(cls, Lint):
            found += cls.check(program)
    return found


_ALLOW = re.compile(r"#\s*dnnc:\s*allow\s+([A-Z]\d{3}(?:[\s,]+[A-Z]\d{3})*)")


def allowed(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics without the warnings that a comment allows.

    `# dnnc: allow W403` counts for its own line, and on a line of its own for the next one.
    """
    return [d for d in diagnostics if not _is_allowed(d)]


def _is_allowed(diagnostic: Diagnostic) -> bool:
    if diagnostic.span is None or not diagnostic.code.startswith("W"):
        return False
    source, line = diagnostic.span.source, diagnostic.span.line
    codes = _codes(source, line)
    if line > 1 and source.line(line - 1).lstrip().startswith("#"):
        codes |= _codes(source, line - 1)
    return diagnostic.code in codes


def _codes(source: Source, line: int) -> set[str]:
    found = _ALLOW.search(source.line(line))
    return set(re.split(r"[\s,]+", found.group(1))) if found else set()


def each_call(program: Program) -> Iterator[tuple[Model, Call]]:
    for model in program.models.values():
        for call in model.calls:
            yield model, call


def before(model: Model, call: Call) -> Iterator[Call]:
    """The calls that a call's first operand comes from, nearest first, along a plain chain."""
    here: Call | None = call
    while here is not None and here.inputs:
        here = model.call_of(here.inputs[0])
        if here is not None:
            yield here
