"""Opens ONNX files, and takes pieces out of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deepdsl.core.source import Span
from deepdsl.diagnostics.transfer.onnx_import import NotAnOnnxFile
from deepdsl.graph import Type
from deepdsl.language.analysis.library import Imported
from deepdsl.language.analysis.reused import Cut
from deepdsl.transfer.onnx_import.file import OpenedOnnx
from deepdsl.transfer.onnx_import.piece import import_piece
from deepdsl.transfer.onnx_import.reading import NOT_AS_DESCRIBED, read_model, refused


class OnnxFile(OpenedOnnx):
    """Implements analysis.library.Library."""

    def piece(self, given: Sequence[Type], cut: Cut, span: Span) -> Imported:
        return import_piece(self, given, cut, span)


def open_onnx(path: Path | str, shown: str = "", span: Span | None = None) -> OnnxFile:
    """Open a file; DnnError where it is damaged, or not to be trusted.  `shown` is how messages
    name it, `span` where it is used.
    """
    path, shown = Path(path), shown or str(path)
    file = OnnxFile(path, shown, read_model(path, shown, span))
    try:
        assert file.graph.outputs
    except NOT_AS_DESCRIBED as error:
        reason = f"it is damaged: {type(error).__name__}: {error}"
        raise refused(NotAnOnnxFile(span, shown, reason, "fetch or export it again")) from error
    return file
