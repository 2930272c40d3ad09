"""Writes graphs as ONNX: the only importer of onnx."""

from deepdsl.emit.model import IR_VERSION, NUMPY, OPSET, OnnxModel, emit, emit_state
from deepdsl.emit.read import Interface, Port, read_interface
from deepdsl.emit.text import onnx_text

__all__ = [
    "IR_VERSION",
    "NUMPY",
    "OPSET",
    "Interface",
    "OnnxModel",
    "Port",
    "emit",
    "emit_state",
    "onnx_text",
    "read_interface",
]
