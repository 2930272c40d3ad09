"""Writes graphs as ONNX: the only importer of onnx."""

from deepdsl.graph.emit.model import IR_VERSION, NUMPY, OnnxModel, emit, emit_state
from deepdsl.graph.emit.read import Interface, InterfacePort, read_interface
from deepdsl.graph.emit.text import onnx_text
from deepdsl.graph.types import OPSET

__all__ = [
    "IR_VERSION",
    "NUMPY",
    "OPSET",
    "Interface",
    "InterfacePort",
    "OnnxModel",
    "emit",
    "emit_state",
    "onnx_text",
    "read_interface",
]
