"""An open ONNX file: its inputs and outputs, its tensors, and where it can be cut."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import onnx
from onnx import helper, shape_inference

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.transfer.onnx_import.cut_points import CutPoint, places
from deepdsl.transfer.onnx_import.graph import FileShape, Info, OnnxGraph, graph_of, info_of
from deepdsl.transfer.onnx_import.reading import NOT_AS_DESCRIBED, Array, array_of, self_contained


@record
class OnnxPort:
    """An input or output of the graph: its shape, with None for free sizes, and the name of its
    element type, such as `float32`.
    """

    name: str
    shape: FileShape | None
    dtype: str


class OpenedOnnx:
    """The graph of a file, and its tensors."""

    def __init__(self, path: Path, shown: str, model: onnx.ModelProto) -> None:
        self.path, self.shown, self._model = path, shown, model

    @property
    def inputs(self) -> tuple[OnnxPort, ...]:
        return tuple(_port(name, self.graph) for name in self.graph.inputs)

    @property
    def outputs(self) -> tuple[OnnxPort, ...]:
        return tuple(_port(name, self.graph) for name in self.graph.outputs)

    def places(self) -> tuple[CutPoint, ...]:
        """Where the graph can be cut: the tensors that everything flows through."""
        return places(self.graph)

    def kept(self) -> bytes:
        """The file with all its weights inside, as it is put beside a run."""
        return self_contained(self._model, self.path, self.shown)

    @cached_property
    def sha256(self) -> str:
        """Of what is kept."""
        return hashlib.sha256(self.kept()).hexdigest()

    @cached_property
    def graph(self) -> OnnxGraph:
        """The graph with the shapes that onnx works out of it."""
        graph = graph_of(self._model)
        graph.infos = {**_inferred(self._model), **graph.infos}
        return graph

    def array(self, tensor: onnx.TensorProto, span: Span | None = None) -> Array:
        """The numbers of a tensor of the file."""
        return array_of(tensor, self.path, self.shown, span)


def _port(name: str, graph: OnnxGraph) -> OnnxPort:
    info = graph.infos[name]
    try:
        dtype = str(helper.tensor_dtype_to_np_dtype(info.dtype))
    except (KeyError, ValueError):
        dtype = "unknown"
    return OnnxPort(name, info.shape, dtype)


def _inferred(model: onnx.ModelProto) -> dict[str, Info]:
    """The tensors between, as far as onnx can tell their shapes."""
    try:
        found = shape_inference.infer_shapes(_without_weights(model))
    except (shape_inference.InferenceError, *NOT_AS_DESCRIBED):
        return {}
    return {v.name: info_of(v) for v in found.graph.value_info}


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with large tensors as inputs of their shape: inference copies what it is given."""
    light, graph = onnx.ModelProto(ir_version=model.ir_version), model.graph
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = graph.name
    light.graph.node.extend(graph.node)
    for mine, theirs in (
        (light.graph.input, graph.input),
        (light.graph.output, graph.output),
        (light.graph.value_info, graph.value_info),
    ):
        mine.extend(theirs)
    inputs = {v.name for v in light.graph.input}
    for tensor in model.graph.initializer:
        if tensor.ByteSize() < 1024 and tensor.data_location != onnx.TensorProto.EXTERNAL:
            light.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    return light
