"""Text to program: reading, parsing, analysis and lints, and which of a program's sections is
meant.

Nothing here imports NumPy or onnx, or what lowers graphs: checking a file must be quick.
"""

from __future__ import annotations

from pathlib import Path

from deepdsl.analysis import Model, Program, Training, analyse
from deepdsl.analysis.gaps import beside_gaps
from deepdsl.diagnostics import Diagnostic, DnnError, Report
from deepdsl.diagnostics.files import CannotRead, NoModel, NoTraining
from deepdsl.lints import allowed, lint
from deepdsl.source import Source
from deepdsl.syntax.parser import parse_partial


def check(source: Source, data_given: bool = False) -> tuple[Program | None, Report]:
    """Everything that can be known of a text without reading data: the program, if there is one,
    and all diagnostics.

    With `data_given` the file need not say where its data is.
    """
    report = Report()
    file, problems = parse_partial(source)
    report.extend(problems)
    program = None
    if file is not None:
        own = Report()
        program = analyse(file, own, data_given)
        if not own.has_errors:
            own.extend(lint(program))
        report.extend(beside_gaps(file, own, problems))
    kept = Report()
    kept.extend(allowed(report))
    return program, kept


def load_program(
    source: Source, data_given: bool = False
) -> tuple[Program, tuple[Diagnostic, ...]]:
    """The program and its warnings, or DnnError with everything that is wrong."""
    program, report = check(source, data_given)
    report.raise_if_errors()
    assert program is not None
    return program, tuple(report)


def read_source(path: Path) -> Source:
    """The text of a file, or DnnError with NoSuchFile."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 text (byte {error.start})"
        raise DnnError([CannotRead(None, str(path), reason)]) from error
    except OSError as error:
        raise DnnError([CannotRead(None, str(path), (error.strerror or "").lower())]) from error
    return Source(str(path), text.removeprefix("\ufeff"))


def training_of(program: Program, model: str | None) -> Training:
    """The training that is meant: the only one, or that of the model named."""
    found = [t for t in program.trainings if model in (None, t.model)]
    if len(found) != 1:
        names = tuple(dict.fromkeys(t.model for t in program.trainings))
        raise DnnError([NoTraining(None, model or "", names)])
    return found[0]


def model_of(program: Program, name: str | None) -> Model:
    if name is None and len(program.models) == 1:
        return next(iter(program.models.values()))
    if name is None or name not in program.models:
        raise DnnError([NoModel(None, name or "", tuple(program.models))])
    return program.models[name]
