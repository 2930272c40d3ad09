"""Reads the bytes of an ONNX file without trust: nothing is run, and no file is followed out of
its folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

from deepdsl.core.source import Span
from deepdsl.diagnostics import Diagnostic, DnnError
from deepdsl.diagnostics.transfer.onnx_import import (
    DataMissing,
    DataOutside,
    NewerOnnx,
    NotAnOnnxFile,
    OnnxTooLarge,
)

MOST_BYTES = 2**31 - 1  # of a message of protobuf

Array = NDArray[Any]
# What damaged names, attributes and numbers end in.
NOT_AS_DESCRIBED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
)

_NO_ONNX = "it is no ONNX file, or only a part of one"
# The first bytes of files that are mistaken for an ONNX file.
_BEGINNINGS = {
    b"version https://git-lfs": "it is a pointer of Git LFS; `git lfs pull` fetches the file",
    b"<": "it looks like a page of a web site: the download went wrong",
    b"PK\x03\x04": "it looks like a zip file, such as PyTorch's; export the model with torch.onnx",
    b"\x80": "it looks like a pickle, such as PyTorch's; export the model with torch.onnx",
    b"\x89HDF": "it looks like an HDF5 file, such as Keras's; export the model with tf2onnx",
}


def refused(diagnostic: Diagnostic) -> DnnError:
    return DnnError([diagnostic])


def read_model(path: Path, shown: str, span: Span | None) -> onnx.ModelProto:
    """The model in a file, with its external data looked at and not yet read; DnnError."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise refused(OnnxTooLarge(span, shown, size, MOST_BYTES))
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise refused(NotAnOnnxFile(span, shown, reason)) from error
    model = parsed(data, shown, span)
    for tensor in tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            _External(path, shown, span, tensor).file()
    return model


def parsed(data: bytes, shown: str, span: Span | None) -> onnx.ModelProto:
    """The model that bytes are."""
    hint = next((h for start, h in _BEGINNINGS.items() if data.startswith(start)), "")
    if not data:
        raise refused(NotAnOnnxFile(span, shown, "it is empty"))
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
        model.graph.name.encode()
    except (DecodeError, ValueError, RecursionError, AttributeError) as error:
        # A name that is no UTF-8 comes as bytes.
        raise refused(NotAnOnnxFile(span, shown, _NO_ONNX, hint)) from error
    if not model.ir_version or not model.HasField("graph"):
        raise refused(NotAnOnnxFile(span, shown, _NO_ONNX, hint))
    if not model.graph.output:
        raise refused(
            NotAnOnnxFile(span, shown, "its graph has no output, so that it is not whole")
        )
    _check_versions(model, shown, span)
    reason = _fault(model)
    if reason:
        raise refused(
            NotAnOnnxFile(span, shown, f"it is damaged: {reason}", "fetch or export it again")
        )
    return model


def _check_versions(model: onnx.ModelProto, shown: str, span: Span | None) -> None:
    newest = onnx.defs.onnx_opset_version()
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version > newest:
            raise refused(NewerOnnx(span, shown, f"opset {opset.version}", f"opset {newest}"))
    if model.ir_version > onnx.IR_VERSION:
        found, known = f"IR version {model.ir_version}", f"IR version {onnx.IR_VERSION}"
        raise refused(NewerOnnx(span, shown, found, known))


def _fault(model: onnx.ModelProto) -> str:
    """What ONNX's own checker says of the structure; nothing where it is sound."""
    looked_at = model
    if any(t.data_location == TensorProto.EXTERNAL for t in tensors(model)):
        # The checker would go and look for the files itself, from another folder.
        looked_at = onnx.ModelProto()
        looked_at.CopyFrom(model)
        for tensor in tensors(looked_at):
            if tensor.data_location == TensorProto.EXTERNAL:
                empty = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=[0])
                empty.raw_data = b""
                tensor.CopyFrom(empty)
    told = _checked(looked_at)
    if _NO_SHAPE in told:  # it is worked out
        again = onnx.ModelProto()
        again.CopyFrom(looked_at)
        for value in (*again.graph.input, *again.graph.output):
            value.type.tensor_type.shape.SetInParent()
        told = _checked(again)
    # A piece may do without an operator that is not in the standard.
    return "" if any(words in told for words in _UNKNOWN) else told


