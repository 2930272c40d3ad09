"""Opening parquet files: columns of numbers, lists, texts and images."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

import numpy as np

from deepdsl.data.bind_inputs import bind_inputs
from deepdsl.data.files import DataFile, find_file, memory_budget
from deepdsl.data.formats.parquet import Parquet
from deepdsl.data.formats.parquet.arrow_columns import ArrowColumn, column_of
from deepdsl.data.formats.parquet.spool import Spool
from deepdsl.data.image_decoder import Decoder
from deepdsl.data.image_field import ImageField, class_field, look_through
from deepdsl.data.request import OpenRequest
from deepdsl.data.source import look_alike
from deepdsl.data.table import Array, Field, Origin, Table, build_table
from deepdsl.data.values import fit_shape, input_field, target_field, text_field
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.csv import ColumnMissing, DuplicateColumn, NoRows
from deepdsl.diagnostics.data.parquet import ColumnType, NotParquet, RaggedLists
from deepdsl.diagnostics.training.runtime import MissingPackage

_ROWS = 8192  # that are unpacked at a time


def open_table(source: Parquet, request: OpenRequest) -> Table:
    """The rows of a parquet file, every value checked."""
    file = find_file(source.file, request)
    with ExitStack() as spools:
        return _table(source, request, file, spools)


def _table(source: Parquet, request: OpenRequest, file: DataFile, spools: ExitStack) -> Table:
    with _opened(file) as opened:
        names = _names(opened, file)
        chosen = _chosen(source, request, file, names)
        columns = {
            fed: [_column(opened, file, name, fed, request, chosen) for name in feed]
            for fed, feed in chosen.items()
        }
        for name, feeding in columns.items():
            _check_together(name, feeding, file)
        uses = [_Use(name, feeding, file, request) for name, feeding in columns.items()]
        wanted = sorted({column.name for feeding in columns.values() for column in feeding})
        budget = memory_budget() // max(1, len(uses))
        for use in uses:
            use.begin(budget)
            spools.callback(use.numbers.close)
        for batch in opened.iter_batches(batch_size=_ROWS, columns=wanted):
            for use in uses:
                use.add(batch)
        if not opened.metadata.num_rows:
            raise DnnError([NoRows(file.span, f'"{file.name}"')])
        labels = _class_labels(opened)
    fields: dict[str, Field] = {}
    classes: tuple[str, ...] | None = None
    for use in uses:
        names_of = labels.get(use.columns[0].name) if len(use.columns) == 1 else None
        fields[use.name], found = use.field(source, names_of)
        classes = classes or found
    inputs = {name: fields[name] for name in request.inputs}
    targets = {name: fields[name] for name in request.targets}
    origins = {use.name: use.origin for use in uses}
    return build_table(inputs, targets, origins, classes, classes is not None)


def count_rows(source: Parquet, request: OpenRequest) -> int:
    with _opened(find_file(source.file, request)) as opened:
        return int(opened.metadata.num_rows)


class _Use:
    """What feeds one input or target, while the file is read."""

    def __init__(
        self, name: str, columns: list[ArrowColumn], file: DataFile, request: OpenRequest
    ) -> None:
        self.name, self.columns, self.file, self.request = name, columns, file, request
        told = f"{file.name}, column `{columns[0].name}`" if len(columns) == 1 else file.name
        self.origin = Origin(told, file.span, columns=tuple(c.name for c in columns))
        self.rows = 0
        self.texts: dict[str, int] = {}  # the number of each text that was seen
        self.shapes: dict[str, tuple[int, ...]] = {}  # of one row, by column

    def begin(self, budget: int) -> None:
        self.numbers = Spool(self.file, budget)
        self.sizes: list[Array] = []
        self.paths: list[str] = []

    @property
    def kind(self) -> str:
        return self.columns[0].kind

    def add(self, batch: Any) -> None:
        """The rows of a record batch."""
        first, rows = self.columns[0], self.rows
        if self.kind == "text":
            texts = first.texts(batch, self.file, rows)
            known = self.texts
            codes = [known.setdefault(text, len(known)) for text in texts]
            self.numbers.add(np.array(codes, np.int64))
        elif self.kind == "image":
            data, sizes, paths = first.images(batch, self.file, rows)
            self.numbers.add(data)
            self.sizes.append(sizes)
            self.paths += paths
        elif len(self.columns) == 1:
            self.numbers.add(self._checked(first, first.numbers(batch, self.file, rows)))
        else:
            parts = [self._checked(c, c.numbers(batch, self.file, rows)) for c in self.columns]
            with np.errstate(over="ignore"):  # what is too large is refused with its place
                flat = [p.reshape(len(p), -1).astype(np.float32) for p in parts]
            self.numbers.add(np.concatenate(flat, axis=1))
        self.rows += batch.num_rows

    def _checked(self, column: ArrowColumn, values: Array) -> Array:
        """Rows as long as those of the batches before, or RaggedLists."""
        wanted = self.shapes.setdefault(column.name, values.shape[1:])
        if len(values) and values.shape[1:] != wanted:
            found, (span, name) = values.shape[1:], (self.file.span, self.file.name)
            sides = next(pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1])
            raise DnnError([RaggedLists(span, name, column.name, self.rows, *sides)])
        return values

    def field(
        self, source: Parquet, names: tuple[str, ...] | None
    ) -> tuple[Field, tuple[str, ...] | None]:
        """The field of all rows, and the names of its classes where it has some."""
        array, on_disk = self.numbers.finish()
        request, name = self.request, self.name
        if self.kind == "image":
            return self._images(array, source), None
        if name in request.inputs:
            shape = fit_shape(
                array.shape[1:] or (1,), request.inputs[name], name, self.origin, flat=True
            )
            array = array.reshape(len(array), *shape)
            return input_field(array, name, shape, self.origin, on_disk), None
        spec = request.targets[name]
        if self.kind == "text":
            return text_field(array, list(self.texts), name, spec, self.origin, request.classes)
        if names is not None and array.ndim == 1 and spec.kind != "value":
            in_range = array.size and array.min() >= 0 and array.max() < len(names)
            if in_range:
                return class_field(array, names, name, spec, self.origin, request.classes)
        if spec.kind == "value" and len(self.columns) > 1 and spec.shape is not None:
            shape = fit_shape(
                array.shape[1:], spec.shape, name, self.origin, False, True, spec.classes
            )
            array = array.reshape(len(array), *shape)
        return target_field(array, name, spec, self.origin, request.classes, on_disk)

    def _images(self, data: Array, source: Parquet) -> Field:
        request, name = self.request, self.name
        shape = request.inputs[name]
        decoder = Decoder(source.decoding(name, shape, request.span), request.span, packed=True)
        assert shape is not None
        ends = np.cumsum(np.concatenate(self.sizes))
        images = ImageField(_PackedFiles(data, ends, self.paths), decoder, shape)
        look_through(images, skip=False, whole=False)
        return images


class _PackedFiles:
    """Image files, one after the other."""

    def __init__(self, data: Array, ends: Array, names: list[str]) -> None:
        self._data, self._ends, self._names = data, ends, names

    def __len__(self) -> int:
        return len(self._ends)

    def open(self, row: int) -> BinaryIO:
        start = int(self._ends[row - 1]) if row else 0
        return io.BytesIO(self._data[start : int(self._ends[row])].tobytes())

    def name(self, row: int) -> str:
        return self._names[row]


@contextmanager
def _opened(file: DataFile) -> Iterator[Any]:
    """The file as pyarrow reads it.  Whatever its bytes are, only DnnError comes out."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        missing = MissingPackage(file.span, "pyarrow", "reading parquet files", "arrow")
        raise DnnError([missing]) from None
    with file.open() as stream:
        try:
            with pyarrow.parquet.ParquetFile(stream) as opened:
                yield opened
        except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError) as reason:
            # Pyarrow tells of damaged bytes by an OSError too, which has no number.
            if isinstance(reason, OSError) and reason.errno is not None:
                raise
            text = str(reason).splitlines()[0][:100] if str(reason) else type(reason).__name__
            other = look_alike(file.beginning())
            raise DnnError([NotParquet(file.span, file.name, text, other)]) from None


