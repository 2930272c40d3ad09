"""An ONNX model as text, for `--emit onnx-text`."""

from __future__ import annotations

import onnx.printer

from deepdsl.graph.emit.model import OnnxModel


def onnx_text(model: OnnxModel) -> str:
    """ONNX's own textual form."""
    text: str = onnx.printer.to_text(model.proto)
    return text if text.endswith("\n") else text + "\n"
