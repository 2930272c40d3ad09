"""Graphs of other programs: made of nodes, imported, and run beside the file itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from deepdsl.compiler.training_step import inference_graph
from deepdsl.core.source import Source, Span
from deepdsl.graph import Type
from deepdsl.graph.emit import emit
from deepdsl.language.analysis.library import Imported
from deepdsl.language.analysis.reused import Cut
from deepdsl.transfer.onnx_import import OnnxFile
from deepdsl.transfer.onnx_import.passthrough import Foreign
from deepdsl.transfer.onnx_import.reading import parsed

SPAN = Span(Source("page.dnn", "reuse net"), 0, 9)
Array = np.ndarray[Any, Any]


def graph(
    nodes: Sequence[onnx.NodeProto],
    row: Sequence[Any],
    weights: Mapping[str, Any] | None = None,
    *,
    opset: int = 17,
    stored: str = "initializer",
    batch: Any = "N",
    dtype: int = TensorProto.FLOAT,
    out: Mapping[str, int] | None = None,
    domains: Mapping[str, int] | None = None,
    info: Sequence[onnx.ValueInfoProto] = (),
) -> onnx.ModelProto:
    """A model with the input `x` and the output `y`; weights are initializers or Constant nodes."""
    tensors = [numpy_helper.from_array(np.asarray(w), n) for n, w in (weights or {}).items()]
    first = [helper.make_node("Constant", [], [t.name], value=t) for t in tensors]
    made = helper.make_graph(
        [*(first if stored == "constant" else []), *nodes],
        "net",
        [helper.make_tensor_value_info("x", dtype, [batch, *row])],
        [
            helper.make_tensor_value_info(n, t, None)
            for n, t in (out or {"y": TensorProto.FLOAT}).items()
        ],
        tensors if stored == "initializer" else [],
        value_info=list(info),
    )
    opsets = {"": opset, **(domains or {})}
    ir = 3 if opset < 9 else 4 if opset < 10 else 8
    if ir == 3 and stored == "initializer":
        made.input.extend(
            helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in tensors
        )
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid(d, v) for d, v in opsets.items()], ir_version=ir
    )


def opened(model: onnx.ModelProto, shown: str = "net.onnx") -> OnnxFile:
    return OnnxFile(Path(shown), shown, parsed(model.SerializeToString(), shown, SPAN))


def piece(
    model: onnx.ModelProto, row: Sequence[int], cut: Cut | None = None, dtype: Any = "f32"
) -> Imported:
    return opened(model).piece([Type(("N", *row), dtype)], cut or Cut(), SPAN)


def kinds(imported: Imported) -> list[str]:
    """What the layers are; those that run as they are in brackets."""
    return [
        f"<{c.layer.operator}>" if isinstance(c.layer, Foreign) else re.sub(r"_\d+$", "", c.path)
        for c in imported.model.calls
    ]


def run(model: onnx.ModelProto, x: Array, output: str | None = None) -> Array:
    """The file's own output, by onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    given = session.get_inputs()[0]
    made: Array = session.run([output] if output else None, {given.name: x})[0]
    return made


def ours(imported: Imported, x: Array) -> Array:
    made = emit(inference_graph(imported.model), "net", imported.weights)
    made.check()
    return run(made.proto, x)


def agree(
    model: onnx.ModelProto,
    row: Sequence[int],
    *,
    expected: Sequence[str] | None = None,
    cut: Cut | None = None,
    x: Array | None = None,
    tolerance: float = 2e-5,
    dtype: Any = "f32",
    given: Any = None,
) -> Imported:
    """The import calculates what the file does, for batches of several sizes."""
    imported = piece(model, row, cut, dtype)
    if expected is not None:
        assert kinds(imported) == list(expected)
    rng = np.random.default_rng(7)
    fixed = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    for rows in (1, 4):
        if x is None:
            numbers = rng.normal(0.2, 1.5, (rows, *row)).astype(np.float32)
        else:
            numbers = np.concatenate([x] * rows)
        file = numbers.astype(given or numbers.dtype)
        if fixed:
            # A file with a fixed batch is asked for so many rows at a time.
            parts = [run(model, file[i : i + fixed]) for i in range(0, rows, fixed)]
            wanted = np.concatenate(parts)
        else:
            wanted = run(model, file)
        made = ours(imported, numbers)
        assert made.shape == wanted.shape
        np.testing.assert_allclose(made, wanted, tolerance, tolerance)
    return imported


def weight(*shape: int, seed: int = 0, mean: float = 0.0) -> Array:
    rng = np.random.default_rng([seed, *shape])
    return (mean + rng.normal(0, 0.5, shape)).astype(np.float32)


node = helper.make_node
