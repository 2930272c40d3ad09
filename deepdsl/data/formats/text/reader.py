"""Texts as windows of characters: how they are read and numbered, and which rows there are."""

from __future__ import annotations

import math

import numpy as np

from deepdsl.data.files import DataFile, find_file
from deepdsl.data.formats.text import TextSource, text_misfits
from deepdsl.data.request import OpenRequest, Shape, TargetSpec
from deepdsl.data.table import Array, Field, Origin, Rows, Table
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.sequences import (
    TextEncoding,
    TextMisfit,
    TextTooShort,
    UnknownCharacter,
    VocabularySize,
)
from deepdsl.graph.types import IndexShape

_BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


class WindowField:
    """Stretches of a text: for row i the numbers of the characters from `start + i * stride` on.

    `below` is more than every number.
    """

    columns: tuple[str, ...] = ()
    #: Many of a text's characters follow no window: a number here is not the class of a row.
    has_classes = False

    def __init__(
        self, text: Array, origin: Origin, rows: int, shape: Shape, start: int, stride: int
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(np.int64)
        self.origin = origin
        self.below = int(text.max()) + 1
        self._text, self._rows, self._start, self._stride = text, rows, start, stride

    def __len__(self) -> int:
        return self._rows

    def read(self, rows: Rows, out: Array) -> None:
        length = int(np.prod(self.shape))
        first = self._start + rows * self._stride
        out.reshape(len(rows), length)[...] = self._text[first[:, None] + np.arange(length)]

    def place(self, row: int) -> str:
        return self.origin.place(row)


def open_table(source: TextSource, request: OpenRequest) -> Table:
    """The windows of a text file."""
    file = find_file(source.file, request)
    return windows(read_text(file), f'"{file.name}"', request, source.stride)


def read_text(file: DataFile) -> str:
    """The characters of a file, plain or packed with gzip, with every end of a line as `\\n`."""
    with file.unpacked() as (stream, _):
        raw = stream.read()
    if raw.startswith(_WIDE):
        raise DnnError([TextEncoding(file.span, f'"{file.name}"', 1, wide=True)])
    try:
        text = raw.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DnnError([TextEncoding(file.span, f'"{file.name}"', line)]) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def windows(
    text: str,
    name: str,
    request: OpenRequest,
    stride: int | None,
    vocabulary: tuple[str, ...] | None = None,
) -> Table:
    """A text's rows.  Its characters are numbered by the vocabulary or, without one, by the classes
    that train has, and for train by themselves.
    """
    shapes = {n: shape for n, shape in request.inputs.items() if shape is not None}
    for problem in text_misfits(shapes, request.span):
        raise DnnError([problem])
    ((given, shape),) = shapes.items()
    assert isinstance(shape, IndexShape)
    length = shape[0]
    if len(text) <= length:
        raise DnnError([TextTooShort(request.span, name, len(text), length)])
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    # A run or file that knows its characters has the last word.
    known = request.classes or vocabulary
    characters = known or tuple(map(chr, np.unique(codes)))
    numbers = _numbered(codes, characters, name, request)
    step = length if stride is None else stride
    rows = (len(text) - length - 1) // step + 1
    origin = Origin(name, request.span, _lines(codes, rows, step))
    targets: dict[str, Field] = {}
    for target, spec in request.targets.items():
        each = _each_position(spec, length, target, request)
        start, one = (1, (length,)) if each else (length, ())
        targets[target] = WindowField(numbers, origin, rows, one, start, step)
    wanted = next(iter(request.targets.values()), None)
    _check_size(len(characters), shape, wanted, name, request)
    field = WindowField(numbers, origin, rows, shape, 0, step)
    shared = math.ceil(length / step) - 1
    return Table(rows, {given: field}, targets, characters, known is None, shared=shared)


def _numbered(codes: Array, characters: tuple[str, ...], name: str, request: OpenRequest) -> Array:
    """The number of each character, in as few bytes as serve."""
    if any(len(character) != 1 for character in characters):
        reason = "the classes of the model are no characters"
        raise DnnError([TextMisfit(request.span, reason, "train it on a text")])
    points = np.array([ord(character) for character in characters])
    order = np.argsort(points)
    known = points[order]
    at = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    strange = known[at] != codes
    if strange.any():
        first = int(np.argmax(strange))
        line = int(np.count_nonzero(codes[:first] == ord("\n"))) + 1
        new = tuple(map(chr, np.unique(codes[strange])))
        place = f"{name}, line {line}"
        raise DnnError([UnknownCharacter(request.span, new, place)])
    small = np.uint8 if len(characters) <= 1 << 8 else np.int32
    return order.astype(small)[at]


def _lines(codes: Array, rows: int, stride: int) -> Rows:
    """The line of the file in which each window begins."""
    ends = np.flatnonzero(codes == ord("\n"))
    found: Rows = np.searchsorted(ends, np.arange(rows) * stride) + 1
    return found


def _each_position(spec: TargetSpec, length: int, target: str, request: OpenRequest) -> bool:
    """Whether the character after each position is to be learned, or TextMisfit."""
    if spec.kind == "value":
        reason = "a text gives classes to be learned, and the loss compares numbers"
        advice = "end with `dense … per=position | softmax` and take the loss `cross_entropy`"
        raise DnnError([TextMisfit(request.span, reason, advice)])
    if spec.shape in ((length,), ()):
        return spec.shape == (length,)
    if spec.kind == "binary":
        reason = "a text gives classes to be learned, and the model says yes or no"
        advice = "end with `dense …` of as many units as there are characters, and `softmax`"
        raise DnnError([TextMisfit(request.span, reason, advice)])
    reason = f"a text of {length} characters a row does not fit an output of {spec.shape} classes"
    advice = f"the model gives {length} positions, or one vector, before the softmax"
    raise DnnError([TextMisfit(request.span, reason, advice)])


def _check_size(
    found: int, shape: IndexShape, spec: TargetSpec | None, name: str, request: OpenRequest
) -> None:
    classes = spec.classes if spec is not None else None
    if all(size in (None, found) for size in (shape.rows, classes)):
        return
    raise DnnError([VocabularySize(request.span, name, found, shape.rows, classes)])
