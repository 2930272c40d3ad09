"""Opening folders of images: which are there, and their numbers, kept once they are decoded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from deepdsl.data.bind_inputs import bind_inputs
from deepdsl.data.formats.images import Images
from deepdsl.data.formats.images.folder import ImageFolder, find_images
from deepdsl.data.image_decoder import Decoder
from deepdsl.data.image_field import ImageField, class_field, look_through
from deepdsl.data.request import OpenRequest
from deepdsl.data.table import Field, Origin, Table, build_table
from deepdsl.diagnostics.base import Diagnostic, DnnError
from deepdsl.diagnostics.data.files import CannotReadDataFile
from deepdsl.diagnostics.data.images import NoImages, SkippedImages


class FolderBytes:
    """The files of a folder."""

    def __init__(self, folder: ImageFolder, files: Sequence[str]) -> None:
        self._root, self._files, self._name = os.fspath(folder.path), files, folder.name
        self._span = folder.span

    def __len__(self) -> int:
        return len(self._files)

    def open(self, row: int) -> BinaryIO:
        try:
            return open(os.path.join(self._root, self._files[row]), "rb")
        except OSError as reason:
            text = reason.strerror or str(reason)
            raise DnnError([CannotReadDataFile(self._span, self.name(row), text)]) from None

    def name(self, row: int) -> str:
        name = f"{self._name}/{self._files[row]}"
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def open_table(source: Images, request: OpenRequest) -> Table:
    """The rows of a folder of images.

    Every file's header is looked at. Bodies are decoded too where that takes a moment, and where
    damaged files are to be left out: else rows would not be the same in every run.
    """
    folder = find_images(source.folder, request)
    given = bind_inputs(request, (), "images", "classes", "", first_is_given=False)
    (name,) = (each for each in request.inputs if given[each] == "images")
    shape = request.inputs[name]
    decoder = Decoder(source.decoding(name, shape, request.span), request.span)
    assert shape is not None
    files = FolderBytes(folder, folder.files)
    images = ImageField(files, decoder, shape)
    skip = source.corrupt == "skip"
    broken = look_through(images, skip, skip)
    warnings: list[Diagnostic] = list(folder.warnings)
    labels = np.array(folder.labels, np.int64)
    if broken:
        good = np.setdiff1d(np.arange(len(files)), np.array(broken))
        names = tuple(files.name(row) for row in broken)
        if not len(good):
            problem, advice = "has no image that can be decoded", "fetch the images again"
            raise DnnError([NoImages(request.span, source.folder, problem, advice)])
        warnings.append(SkippedImages(request.span, source.folder, names, len(files)))
        images = images.chosen(good, FolderBytes(folder, [folder.files[row] for row in good]))
        labels = labels[good] if len(labels) else labels
    origin = Origin(source.folder, request.span)
    targets: dict[str, Field] = {}
    classes: tuple[str, ...] | None = None
    for target, spec in request.targets.items():
        targets[target], classes = class_field(
            labels, folder.classes, target, spec, origin, request.classes
        )
    origins = dict.fromkeys((name, *targets), origin)
    table = build_table({name: images}, targets, origins, classes, classes is not None)
    return replace(table, warnings=tuple(warnings))


def count_rows(source: Images, request: OpenRequest) -> int:
    if source.corrupt == "skip":
        return open_table(source, request).rows
    return len(find_images(source.folder, request).files)
