"""A lint is a diagnostic that can find itself in a program."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from deepdsl.core.record import record
from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import Diagnostic, Severity, Use
from deepdsl.language.analysis.model import CheckedProgram
from deepdsl.language.lints.walk import before, each_call
from deepdsl.language.propagation import Prediction, predict

__all__ = ["Lint", "Predictions", "allowed", "before", "each_call", "lint"]

# How signals and gradients go through each model, by the model's name.
Predictions = Mapping[str, Prediction]


@record
class Lint(Diagnostic):
    """Base of lints: a warning with `check`."""

    severity = Severity.WARNING
    #: Whether this can be said of layers that were made and trained elsewhere.
    speaks_of_reused: ClassVar[bool] = False
    #: Whether this says what becomes of signals and gradients, of which other lints are causes.
    is_consequence: ClassVar[bool] = False
    # Where a line could not be read, what seems to be missing may be in it.
    depends_on = "file"

    @classmethod
    def check(cls, program: CheckedProgram) -> Iterator[Lint]:
        """Every place of the program where this lint has something to say."""
        raise NotImplementedError(f"{cls.__name__} has no check")

    @classmethod
    def check_signals(cls, program: CheckedProgram, predictions: Predictions) -> Iterator[Lint]:
        """The same for a lint that reads the predictions, which overrides this one: they are made
        once for all lints.
        """
        return cls.check(program)

    @property
    def causes_at(self) -> tuple[Span | None, ...]:
        """The places where this would be the cause of what is said there of signals."""
        return ()


def lint(program: CheckedProgram) -> list[Diagnostic]:
    """What all lints find, each once at a place."""
    found: dict[object, Diagnostic] = {}
    # Of layers that were made and trained elsewhere nothing is said here.
    reused = {r.span for model in program.models.values() for r in model.reused}
    predictions = {name: predict(model) for name, model in program.models.items()}
    for cls in tuple(Diagnostic.registry.values()):
        if issubclass(cls, Lint):
            # A line in a `repeat`, or in a part used twice, is met several times, with figures of
            # its own each time: the first mean all.
            for each in cls.check_signals(program, predictions):
                if each.span not in reused or cls.speaks_of_reused:
                    found.setdefault((each.code, each.span), each)
    ways = _ways(program)
    return [
        replace(each, uses=ways[each.span]) if each.span in ways else each
        for each in _one_story(found.values())
    ]


def _ways(program: CheckedProgram) -> dict[Span | None, tuple[Use, ...]]:
    """How the text of a block comes into the model: its first use."""
    ways: dict[Span | None, tuple[Use, ...]] = {}
    for _, call in each_call(program):
        if call.uses:
            ways.setdefault(call.span, call.uses)
    return ways


def _one_story(found: Collection[Diagnostic]) -> list[Diagnostic]:
    """The diagnostics; a cause is not told again where its consequence is, and its fix is that
    one's.
    """
    kept: dict[int, Diagnostic] = {id(each): each for each in found}
    for each in found:
        places = each.causes_at if isinstance(each, Lint) else ()
        for other in found:
            if other.span in places and isinstance(other, Lint) and other.is_consequence:
                here = kept[id(other)]
                kept[id(other)] = replace(here, fixes=here.fixes or each.fixes)
                kept.pop(id(each), None)
    return list(kept.values())


_CODES = r"\s+([A-Z]\d{3}(?:[\s,]+[A-Z]\d{3})*)"
_ALLOW = re.compile(rf"#\s*dnnc:\s*allow{_CODES}")
_ALLOW_FILE = re.compile(rf"#\s*dnnc:\s*allow-file{_CODES}")


def allowed(
    diagnostics: Iterable[Diagnostic], codes: Collection[str] = frozenset()
) -> list[Diagnostic]:
    """The diagnostics without the warnings that a comment, or `codes`, allows.

    `# dnnc: allow W403` counts for its own line, and on a line of its own for the next one;
    `# dnnc: allow-file W403` counts for the whole file.
    """
    return [d for d in diagnostics if not _is_allowed(d, codes)]


def _is_allowed(diagnostic: Diagnostic, codes: Collection[str]) -> bool:
    code = diagnostic.code
    if diagnostic.severity is not Severity.WARNING:
        return False
    if code in codes or diagnostic.span is None:
        return code in codes
    source, line = diagnostic.span.source, diagnostic.span.line
    here = _codes(_ALLOW, source.line(line))
    if line > 1 and source.line(line - 1).lstrip().startswith("#"):
        here |= _codes(_ALLOW, source.line(line - 1))
    return code in here or code in _codes_of_file(source)


def _codes_of_file(source: Source) -> set[str]:
    if "allow-file" not in source.text:
        return set()
    return set().union(*(_codes(_ALLOW_FILE, line) for line in source.text.split("\n")))


def _codes(form: re.Pattern[str], line: str) -> set[str]:
    found = form.search(line)
    return set(re.split(r"[\s,]+", found.group(1))) if found else set()