def _names(opened: Any, file: DataFile) -> tuple[str, ...]:
    names = tuple(map(str, opened.schema_arrow.names))
    for i, name in enumerate(names):
        if name in names[:i]:
            first = names.index(name)
            raise DnnError([DuplicateColumn(file.span, file.name, name, first + 1, i + 1)])
    return names


def _chosen(
    source: Parquet, request: OpenRequest, file: DataFile, names: tuple[str, ...]
) -> Mapping[str, tuple[str, ...]]:
    """The columns that feed each input and target."""
    everything = ("*",)
    first = source.columns or everything
    given = bind_inputs(
        request, source.feeds, first, source.target, "[COLUMN]", source.columns is not None
    )
    named = {c for feed in given.values() if feed is not everything for c in feed}
    # A target that is not wanted here must not slip into the input either.
    used = named | set(source.target or ())
    for column in used:
        if column not in names:
            raise DnnError([ColumnMissing(file.span, file.name, column, names, parquet=True)])
    chosen = {}
    for use, feed in given.items():
        if feed is everything:
            # A table beside train's may have its columns in another order: the names decide.
            trained = tuple(request.columns.get(use, ()))
            feed = trained or tuple(name for name in names if name not in used)
        for column in feed:
            if column not in names:
                raise DnnError([ColumnMissing(file.span, file.name, column, names, parquet=True)])
        if not feed:
            raise DnnError([ColumnMissing(file.span, file.name, use, names, parquet=True)])
        chosen[use] = feed
    return chosen


