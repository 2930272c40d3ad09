"""What an index says of a model: records, as they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from deepdsl.core.record import record

# A size that the file leaves free is None.
Shape = tuple[int | None, ...]

NAME = re.compile(r"[a-z0-9]+(?:[-._][a-z0-9]+)*")
LONGEST_NAME = 64
DTYPES = ("float32", "float16", "float64", "int64", "int32", "uint8", "int8", "bool")
# The largest file that protobuf, and so ONNX, can have.
MOST_BYTES = (1 << 31) - 1

INDEX = "index.json"


@record
class Packaged:
    """A file inside an installed distribution."""

    package: str
    version: str
    path: str

    @property
    def shown(self) -> str:
        return f"{self.package} {self.version}"


@record
class Beside:
    """A file in the folder of its index; the path has `/`, and does not leave the folder."""

    path: str

    @property
    def shown(self) -> str:
        return self.path


@record
class Online:
    """A file at an https address."""

    address: str

    @property
    def shown(self) -> str:
        return self.address


Place = Packaged | Beside | Online


@record
class ZooTensor:
    """An input, an output or a cut point: its shape is that of one row, without the batch.

    `size` is what the free sizes of an input were in training.
    """

    name: str
    shape: Shape
    about: str = ""
    dtype: str = "float32"
    size: tuple[int, ...] = ()

    @property
    def fixed(self) -> tuple[int, ...] | None:
        """The shape with nothing free, where it is known."""
        known = tuple(d for d in self.shape if d is not None)
        return self.size or (known if len(known) == len(self.shape) else None)


@record
class ZooEntry:
    """A model of a zoo."""

    name: str
    title: str
    does: str
    place: Place
    sha256: str
    bytes: int
    licence: str
    licence_source: str
    inputs: tuple[ZooTensor, ...]
    outputs: tuple[ZooTensor, ...]
    cuts: tuple[ZooTensor, ...] = ()
    classes: tuple[str, ...] = ()


@record
class Index:
    """An index, where it was read from, and what its files lie beside.

    `home` is the folder, or the address that ends in `/`; None for the index that is shipped.
    `document` is the JSON as it was read.
    """

    shown: str
    home: Path | str | None
    entries: Mapping[str, ZooEntry]
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)


def shape_text(shape: Shape) -> str:
    """`3 × ? × 192`."""
    return " × ".join("?" if d is None else str(d) for d in shape) or "a number"
