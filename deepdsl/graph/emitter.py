"""What an operation writes its ONNX with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from deepdsl.graph.types import DType, Shape


class Emitter(Protocol):
    """What `lower` writes ONNX with.  Tensors are known by name."""

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; its name.  An empty input name leaves an optional input
        out.
        """
        ...

    def nodes(self, op_type: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        ...

    def constant(self, value: Any, dtype: DType, shape: Shape | None = None) -> str:
        """A constant tensor from a number or nested sequence; `shape` fills a shape with one
        number.
        """
        ...

    def scan(
        self,
        step: Callable[[Emitter, list[str], list[str]], tuple[list[str], list[str]]],
        states: Sequence[str],
        sequences: Sequence[str],
        dtype: DType,
        reverse: bool = False,
    ) -> list[str]:
        """Go through sequences along their first axis, from the end with `reverse`.

        `step` is given an emitter, the states and a slice of each sequence, and gives the next
        states and a slice of each result.  What comes back are the results, in the order of the
        sequences.
        """
        ...