def _column(
    opened: Any,
    file: DataFile,
    name: str,
    use: str,
    request: OpenRequest,
    chosen: Mapping[str, tuple[str, ...]],
) -> ArrowColumn:
    """A column, or ColumnType where it cannot feed its input or target."""
    column = column_of(opened.schema_arrow.field(name))
    target = use in request.targets
    allowed = ("number", "text") if target else ("number", "image")
    if column.kind not in allowed:
        others: tuple[str, ...] = ()
        if not target:
            # What is to be learned is no input.
            learned = {each for to_learn in request.targets for each in chosen[to_learn]}
            left = [field for field in opened.schema_arrow if field.name not in learned]
            kinds = {field.name: column_of(field).kind for field in left}
            fitting = tuple(n for n, kind in kinds.items() if kind == "number" and n != name)
            others = tuple(n for n, kind in kinds.items() if kind == "image") or fitting
        raise DnnError([ColumnType(file.span, file.name, name, column.told, use, others)])
    return column


def _check_together(use: str, columns: list[ArrowColumn], file: DataFile) -> None:
    """Texts and images feed alone."""
    odd = next((c for c in columns if c.kind != "number"), None)
    if len(columns) > 1 and odd is not None:
        numbers = tuple(c.name for c in columns if c.kind == "number")
        advice = f"it feeds an input alone: `columns={odd.name}`" if odd.kind == "image" else ""
        told = f"{odd.told} beside numbers"
        raise DnnError([ColumnType(file.span, file.name, odd.name, told, use, numbers, advice)])


def _class_labels(opened: Any) -> dict[str, tuple[str, ...]]:
    """The names of the classes that Hugging Face's datasets note beside a schema, by column."""
    noted = (opened.schema_arrow.metadata or {}).get(b"huggingface", b"")
    try:
        features = json.loads(noted)["info"]["features"]
        return {
            str(column): tuple(map(str, feature["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
