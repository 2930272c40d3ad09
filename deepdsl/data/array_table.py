"""Tables of arrays that feed the inputs and targets of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deepdsl.data.arrays import Header
from deepdsl.data.bind_inputs import bind_inputs
from deepdsl.data.files import DataFile, find_file
from deepdsl.data.request import OpenRequest
from deepdsl.data.table import Array, Field, Origin, Table, build_table
from deepdsl.data.values import input_field, target_field

Loaded = tuple[Array, bool, Origin]  # the array, whether it is on the disk, what messages call it
Feeds = tuple[tuple[str, str], ...]  # files by the name of the input or target that they feed


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


def open_files(
    file: str | None,
    target: str | None,
    feeds: Feeds,
    request: OpenRequest,
    read: Callable[[DataFile], tuple[Array, bool]],
) -> Table:
    """A table of files that hold one array each."""
    loaded: dict[str, tuple[Array, bool]] = {}
    arrays: dict[str, Loaded] = {}
    for use, name in bind_inputs(request, feeds, file, target, '"FILE"').items():
        if name not in loaded:
            loaded[name] = read(find_file(name, request))
        arrays[use] = (*loaded[name], Origin(name, request.span))
    return table_of(arrays, request)


def count_file(
    file: str | None,
    target: str | None,
    feeds: Feeds,
    request: OpenRequest,
    header: Callable[[DataFile], Header],
) -> int:
    """The number of rows of such files, from the header of the first."""
    name = next(iter(bind_inputs(request, feeds, file, target, '"FILE"').values()))
    return header(find_file(name, request)).rows
