"""A model as far as it is unrolled: its calls so far, and a scratch graph that knows shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from deepdsl.core.source import Span
from deepdsl.diagnostics import Report
from deepdsl.diagnostics.language.names import TooLarge
from deepdsl.graph import Builder, Param, ShapeError, Type, Value
from deepdsl.language.analysis.model import LayerCall, ModelInput, Piece
from deepdsl.language.analysis.sizes import DEEPEST, NOTHING, BlockSize
from deepdsl.nn.layers import Layer, Scope

MAX_CALLS = 100_000
MAX_PARAMETERS = 500_000_000
# Uses of parts and blocks: a file whose blocks have no layers would never come to an end of them.
MAX_BODIES = 20_000
# Of blocks, parts and repeats in each other.
MAX_DEPTH = DEEPEST


class Trace:
    """Values are numbered as in `Model`: the inputs first, then each call's output."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.inputs: list[ModelInput] = []
        self.calls: list[LayerCall] = []
        self.numbers: dict[Value, int] = {}
        self.pieces: dict[str, Piece] = {}
        self.read: set[Value] = set()
        self.parameters = 0  # elements of all parameters
        self.overflow = False
        self._bodies = 0  # how often a part or a block was gone through
        self._depth = 0
        self._builder = Builder()
        self._owned: dict[str, tuple[Param, ...]] = {}  # of each layer, with what it borrows
        self._params: dict[str, Param] = {}
        self._counted = 0  # parameters of the graph that are in `_params`

    def add_input(self, name: str, type: Type, span: Span) -> Value:
        value = self._builder.input(name, type)
        self.numbers[value] = len(self.inputs)
        self.inputs.append(ModelInput(name, type, span))
        return value

    def is_input(self, value: Value) -> bool:
        return self.numbers[value] < len(self.inputs)

    def apply(self, layer: Layer, path: str, span: Span, values: Sequence[Value]) -> Value:
        """A layer applied to values, noted as a call.  Shapes that do not fit raise ShapeError."""
        if not layer.indices and any(v.type.dtype == "i64" for v in values):
            raise ShapeError(
                f"`{layer.name}` takes numbers, not indices",
                "it was given whole numbers",
                "look each one up in a table first: `embedding COUNT 32`",
            )
        with self._builder.at(path, span):
            out = layer.expand(Scope(self._builder, path), *values)
        self.read.update(values)
        if out in self.numbers:
            # A layer that changes nothing (dropout at inference): its output is still a value of
            # its own.
            out = Value(f"{path}/same", out.type)
        number = self.numbers[out] = len(self.inputs) + len(self.calls)
        inputs = tuple(self.numbers[v] for v in values)
        if path not in self._owned:
            fresh = self._builder.params_since(self._counted)
            self._counted += len(fresh)
            self.parameters += sum(p.type.count or 0 for p in fresh)
            borrowed = (self._params[name] for name in layer.borrows if name in self._params)
            self._owned[path] = (*borrowed, *fresh)
            self._params.update((p.name, p) for p in fresh)
        call = LayerCall(path, layer, inputs, number, out.type, span, self._owned[path])
        self.calls.append(replace(call, uses=self.report.uses) if self.report.uses else call)
        self.limit(span, len(self.calls), self.parameters)
        return out

    def piece(
        self, path: str, start: int, into: Value | None, made: Value, block: str = ""
    ) -> None:
        """Note the use of a part or a block, whose calls are those from `start` on."""
        flows = self.numbers.get(into) if into is not None else None
        done = Piece(start, len(self.calls), flows, self.numbers[made], block)
        self.pieces.setdefault(path, done)

    def limit(self, span: Span, calls: int, parameters: int) -> None:
        """Note the first time that this many layers or parameters are too many."""
        if self.overflow:
            return
        for count, limit, what in (
            (calls, MAX_CALLS, "layers"),
            (parameters, MAX_PARAMETERS, "parameters"),
        ):
            if count > limit:
                told = f"the model has {_told(count)} {what} up to here"
                self._refuse(span, told, f"{limit:,}")
                return

    def enter(self, span: Span, least: BlockSize = NOTHING) -> bool:
        """Whether one part or block more can be gone through, which has this size at least."""
        self._bodies += 1
        self.limit(span, len(self.calls) + least.layers, self.parameters)
        bodies = self._bodies + max(0, least.bodies - 1)
        if bodies > MAX_BODIES and not self.overflow:
            told = f"the model uses parts and blocks {_told(bodies)} times up to here"
            self._refuse(span, told, f"{MAX_BODIES:,}")
        return not self.overflow

    @contextmanager
    def deeper(self, span: Span) -> Iterator[None]:
        """Note that what is done meanwhile is one level deeper."""
        self._depth += 1
        if self._depth > MAX_DEPTH and not self.overflow:
            told = f"blocks, parts and repeats stand {self._depth} deep in one another here"
            self._refuse(span, told, str(MAX_DEPTH))
        try:
            yield
        finally:
            self._depth -= 1

    def _refuse(self, span: Span, told: str, limit: str) -> None:
        self.report.add(TooLarge(span, told, limit))
        self.overflow = True


def _told(count: int) -> str:
    """A number as a person reads it."""
    return f"{count:,}" if count < 10**15 else "more than 1,000,000,000,000,000"
