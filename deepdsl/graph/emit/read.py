"""What an ONNX file says of itself: inputs, outputs, metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper

from deepdsl.core.record import record
from deepdsl.graph.types import IndexShape

Dims = tuple[int | str, ...]


@record
class InterfacePort:
    """An input or output: its dimensions (a symbol or `?` where the size is free) and its NumPy
    type.  `rows` are those of the table that an input of indices is looked up in, where the file
    says so.
    """

    name: str
    shape: Dims
    dtype: Any
    rows: int | None = None

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of one row, or None where a size beside the batch is free."""
        sizes = tuple(d for d in self.shape[1:] if isinstance(d, int))
        if len(sizes) != len(self.shape) - 1:
            return None
        whole = np.issubdtype(self.dtype, np.signedinteger)
        return IndexShape(sizes, self.rows) if whole else sizes


@record
class Interface:
    inputs: tuple[InterfacePort, ...]
    outputs: tuple[InterfacePort, ...]
    metadata: Mapping[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        found = self._noted("classes")
        return tuple(map(str, found)) if isinstance(found, list) else ()

    @property
    def columns(self) -> dict[str, list[str]]:
        """For each input the columns of a table that feed it, where the file says so."""
        found = self._noted("columns")
        return found if isinstance(found, dict) else {}

    @property
    def images(self) -> dict[str, Any]:
        """For each input that images feed, how their files become its numbers."""
        found = self._noted("images")
        return found if isinstance(found, dict) else {}

    @property
    def rows(self) -> dict[str, int]:
        """For each input of indices the rows of the table they are looked up in, where the file
        says so.
        """
        found = self._noted("indices")
        pairs = found.items() if isinstance(found, dict) else ()
        return {name: rows for name, rows in pairs if isinstance(rows, int)}

    def _noted(self, key: str) -> Any:
        # Any program may have written the file: what cannot be read was not said.
        try:
            return json.loads(self.metadata.get(f"deepdsl.{key}", "null"))
        except ValueError:
            return None


def read_interface(data: bytes) -> Interface:
    """Raises ValueError where the bytes are no ONNX model."""
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ValueError("it is no ONNX model") from error
    if not model.graph.output:
        raise ValueError("it is no ONNX model")
    stored = {t.name for t in model.graph.initializer}
    interface = Interface(
        tuple(_port(v) for v in model.graph.input if v.name not in stored),
        tuple(_port(v) for v in model.graph.output),
        {p.key: p.value for p in model.metadata_props},
    )
    rows = interface.rows
    return replace(
        interface, inputs=tuple(replace(p, rows=rows.get(p.name)) for p in interface.inputs)
    )


def _port(value: onnx.ValueInfoProto) -> InterfacePort:
    tensor = value.type.tensor_type
    dims: Dims = tuple(
        d.dim_value if d.HasField("dim_value") else (d.dim_param or "?") for d in tensor.shape.dim
    )
    return InterfacePort(value.name, dims, helper.tensor_dtype_to_np_dtype(tensor.elem_type))
