"""Several noisy passes of a model at once: each row is several times in one batch."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value
from deepdsl.graph.arithmetic import Sqrt, square, sub
from deepdsl.graph.reductions import ReduceMean
from deepdsl.graph.reshaping import Reshape


@record
class RepeatRows(Op):
    """Each row several times, one after another.

    What is drawn for a row depends on its place alone, and not on how many rows follow.
    """

    times: int

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        return x.with_shape((f"{x.shape[0]}_times_{self.times}", *x.shape[1:]))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        row = node.inputs[0].type.shape[1:]
        apart = onnx.node("Reshape", inputs[0], onnx.constant((-1, 1, *row), "i64"))
        times = onnx.constant((1, self.times, *[1] * len(row)), "i64")
        repeated = onnx.node("Expand", apart, times)
        return onnx.node("Reshape", repeated, onnx.constant((-1, *row), "i64"))


def draws(b: Builder, x: Value, rows: str, times: int) -> Value:
    """The values of repeated rows in the shape (rows, times, …)."""
    return b.add(Reshape((rows, times, *x.type.shape[1:])), x)


def mean_and_deviation(b: Builder, drawn: Value) -> tuple[Value, Value]:
    """Over axis 1.  The deviation is that of the numbers drawn, as NumPy's `std` has it."""
    mean = b.add(ReduceMean((1,)), drawn)
    centered = sub(b, drawn, b.add(ReduceMean((1,), keepdims=True), drawn))
    return mean, b.add(Sqrt(), b.add(ReduceMean((1,)), square(b, centered)))
