"""A model as far as it is unrolled: its calls so far, and a scratch graph that knows shapes."""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.analysis.model import Call, Input
from deepdsl.diagnostics import Report
from deepdsl.diagnostics.names import TooLarge
from deepdsl.ir import Builder, Param, Type, Value
from deepdsl.ops import Layer, Scope
from deepdsl.source import Span

MAX_CALLS = 100_000
MAX_PARAMETERS = 500_000_000


class Trace:
    """Values are numbered as in `Model`: the inputs first, then each call's output."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.inputs: list[Input] = []
        self.calls: list[Call] = []
        self.numbers: dict[Value, int] = {}
        self.read: set[Value] = set()
        self.parameters = 0  # elements of all parameters
        self.overflow = False
        self._builder = Builder()
        self._owned: dict[str, tuple[Param, ...]] = {}
        self._counted = 0  # parameters of the graph that are in `_owned`

    def add_input(self, name: str, type: Type, span: Span) -> Value:
        value = self._builder.input(name, type)
        self.numbers[value] = len(self.inputs)
        self.inputs.append(Input(name, type, span))
        return value

    def is_input(self, value: Value) -> bool:
        return self.numbers[value] < len(self.inputs)

    def apply(self, layer: Layer, path: str, span: Span, values: Sequence[Value]) -> Value:
        """A layer applied to values, noted as a call.  Shapes that do not fit raise ShapeError."""
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
            self._owned[path] = self._builder.params_since(self._counted)
            self._counted += len(self._owned[path])
            self.parameters += sum(p.type.count or 0 for p in self._owned[path])
        self.calls.append(Call(path, layer, inputs, number, out.type, span, self._owned[path]))
        self.limit(span, len(self.calls), self.parameters)
        return out

    def limit(self, span: Span, calls: int, parameters: int) -> None:
        """Note the first time that so many layers or parameters are too many."""
        if self.overflow:
            return
        for count, limit, what in (
            (calls, MAX_CALLS, "layers"),
            (parameters, MAX_PARAMETERS, "parameters"),
        ):
            if count > limit:
                told = f"the model has {count:,} {what} up to here"
                self.report.add(TooLarge(span, told, f"{limit:,}"))
                self.overflow = True
                return
