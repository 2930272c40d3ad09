"""Opening the sources that hold arrays: idx, npy, npz and the data sets in the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deepdsl.data.arrays import (
    Header,
    NpzFile,
    idx_header,
    npy_header,
    npz_file,
    read_idx,
    read_npy,
)
from deepdsl.data.feeds import assign
from deepdsl.data.files import DataFile, find_file
from deepdsl.data.request import OpenRequest
from deepdsl.data.sources import DIGITS, Idx, Npy, Npz
from deepdsl.data.table import Array, Field, Origin, Table, build_table
from deepdsl.data.values import input_field, target_field

Loaded = tuple[Array, bool, Origin]  # the array, whether it is on the disk, what messages call it


def open_idx(source: Idx, request: OpenRequest) -> Table:
    """The rows of idx files."""
    return _open_files(source, request, read_idx)


def count_idx(source: Idx, request: OpenRequest) -> int:
    return _count(source, request, idx_header)


def open_npy(source: Npy, request: OpenRequest) -> Table:
    """The rows of npy files."""
    return _open_files(source, request, read_npy)


def count_npy(source: Npy, request: OpenRequest) -> int:
    return _count(source, request, npy_header)


def open_npz(source: Npz, request: OpenRequest) -> Table:
    """The rows of an npz file."""
    names = _npz_arrays(source, request)
    with npz_file(find_file(source.file, request)) as archive:
        return table_of(_loaded(archive, names, request), request)


def count_npz(source: Npz, request: OpenRequest) -> int:
    use, name = next(iter(_npz_arrays(source, request).items()))
    with npz_file(find_file(source.file, request)) as archive:
        return archive.header(name, use).rows


def open_digits(part: str, request: OpenRequest) -> Table:
    """The digits that come with the package, or a part of them."""
    file = DataFile("digits", DIGITS, DIGITS.stat().st_size, request.span)
    with npz_file(file) as archive:
        images, labels, test = (archive.read(name, name) for name in ("x", "y", "test"))
    if part != "all":
        chosen = test == (part == "test")
        images, labels = images[chosen], labels[chosen]
    origin = Origin("digits", request.span)
    given = assign(request, (), images, labels, "digits")
    table = table_of({name: (array, False, origin) for name, array in given.items()}, request)
    names = tuple(str(digit) for digit in range(10))
    return Table(table.rows, table.inputs, table.targets, names)


def table_of(arrays: Mapping[str, Loaded], request: OpenRequest) -> Table:
    """A table of the arrays that feed the inputs and targets, each checked."""
    inputs: dict[str, Field] = {}
    targets: dict[str, Field] = {}
    classes: tuple[str, ...] | None = None
    for name, shape in request.inputs.items():
        array, on_disk, origin = arrays[name]
        inputs[name] = input_field(array, name, shape, origin, on_disk)
    for name, spec in request.targets.items():
        array, on_disk, origin = arrays[name]
        targets[name], found = target_field(array, name, spec, origin, request.classes, on_disk)
        classes = classes or found
    origins = {name: origin for name, (_, _, origin) in arrays.items()}
    return build_table(inputs, targets, origins, classes, classes is not None)


def _assign_files(source: Idx | Npy, request: OpenRequest) -> dict[str, str]:
    file = source.file
    return assign(request, source.feeds, file, source.target, '"FILE"')


def _open_files(
    source: Idx | Npy, request: OpenRequest, read: Callable[[DataFile], tuple[Array, bool]]
) -> Table:
    loaded: dict[str, tuple[Array, bool]] = {}
    arrays: dict[str, Loaded] = {}
    for use, name in _assign_files(source, request).items():
        if name not in loaded:
            loaded[name] = read(find_file(name, request))
        arrays[use] = (*loaded[name], Origin(name, request.span))
    return table_of(arrays, request)


def _count(source: Idx | Npy, request: OpenRequest, header: Callable[[DataFile], Header]) -> int:
    name = next(iter(_assign_files(source, request).values()))
    return header(find_file(name, request)).rows


def _npz_arrays(source: Npz, request: OpenRequest) -> dict[str, str]:
    target = source.target or "y"
    return assign(request, source.feeds, "x", target, "NAME", first_is_given=False)


def _loaded(archive: NpzFile, names: Mapping[str, str], request: OpenRequest) -> dict[str, Loaded]:
    read: dict[str, Array] = {}
    arrays: dict[str, Loaded] = {}
    for use, name in names.items():
        if name not in read:
            read[name] = archive.read(name, use)
        origin = Origin(f"{archive.file.name}, array `{name}`", request.span)
        arrays[use] = (read[name], False, origin)
    return arrays
