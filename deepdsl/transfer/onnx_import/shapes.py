"""The shapes of all tensors of a file, for rows of a given shape."""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.core.source import Source, Span
from deepdsl.diagnostics import DnnError
from deepdsl.graph import Type
from deepdsl.language.analysis.reused import Cut
from deepdsl.transfer.onnx_import.conversion import DTYPES
from deepdsl.transfer.onnx_import.dims import ROWS, is_rows
from deepdsl.transfer.onnx_import.folding import Folding
from deepdsl.transfer.onnx_import.inference import FLOAT, single
from deepdsl.transfer.onnx_import.open import OnnxFile
from deepdsl.transfer.onnx_import.shape_evaluation import SPECIAL

_NOWHERE = Span(Source("", ""), 0, 0)
RowShape = tuple[int | None, ...]


def row_shapes(file: OnnxFile, row: Sequence[int]) -> dict[str, RowShape]:
    """The shape of one row of each tensor, as far as it can be told, with rows of this shape at the
    only input.  What has no rows is not among them.
    """
    ((name, info),) = file.graph.inputs.items()
    code = single(info.dtype) if single(info.dtype) in DTYPES else FLOAT
    batch = info.shape[0] if info.shape else None
    folding = Folding(file, file.graph, _NOWHERE, batch, name, (code, (ROWS, *row)), SPECIAL)
    for node in file.graph.nodes:
        try:
            folding.visit(node)
        except DnnError:
            continue  # what it makes is not known, and what lies after it
    made: dict[str, RowShape] = {}
    for tensor in (name, *(n for node in file.graph.nodes for n in node.outputs if n)):
        flow = folding.flows.get(folding.name(tensor))
        if flow is not None and flow[1][:1] == (ROWS,):
            made[tensor] = tuple(None if is_rows(d) else d for d in flow[1][1:])
    return made


def holds_indices(file: OnnxFile) -> bool:
    """Whether the numbers at the only input say which rows of a table are meant, as words do."""
    ((name, _),) = file.graph.inputs.items()
    same = {name}
    for node in file.graph.nodes:
        if node.op in ("Cast", "Identity") and node.input(0) in same:
            same.update(node.outputs)
        elif node.op == "Gather" and node.input(1) in same:
            return True
    return False


def can_take(file: OnnxFile, row: Sequence[int], tensor: str) -> bool:
    """Whether the file can be reused up to a tensor."""
    given = Type(("N", *row), "i64" if holds_indices(file) else "f32")
    try:
        file.piece([given], Cut(until=tensor), _NOWHERE)
    except DnnError:
        return False
    return True