_NO_SHAPE = "Field 'shape' of 'type' is required"
_UNKNOWN = ("No Op registered", "No opset import", "is deprecated in domain_version")


def _checked(model: onnx.ModelProto) -> str:
    try:
        checker.check_model(model)
    except (checker.ValidationError, ValueError, RuntimeError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0].strip()
    return ""


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a model, wherever it is."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _of_graph(graph)


class _External:
    """Where a tensor lies that is in a file of its own, if it may be read."""

    def __init__(self, path: Path, shown: str, span: Span | None, tensor: onnx.TensorProto) -> None:
        self.path, self.shown, self.span, self.tensor = path, shown, span, tensor
        entries = {e.key: e.value for e in tensor.external_data}
        self.location = entries.get("location", "")
        try:
            self.offset = int(entries.get("offset") or 0)
            self.length = int(entries["length"]) if entries.get("length") else None
        except ValueError:
            self.missing("its place in it is no number")

    def outside(self, reason: str) -> NoReturn:
        raise refused(DataOutside(self.span, self.shown, self.tensor.name, self.location, reason))

    def missing(self, reason: str) -> NoReturn:
        raise refused(DataMissing(self.span, self.shown, self.tensor.name, self.location, reason))

    def file(self) -> Path:
        """The file, once it is known to lie in the folder and to be long enough."""
        place = self._inside()
        try:
            told = place.lstat()
        except (OSError, ValueError):
            self.missing("there is no such file")
        if not place.is_file():
            self.missing("that is no file")
        if told.st_nlink > 1:
            self.outside("a file with several names (hard links), one of which may lie elsewhere")
        need = prod(self.tensor.dims) * self.dtype.itemsize
        length = need if self.length is None else self.length
        if self.offset < 0 or any(d < 0 for d in self.tensor.dims) or length != need:
            self.missing(f"{length:,} bytes at {self.offset:,} are not the {need:,} of its shape")
        if self.offset + need > told.st_size:
            self.missing(f"it ends before byte {self.offset + need:,}")
        return place

    def _inside(self) -> Path:
        written = self.location.replace("\\", "/")
        if not written or "\0" in written:
            self.missing("it has no name")
        if written.startswith("/") or written[1:2] == ":":
            self.outside("an absolute path")
        parts = [p for p in written.split("/") if p not in ("", ".")]
        if ".." in parts:
            self.outside("a path that leads out of its folder")
        place = Path(os.path.dirname(os.path.abspath(self.path)))
        for part in parts:
            place = place / part
            if place.is_symlink():
                self.outside("a link to somewhere else")
        return place

    @property
    def dtype(self) -> Any:
        try:
            return np.dtype(helper.tensor_dtype_to_np_dtype(self.tensor.data_type))
        except (KeyError, ValueError, TypeError):
            self.missing("its element type is unknown")


def array_of(tensor: onnx.TensorProto, path: Path, shown: str, span: Span | None) -> Array:
    """A tensor's numbers: of an external one a view of its file."""
    if tensor.data_location == TensorProto.EXTERNAL:
        external = _External(path, shown, span, tensor)
        file, shape = external.file(), tuple(tensor.dims)
        if not prod(shape):
            return np.zeros(shape, external.dtype)
        return np.memmap(file, external.dtype, "r", external.offset, shape)
    made: Array = numpy_helper.to_array(tensor)
    return made


def self_contained(model: onnx.ModelProto, path: Path, shown: str) -> bytes:
    """The bytes of a model with external data brought inside."""
    if any(t.data_location == TensorProto.EXTERNAL for t in tensors(model)):
        copied = onnx.ModelProto()
        copied.CopyFrom(model)
        size = copied.ByteSize()
        for tensor in tensors(copied):
            if tensor.data_location != TensorProto.EXTERNAL:
                continue
            array = array_of(tensor, path, shown, None)
            size += array.nbytes
            if size > MOST_BYTES:
                raise refused(OnnxTooLarge(None, shown, size, MOST_BYTES))
            tensor.ClearField("external_data")
            tensor.data_location = TensorProto.DEFAULT
            tensor.raw_data = array.tobytes()
        model = copied
    data: bytes = model.SerializeToString()
    return data
