"""What an ONNX file says of itself: inputs, outputs, metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import helper

Dims = tuple[int | str, ...]


@dataclass(frozen=True)
class Port:
    """An input or output: its dimensions (a symbol or `?` where the size is free) and its NumPy
    type.
    """

    name: str
    shape: Dims
    dtype: Any

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of one row, or None where a size beside the batch is free."""
        sizes = tuple(d for d in self.shape[1:] if isinstance(d, int))
        return sizes if len(sizes) == len(self.shape) - 1 else None


@dataclass(frozen=True)
class Interface:
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
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
    return Interface(
        tuple(_port(v) for v in model.graph.input if v.name not in stored),
        tuple(_port(v) for v in model.graph.output),
        {p.key: p.value for p in model.metadata_props},
    )


def _port(value: onnx.ValueInfoProto) -> Port:
    tensor = value.type.tensor_type
    dims: Dims = tuple(
        d.dim_value if d.HasField("dim_value") else (d.dim_param or "?") for d in tensor.shape.dim
    )
    return Port(value.name, dims, helper.tensor_dtype_to_np_dtype(tensor.elem_type))
