"""Columns of Arrow as arrays: numbers, lists of them, texts, and the bytes of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepdsl.core.record import record
from deepdsl.data.files import DataFile
from deepdsl.data.table import Array
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.parquet import NullValue, RaggedLists


@record
class ArrowColumn:
    """A column by its name. Its kind is `number` (lists of numbers too), `text`, `image`, or
    something else that `told` describes.
    """

    name: str
    kind: str
    told: str
    packed: bool = False  # an image in a struct, with its path

    def numbers(self, batch: Any, file: DataFile, before: int) -> Array:
        """The values of a record batch, whose first row has this number."""
        array = batch.column(batch.schema.get_field_index(self.name))
        self._no_nulls(array, file, before)
        return self._values(array, file, before)

    def texts(self, batch: Any, file: DataFile, before: int) -> list[str]:
        array = batch.column(batch.schema.get_field_index(self.name))
        self._no_nulls(array, file, before)
        return [str(text) for text in array.to_pylist()]

    def images(self, batch: Any, file: DataFile, before: int) -> tuple[Array, Array, list[str]]:
        """The bytes of all files, one after the other, how many each has, and their names."""
        array = batch.column(batch.schema.get_field_index(self.name))
        self._no_nulls(array, file, before)
        paths = [None] * len(array)
        if self.packed:
            kinds = {field.name: i for i, field in enumerate(array.type)}
            if "path" in kinds:
                paths = array.field(kinds["path"]).to_pylist()
            array = array.field(kinds["bytes"])
            self._no_nulls(array, file, before)
        files = array.to_pylist()
        names = [
            f"{file.name}, row {before + i} (counted from 0)" + (f", {path}" if path else "")
            for i, path in enumerate(paths)
        ]
        data = np.frombuffer(b"".join(files), np.uint8)
        return data, np.array([len(each) for each in files], np.int64), names

    def _values(self, array: Any, file: DataFile, before: int) -> Array:
        import pyarrow

        types = pyarrow.types
        if _is_list(array.type):
            lengths = _lengths(array)
            if len(lengths) and (lengths != lengths[0]).any():
                row = int(np.argmax(lengths != lengths[0]))
                found, wanted = int(lengths[row]), int(lengths[0])
                raise DnnError(
                    [RaggedLists(file.span, file.name, self.name, before + row, found, wanted)]
                )
            inner = array.flatten()
            width = int(lengths[0]) if len(lengths) else 0
            if inner.null_count:
                first = int(np.argmax(inner.is_null().to_numpy(zero_copy_only=False)))
                row = before + first // max(1, width)
                raise DnnError([NullValue(file.span, file.name, self.name, row)])
            values = self._values(inner, file, before)
            return values.reshape(len(array), width, *values.shape[1:])
        if types.is_boolean(array.type):
            array = array.cast(pyarrow.uint8())
        elif types.is_decimal(array.type):
            array = array.cast(pyarrow.float64())
        made: Array = array.to_numpy(zero_copy_only=False)
        return made

    def _no_nulls(self, array: Any, file: DataFile, before: int) -> None:
        if array.null_count:
            row = before + int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
            raise DnnError([NullValue(file.span, file.name, self.name, row)])


def column_of(field: Any) -> ArrowColumn:
    """What a field of an Arrow schema holds."""
    import pyarrow

    types, kind = pyarrow.types, field.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return ArrowColumn(field.name, "text", "texts")
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return ArrowColumn(field.name, "image", "bytes")
    if types.is_struct(kind):
        for inner in kind:
            if inner.name == "bytes" and column_of(inner).kind == "image":
                return ArrowColumn(field.name, "image", "images", packed=True)
        return ArrowColumn(field.name, "other", "structs")
    innermost = kind
    while _is_list(innermost):
        innermost = innermost.value_type
    numeric = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    if any(is_kind(innermost) for is_kind in numeric):
        return ArrowColumn(field.name, "number", "numbers")
    return ArrowColumn(field.name, "other", f"values of type {kind}"[:60])


def _is_list(kind: Any) -> bool:
    import pyarrow

    types = pyarrow.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _lengths(array: Any) -> Array:
    import pyarrow

    if pyarrow.types.is_fixed_size_list(array.type):
        return np.full(len(array), array.type.list_size, np.int64)
    import pyarrow.compute

    made: Array = pyarrow.compute.list_value_length(array).to_numpy(zero_copy_only=False)
    return made
