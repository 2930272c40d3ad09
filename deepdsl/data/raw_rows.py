"""Files of raw rows for a trained model: which format reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from deepdsl.core.registry import lookup
from deepdsl.data.source import DataSource
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.training.runtime import WrongFormat


def raw_rows(
    path: Path,
    columns: Mapping[str, Sequence[str]],
    inputs: Sequence[str],
    trained: DataSource | None,
) -> DataSource:
    """The source that reads a file of raw rows, or WrongFormat.

    `columns` are those that the model was trained on by input, `inputs` the names of its inputs,
    and `trained` the source of its training rows, where there is a run.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix
    formats = [each for each in _formats() if len(inputs) == 1 or each.feeds_several]
    # A format that has this suffix comes before one that any name may belong to.
    for each in sorted(formats, key=lambda each: suffix not in each.suffixes):
        source = each.of_rows(path, columns, inputs, trained)
        if source is not None:
            return source
    if len(inputs) > 1:
        what = "rows of a model with several inputs"
        raise DnnError([WrongFormat(None, str(path), what, formats_of_several())])
    formats_known = ", ".join(_written()) + " and images"
    raise DnnError([WrongFormat(None, str(path), "rows", formats_known)])


def formats_of_several() -> str:
    """The formats whose files feed several inputs, for messages."""
    return " and ".join(_written(several=True))


def formats_of_rows() -> str:
    """The formats of files of raw rows, for messages."""
    *others, last = _written()
    return ", ".join(others) + f" and {last}"


def _formats() -> list[type[DataSource]]:
    return [each for each in lookup("source").values() if each.rows_written]


def _written(several: bool = False) -> list[str]:
    """How the formats are called, those that are ends of names first."""
    names = [each.rows_written for each in _formats() if each.feeds_several or not several]
    return sorted(names, key=lambda name: (name[0] == ".", name), reverse=True)
