"""Text to program: reading, parsing, analysis and lints, and which of a program's sections is
meant.

Nothing here imports NumPy or onnx, or what lowers graphs: checking a file must be quick.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from deepdsl.analysis import Model, Program, Training, analyse
from deepdsl.analysis.gaps import beside_gaps
from deepdsl.diagnostics import Diagnostic, DnnError, Report
from deepdsl.diagnostics.files import CannotRead, NoModel, NothingInFile, NoTraining
from deepdsl.lints import allowed, lint
from deepdsl.source import Source, Span
from deepdsl.syntax.parser import parse_partial


def check(
    source: Source, data_given: bool = False, allow: Collection[str] = frozenset()
) -> tuple[Program | None, Report]:
    """Everything that can be known of a text without reading data: the program, if there is one,
    and all diagnostics but the warnings that `allow` names.

    With `data_given` the file need not say where its data is.
    """
    report = Report()
    file, problems = parse_partial(source)
    report.extend(problems)
    program = None
    if file is not None:
        own = Report()
        program = analyse(file, own, data_given)
        if not file.items and not problems:
            own.add(NothingInFile(Span(source, 0, 0)))
        if not own.has_errors:
            own.extend(lint(program))
        report.extend(beside_gaps(file, own, problems))
    kept = Report()
    kept.extend(allowed(report, allow))
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
        raw = path.read_bytes()
    except OSError as error:
        raise DnnError([CannotRead(None, str(path), (error.strerror or "").lower())]) from error
    # As a text file is read: each kind of line end is one.
    text = decoded(raw, str(path)).replace("\r\n", "\n").replace("\r", "\n")
    return Source(str(path), text)


def decoded(raw: bytes, name: str) -> str:
    """The text of a file, without a byte order mark, or DnnError with what the bytes look like."""
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8 text (byte {error.start}){_looks_like(raw, name)}"
        raise DnnError([CannotRead(None, name, reason)]) from error


# The first bytes of files that are mistaken for a `.dnn` file.
_BEGINNINGS = {
    b"PK\x03\x04": "a zip or npz file",
    b"\x93NUMPY": "an npy file",
    b"\x1f\x8b": "a file compressed with gzip",
    b"\x89PNG": "an image",
    b"\x89HDF": "an hdf5 file",
    b"\x80\x04": "a pickle",
}


def _looks_like(raw: bytes, name: str) -> str:
    """What a file that is not UTF-8 seems to be, and how to convert it."""
    for start, what in _BEGINNINGS.items():
        if raw.startswith(start):
            return f"; it looks like {what}"
    encoding = ""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    elif b"\0" in raw[:4096]:
        halves = [raw[n:4096:2].count(0) for n in (0, 1)]
        if max(halves) < 0.4 * len(raw[:4096]) / 2:
            return "; it looks like a binary file"
        encoding = "UTF-16LE" if halves[1] > halves[0] else "UTF-16BE"
    elif all(byte >= 0xA0 or byte < 0x80 for byte in raw):
        encoding = "ISO-8859-1"
    else:
        encoding = "WINDOWS-1252"
    return (
        f"; it looks like {encoding}: `iconv -f {encoding} -t UTF-8 {name} > new.dnn` converts it"
    )


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
