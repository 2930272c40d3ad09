"""Opens the data sets that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepdsl.data.array_table import table_of
from deepdsl.data.bind_inputs import bind_inputs
from deepdsl.data.files import DataFile
from deepdsl.data.formats.builtin import Builtin
from deepdsl.data.formats.npz.reader import npz_file
from deepdsl.data.formats.text.reader import windows
from deepdsl.data.request import OpenRequest
from deepdsl.data.table import Origin, Table

_FOLDER = Path(__file__).parents[2]
DIGITS = _FOLDER / "digits.npz"
ALICE = _FOLDER / "alice.npz"


def open_table(source: Builtin, request: OpenRequest) -> Table:
    """The rows of a data set, or of a part of it."""
    part = source.rows(request)
    return open_alice(part, request) if source.dataset == "alice" else open_digits(part, request)


def count_rows(source: Builtin, request: OpenRequest) -> int:
    known = source.known_rows(request)
    if known is not None:
        return known
    characters = {"train": 132_109, "test": 11_608, "all": 143_717}[source.rows(request)]
    length = next((s[0] for s in request.inputs.values() if s), 1)
    return max(0, (characters - 1) // length)


def open_digits(part: str, request: OpenRequest) -> Table:
    """The digits that come with the package, or a part of them."""
    file = DataFile("digits", DIGITS, DIGITS.stat().st_size, request.span)
    with npz_file(file) as archive:
        images, labels, test = (archive.read(name, name) for name in ("x", "y", "test"))
    if part != "all":
        chosen = test == (part == "test")
        images, labels = images[chosen], labels[chosen]
    origin = Origin("digits", request.span)
    given = bind_inputs(request, (), images, labels, "digits")
    table = table_of({name: (array, False, origin) for name, array in given.items()}, request)
    names = tuple(str(digit) for digit in range(10))
    return Table(table.rows, table.inputs, table.targets, names)


def open_alice(part: str, request: OpenRequest) -> Table:
    """The windows of the text that comes with the package, or of a part of it.

    All parts have the numbers of the whole text's characters.
    """
    with np.load(ALICE, allow_pickle=False) as archive:
        parts = {name: archive[name].tobytes().decode() for name in ("train", "test")}
    whole = parts["train"] + parts["test"]
    text = whole if part == "all" else parts[part]
    return windows(text, "alice", request, None, tuple(sorted(set(whole))))
