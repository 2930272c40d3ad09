"""Images as the values of rows: decoded when they are read, and kept where memory holds them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from deepdsl.data.files import memory_budget
from deepdsl.data.image_decoder import Decoder, strict
from deepdsl.data.image_source import Decoding
from deepdsl.data.request import Shape, TargetSpec
from deepdsl.data.table import Array, Field, Origin, Rows, Table
from deepdsl.data.values import target_field
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.arrays import ArrayType
from deepdsl.diagnostics.data.files import CannotReadDataFile
from deepdsl.diagnostics.data.images import BrokenImage, HugeImage
from deepdsl.diagnostics.data.labels import TooManyClasses, UnknownClass

# Pixels in the files of a folder up to which all are decoded when it is opened: a second or two.
# To look at the header of a small file takes a third of the time that decoding it takes.
AT_ONCE = 64 << 20


class ImageBytes(Protocol):
    """The bytes of the image files of all rows."""

    def __len__(self) -> int: ...

    def open(self, row: int) -> BinaryIO: ...

    def name(self, row: int) -> str: ...


class ListedFiles:
    """Files by their own names."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def open(self, row: int) -> BinaryIO:
        try:
            return open(self._paths[row], "rb")
        except OSError as reason:
            text = reason.strerror or str(reason)
            raise DnnError([CannotReadDataFile(None, self.name(row), text)]) from None

    def name(self, row: int) -> str:
        return os.fspath(self._paths[row])


class ImageField:
    """Images that are decoded when they are read. Where the memory holds all of them, as bytes,
    each is decoded once.
    """

    columns: tuple[str, ...] = ()

    def __init__(
        self, source: ImageBytes, decoder: Decoder, shape: Shape, keep: bool = True
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(np.float32)
        self.decoding = decoder.how
        self._source, self._decoder = source, decoder
        self._sides = decoder.how.shape
        rows = len(source)
        keep = keep and rows * int(np.prod(self._sides)) <= memory_budget()
        self._kept = np.empty((rows, *self._sides), np.uint8) if keep else None
        self._done = np.zeros(rows, bool)

    def __len__(self) -> int:
        return len(self._source)

    @property
    def slow(self) -> bool:
        """Whether there is something to decode yet."""
        return not (self.keeps and self._done.all())

    @property
    def keeps(self) -> bool:
        return self._kept is not None

    def read(self, rows: Rows, out: Array) -> None:
        pixels = self._pixels(rows)
        into = out.reshape(pixels.shape)
        if self.decoding.range == "bytes":
            into[...] = pixels
        elif out.dtype == np.float32:
            np.divide(pixels, np.float32(255), out=into, dtype=np.float32)
        else:
            into[...] = pixels / np.float32(255)

    def place(self, row: int) -> str:
        return self._source.name(row)

    def decode(self, row: int) -> int:
        """Decode a row for the first time, and keep it where rows are kept; the pixels in its
        file.
        """
        out = self._kept[row] if self._kept is not None else np.empty(self._sides, np.uint8)
        pixels = self._decode(row, out)
        self._done[row] = True
        return pixels

    def check(self, row: int) -> int:
        """Look at the header of a row's file; the pixels in it."""
        with self._source.open(row) as stream:
            return self._decoder.check(stream, self._source.name(row))

    def chosen(self, rows: Rows, source: ImageBytes) -> ImageField:
        """The same images, some of them left out; `source` has those of `rows`."""
        made = ImageField(source, self._decoder, self.shape)
        if made._kept is not None and self._kept is not None:
            self._kept.take(rows, axis=0, out=made._kept, mode="clip")
            made._done[...] = self._done[rows]
        return made

    def _pixels(self, rows: Rows) -> Array:
        if self._kept is None:
            pixels = np.empty((len(rows), *self._sides), np.uint8)
            for row, out in zip(rows.tolist(), pixels, strict=True):
                self._decode(row, out)
            return pixels
        # Two threads may decode a row at the same time, to the same bytes.
        for row in rows[~self._done[rows]].tolist():
            self.decode(row)
        return self._kept.take(rows, axis=0, mode="clip")

    def _decode(self, row: int, out: Array) -> int:
        with self._source.open(row) as stream:
            return self._decoder.decode(stream, self._source.name(row), out)


def open_files(paths: Sequence[Path], name: str, how: Decoding, shape: Shape) -> Table:
    """Image files as the rows of one input, of whatever size they are; their headers are sound."""
    decoder = Decoder(replace(how, resized=True), None)
    images = ImageField(ListedFiles(paths), decoder, shape, keep=False)
    with strict():
        for row in range(len(images)):
            images.check(row)
    return Table(len(images), {name: images}, {})


def look_through(images: ImageField, skip: bool, whole: bool) -> list[int]:
    """Check each row's header, and decode its body where that is quick or the `whole` is wanted;
    the rows that are damaged, or DnnError where they are not to be skipped.
    """
    broken, left = [], AT_ONCE if images.keeps else 0
    with strict():
        for row in range(len(images)):
            try:
                if whole or left > 0:
                    left -= images.decode(row)
                else:
                    images.check(row)
            except DnnError as error:
                damaged = isinstance(
                    error.diagnostics[0], BrokenImage | HugeImage | CannotReadDataFile
                )
                if not (skip and damaged):
                    raise
                broken.append(row)
    return broken


def decoding_of(field: object) -> Decoding | None:
    """How the image files of a field become its numbers; None where it has none."""
    return field.decoding if isinstance(field, ImageField) else None


def class_field(
    labels: Rows,
    names: tuple[str, ...],
    target: str,
    spec: TargetSpec,
    origin: Origin,
    known: tuple[str, ...] | None,
) -> tuple[Field, tuple[str, ...]]:
    """The classes of rows as the field of a target; with `known` by the numbers that train gave
    them.
    """
    if spec.kind == "value":
        found = "folders of classes"
        advice = "learn classes, with `softmax` and `cross_entropy`; or the images: `target input`"
        raise DnnError([ArrayType(origin.span, origin.name, found, target, advice)])
    if known is None:
        limit = 2 if spec.kind == "binary" else spec.classes
        if limit is not None and len(names) > limit:
            raise DnnError([TooManyClasses(origin.span, len(names), limit, names)])
        known = names
    number = {name: i for i, name in enumerate(known)}
    for name in names:
        if name not in number:
            raise DnnError([UnknownClass(origin.span, name, f"{origin.name}/{name}", known)])
    mapped = np.array([number[name] for name in names], np.int64)[labels]
    field, _ = target_field(mapped, target, spec, origin)
    return field, known
