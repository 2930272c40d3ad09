"""Image files as the rows of a trained model, made as its training made them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepdsl.data.formats.images.folder import list_images
from deepdsl.data.image_field import open_files
from deepdsl.data.image_source import SUFFIXES, Decoding
from deepdsl.data.prefetch import reading
from deepdsl.data.raw_rows import formats_of_rows, formats_of_several
from deepdsl.data.table import View
from deepdsl.diagnostics import DnnError
from deepdsl.diagnostics.training.runtime import WrongFormat
from deepdsl.inference.predictor import Predictor

# Numbers in the images that are decoded at a time.
_AT_ONCE = 1 << 22


def image_files(path: Path) -> list[Path] | None:
    """The image that a path is, or those in the folder that it is; None where it is another file.

    A folder without images is an error.
    """
    if path.is_dir():
        return list_images(path)
    return [path] if path.suffix.lower() in SUFFIXES else None


def image_rows(predictor: Predictor, paths: Sequence[Path]) -> Iterator[dict[str, NDArray[Any]]]:
    """The inputs of images, some at a time; DnnError where the model knows no images."""
    ports = predictor.interface.inputs
    how = Decoding.from_json(predictor.images.get(ports[0].name))
    shape = ports[0].row_shape
    if len(ports) != 1:
        what = "rows of a model with several inputs"
        raise DnnError([WrongFormat(None, str(paths[0]), what, formats_of_several())])
    if how is None or shape is None or np.prod(shape) != np.prod(how.shape):
        what = "rows of a model that was not trained on images"
        raise DnnError([WrongFormat(None, str(paths[0]), what, formats_of_rows())])
    table = open_files(paths, ports[0].name, how, shape)
    view = View(table, np.arange(table.rows))
    size = max(1, _AT_ONCE // int(np.prod(shape)))
    pieces = [view.rows[start : start + size] for start in range(0, table.rows, size)]
    like = {ports[0].name: np.empty((1, *shape), ports[0].dtype)}
    with reading(view, pieces, like) as reader:
        for piece in pieces:
            batch = {ports[0].name: np.empty((len(piece), *shape), ports[0].dtype)}
            reader.fill(batch)
            yield batch
