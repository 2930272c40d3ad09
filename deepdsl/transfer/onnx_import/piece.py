"""A piece of an ONNX graph as a model in layers of ours: cut, simplified, grouped, converted."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import TensorProto

from deepdsl.core.source import Span
from deepdsl.diagnostics.transfer.onnx_import import NoBatchAxis, NoSuchTensor, OtherShape
from deepdsl.graph import Type, by_times
from deepdsl.language.analysis.library import Imported
from deepdsl.language.analysis.model import ModelInput
from deepdsl.language.analysis.reused import Cut
from deepdsl.transfer.onnx_import.conversion import DTYPES, Conversion
from deepdsl.transfer.onnx_import.conversions import CONVERTERS
from deepdsl.transfer.onnx_import.cutting import Cutter
from deepdsl.transfer.onnx_import.dims import ROWS
from deepdsl.transfer.onnx_import.file import OpenedOnnx
from deepdsl.transfer.onnx_import.finishing import finished, rows_first
from deepdsl.transfer.onnx_import.folding import Folding
from deepdsl.transfer.onnx_import.graph import FileShape
from deepdsl.transfer.onnx_import.groups import grouped
from deepdsl.transfer.onnx_import.inference import FLOAT, Flow, single
from deepdsl.transfer.onnx_import.reading import refused
from deepdsl.transfer.onnx_import.shape_evaluation import SPECIAL

_CODES = {dtype: code for code, dtype in DTYPES.items()}


def import_piece(file: OpenedOnnx, given: Sequence[Type], cut: Cut, span: Span) -> Imported:
    """See analysis.library.Library.piece."""
    (source,) = given
    piece = Cutter(file.graph, file.shown, cut, span).run()
    ((name, info),) = piece.inputs.items()
    fixed = _bound(file, name, info.shape, source, span)
    code = _code(file, name, info.dtype, source, span)
    output = piece.outputs[0]
    if output == name:
        hint = "that is the input: name a later tensor"
        raise refused(NoSuchTensor(span, file.shown, output, "piece that ends at", (), hint))
    sizes = (ROWS, *(int(d) for d in source.shape[1:]))
    flow: Flow = (code, sizes)
    entry = name
    folding = Folding(file, piece, span, fixed, entry, flow, SPECIAL)
    folding.run()
    output = folding.name(output)
    nodes = grouped(folding, output)
    conversion = Conversion(folding, source, CONVERTERS)
    conversion.numbers[entry] = 0
    if source.dtype != DTYPES[code]:
        _cast(conversion, entry, code)
    conversion.run(nodes)
    return _imported(file, conversion, output, name, source, span)


def _imported(
    file: OpenedOnnx, conversion: Conversion, output: str, name: str, source: Type, span: Span
) -> Imported:
    number = conversion.numbers.get(output, 0)
    if output not in conversion.numbers:
        raise refused(NoBatchAxis(span, file.shown, output, "that of a constant"))
    made = conversion.type(number)
    if made.rank < 2 or not rows_first(made.shape):
        raise refused(NoBatchAxis(span, file.shown, output, by_times(made.shape)))
    if number == 0 or not conversion.made:
        from deepdsl.nn.layers.activations.base import Identity

        number = conversion.layer(Identity(), number)
    model, weights, names = finished(
        conversion, number, file.path.stem, ModelInput(name, source, span), span
    )
    return Imported(weights, names, model)


def _cast(conversion: Conversion, entry: str, code: int) -> None:
    """The numbers that flow in, in the element type that the file wants."""
    from deepdsl.graph.arithmetic import Cast

    conversion.numbers[entry] = conversion.compute(Cast(DTYPES[code]), 0)


def _code(file: OpenedOnnx, name: str, dtype: int, source: Type, span: Span) -> int:
    """The element type that flows: that of the file, where it says one that there is here."""
    code = single(dtype) if dtype else _CODES[source.dtype]
    if code in DTYPES:
        if code == FLOAT and source.dtype == "i64":
            hint = "leave `dtype=int64` out of the line of the input"
            told = "whole numbers"
            raise refused(OtherShape(span, file.shown, name, "numbers with fractions", told, hint))
        return code
    known = code in TensorProto.DataType.values()
    kind = TensorProto.DataType.Name(code).lower() if known else str(code)
    hint = 'start after the operator that makes numbers of them: `from="TENSOR"`'
    told = f"values of the kind {kind}"
    raise refused(OtherShape(span, file.shown, name, told, "numbers", hint))


def _bound(
    file: OpenedOnnx, name: str, shape: FileShape | None, source: Type, span: Span
) -> int | None:
    """The batch that the file was made with, where it is fixed; OtherShape where sizes differ."""
    if shape is None:
        return None
    row = source.row
    wanted, given = shape[1:], tuple(row)
    clash = len(wanted) != len(given) or any(
        w not in (None, g) for w, g in zip(wanted, given, strict=False)
    )
    if not clash and shape:
        return shape[0]
    hint = _advice(shape, given)
    told = " × ".join("any" if d is None else str(d) for d in wanted) or "a single number"
    if not shape or (len(shape) == len(given) and _fits(shape, given)):
        told = f"{by_times([d or 'any' for d in shape])} without a batch"
        hint = "export it with a batch as its first axis"
    raise refused(OtherShape(span, file.shown, name, told, by_times(row), hint))


def _fits(wanted: Sequence[int | None], given: Sequence[int]) -> bool:
    return len(wanted) == len(given) and all(
        w in (None, g) for w, g in zip(wanted, given, strict=True)
    )


def _advice(shape: FileShape, given: tuple[int, ...]) -> str:
    """How what flows comes to the shape, where that can be said."""
    wanted = shape[1:]
    known = [d for d in wanted if d is not None]
    if len(given) == len(wanted) == 3:
        if _fits(wanted, (*given[1:], given[0])):
            return "the file has its channels last: `permute [2 3 1] | reuse …`"
        if _fits(wanted, (given[2], *given[:2])):
            return "the file has its channels first: `permute [3 1 2] | reuse …`"
    if len(known) == len(wanted):
        from math import prod

        if prod(known) == prod(given):
            return f"`reshape [{' '.join(map(str, known))}] | reuse …` has as many numbers"
    return ""
