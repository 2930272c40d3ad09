"""Text to program: parsing, used files, analysis and lints, and which of a program's sections is
meant.

Nothing here imports NumPy or onnx, or what lowers graphs: checking a file must be quick.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import Diagnostic, DnnError, Report
from deepdsl.diagnostics.cli.files import NoModel, NothingInFile, NoTraining
from deepdsl.language.analysis import CheckedProgram, Model, Training, analyse
from deepdsl.language.analysis.cascades import beside_gaps
from deepdsl.language.analysis.library import Library
from deepdsl.language.lints import allowed, lint
from deepdsl.language.reading import decoded, read_source
from deepdsl.language.syntax.parser import parse_partial
from deepdsl.language.used_files import gather

__all__ = ["check", "decoded", "load_program", "model_of", "read_source", "training_of"]


def check(
    source: Source, data_given: bool = False, allow: Collection[str] = frozenset()
) -> tuple[CheckedProgram | None, Report]:
    """Everything that can be known of a text without reading data: the program, if there is one,
    and all diagnostics but the warnings that `allow` names.

    With `data_given` the file need not say where its data is.  The files that it uses are read,
    from the folder that `source` comes from.
    """
    report = Report()
    file, problems = parse_partial(source)
    report.extend(problems)
    program = None
    if file is not None:
        own = Report()
        uses, found = gather(file, own, _open_library)
        problems += found
        report.extend(found)
        program = analyse(file, own, data_given, uses)
        if not file.items and not problems:
            own.add(NothingInFile(Span(source, 0, 0)))
        if not own.has_errors:
            own.extend(lint(program))
        report.extend(beside_gaps(file, own, problems))
    kept = Report()
    kept.extend(_fixed_here(d, source) for d in allowed(report, allow))
    return program, kept


def _open_library(path: Path, shown: str, span: Span) -> Library:
    # A check without such files loads neither onnx nor NumPy.
    from deepdsl.transfer.onnx_import import open_onnx

    return open_onnx(path, shown, span)


def diagnose(source: Source, allow: Collection[str]) -> Report:
    """What `check` finds."""
    return check(source, allow=allow)[1]


def _fixed_here(diagnostic: Diagnostic, source: Source) -> Diagnostic:
    """The diagnostic without fixes of another file: that may be right for who else uses it."""
    own = all(edit.span.source == source for edit in diagnostic.fixes)
    return diagnostic if own else replace(diagnostic, fixes=())


def load_program(
    source: Source, data_given: bool = False
) -> tuple[CheckedProgram, tuple[Diagnostic, ...]]:
    """The program and its warnings, or DnnError with everything that is wrong."""
    program, report = check(source, data_given)
    report.raise_if_errors()
    assert program is not None
    return program, tuple(report)


def training_of(program: CheckedProgram, model: str | None) -> Training:
    """The training that is meant: the only one, or that of the model named."""
    found = [t for t in program.trainings if model in (None, t.model)]
    if len(found) != 1:
        names = tuple(dict.fromkeys(t.model for t in program.trainings))
        raise DnnError([NoTraining(None, model or "", names)])
    return found[0]


def model_of(program: CheckedProgram, name: str | None) -> Model:
    if name is None and len(program.models) == 1:
        return next(iter(program.models.values()))
    if name is None or name not in program.models:
        raise DnnError([NoModel(None, name or "", tuple(program.models))])
    return program.models[name]
