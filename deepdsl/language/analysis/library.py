"""What a text may use beside other texts: networks that another program has written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deepdsl.core.record import record
from deepdsl.core.source import Span
from deepdsl.graph import Type
from deepdsl.language.analysis.model import Model
from deepdsl.language.analysis.reused import Cut, ImportedWeights


@record(eq=False)
class Imported(ImportedWeights):
    """A piece of an imported network in layers of ours.  `model` has one input and one output."""

    model: Model


class Library(Protocol):
    """A file of another program that a text uses: an ONNX graph."""

    #: How messages name the file.
    shown: str

    def piece(self, given: Sequence[Type], cut: Cut, span: Span) -> Imported:
        """The piece as it is with inputs of these types (the batch first).

        Raises DnnError whose diagnostics are at `span`, the `reuse`, or at a word of the cut.
        """
        ...
