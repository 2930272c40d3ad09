"""A vector for each index: the embedding, and the operations beneath it."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.core.registry import Integer, argument, option
from deepdsl.graph import Builder, Emitter, Node, Op, ShapeError, Type, Value, by_times
from deepdsl.nn.initializers import Initializer, Normal, Start
from deepdsl.nn.layers.layer import Layer, Scope

# Up to this many rows the sum by a matrix product is the quicker one (64 rows, 2048 indices, 64
# columns: 1.1 ms against 1.6; 256 rows: 3.5 against 1.4).
FEW_ROWS = 128


@record
class Embedding(Layer):
    """`embedding 65 32`: the row of a table for each index, with as many rows as there are indices.

    The input holds whole numbers from 0 to COUNT - 1: `input text[64] dtype=int64`.  A shape [T]
    becomes [T SIZE], a sequence; a single index, `input who[1] dtype=int64`, becomes [1 SIZE].  The
    table is learned: each step moves the rows whose indices are in the batch, by the sum of the
    gradients of all places where the index is.  PyTorch's Embedding and Keras's are the same.
    Rows begin normal with standard deviation 0.02, as in GPT-2 (Radford et al. 2019); Keras has
    uniform(0.05), whose deviation is 0.029, and PyTorch normal(1).
    """

    count: int = argument(Integer(minimum=1, maximum=2**24), "how many different indices there are")
    size: int = argument(Integer(minimum=1, maximum=2**20), "numbers in each row of the table")
    init: Initializer = option(Start("initializer"), "how the table begins", Normal(0.02))

    source = "Bengio et al. 2003, A Neural Probabilistic Language Model"
    indices = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if x.type.dtype != "i64":
            shape = " ".join(map(str, x.type.shape[1:]))
            raise ShapeError(
                "`embedding` takes whole numbers, the indices of its rows",
                f"it was given numbers with fractions, {by_times(x.type.shape[1:])}",
                f"say so at the input: `input x[{shape}] dtype=int64`",
            )
        fans = (self.count, self.size)
        table = scope.param("weight", fans, self.init, "weight", fans, scope.dtype)
        return scope.builder.add(TakeRows(), table, x)


@record
class TakeRows(Op):
    """The row of a table for each index."""

    def infer(self, *inputs: Type) -> Type:
        table, indices = inputs
        return table.with_shape((*indices.shape, table.shape[1]))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return onnx.node("Gather", *inputs, axis=0)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, None]:
        table, indices = inputs
        rows = table.type.shape[0]
        assert isinstance(rows, int)
        return b.add(SumRows(rows), indices, grad), None


@record
class SumRows(Op):
    """For each index from 0 to `rows` - 1 the sum of the vectors that are beside it.

    A product with the indices' one-hot rows for few indices, ScatterElements for more: both add in
    a fixed order, so that sums are the same bits with any number of threads.  ScatterND is quicker
    and no choice: with several threads it loses additions to the same row (onnxruntime 1.31).
    """

    rows: int

    def infer(self, *inputs: Type) -> Type:
        indices, vectors = inputs
        assert vectors.shape[:-1] == indices.shape
        return vectors.with_shape((self.rows, vectors.shape[-1]))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        dtype, (_, size) = node.outputs[0].type.dtype, node.outputs[0].type.shape
        assert isinstance(size, int)
        indices = onnx.node("Reshape", inputs[0], onnx.constant((-1, 1), "i64"))
        vectors = onnx.node("Reshape", inputs[1], onnx.constant((-1, size), "i64"))
        if self.rows <= FEW_ROWS:
            flat = onnx.node("Reshape", inputs[0], onnx.constant((-1,), "i64"))
            depth = onnx.constant(self.rows, "i64")
            hot = onnx.node("OneHot", flat, depth, onnx.constant((0.0, 1.0), dtype), axis=-1)
            return onnx.node("Gemm", hot, vectors, transA=1)
        shape = onnx.constant((self.rows, size), "i64")
        zeros = onnx.node("Expand", onnx.constant(0.0, dtype), shape)
        spread = onnx.node("Expand", indices, onnx.node("Shape", vectors))
        return onnx.node("ScatterElements", zeros, spread, vectors, axis=0, reduction="add")
