"""Attention: each position of a sequence looks at the others; and layers that say where it is."""

from __future__ import annotations

import math
from functools import lru_cache

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Either, Entry, Integer, Number, argument, option
from deepdsl.graph import DType, Emitter, Node, Op, ShapeError, Type, Value
from deepdsl.graph.arithmetic import add, scaled
from deepdsl.graph.matmul import MatMul, transposed, turned
from deepdsl.graph.reshaping import Reshape
from deepdsl.nn.initializers import GlorotUniform, Initializer, Normal, Start, Zeros
from deepdsl.nn.layers.activations.base import Softmax
from deepdsl.nn.layers.dropout import Dropout
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.sequence_shapes import at_each_position, needs_sequence

# What a masked score is set to: its exponential is 0 beside any other, and no difference of two
# such numbers is a NaN, as that of two infinities is.
MASKED = -1e30


@record
class Attention(Layer):
    """`attention 4 causal=true`: for each head softmax(Q K' / sqrt(d)) V, with Q = x W_q + b_q, and
    K and V likewise; then the heads side by side times W_o plus b_o.

    Multi-head self-attention (Vaswani et al. 2017): a sequence [T D] becomes [T D].  Each position
    asks with its query what the keys of the others answer to, and takes the mean of their values,
    weighed by the answers.  A head has d = size / heads columns of W_q, W_k and W_v, which are
    (D, size); W_o is (size, D).  `size` is D where it is left out.  With `causal=true` a position
    sees itself and what is before it, as a model that predicts the next one must; without, all.

    With `dropout=10%` the weights of the mean are dropped in training, as in PyTorch's
    MultiheadAttention and in Keras.  Weights begin glorot_uniform and biases zero; PyTorch draws
    the three of Q, K and V as one matrix, which makes them smaller by a factor of sqrt(2), and
    Keras's MultiHeadAttention takes the size of a head where `size` here is that of all.
    """

    heads: int = argument(Integer(minimum=1, maximum=4096), "how many heads", 1)
    causal: bool = option(Boolean(), "no position sees later ones", False)
    size: int | None = option(
        Integer(minimum=1, maximum=2**20), "numbers in the queries of all heads", None
    )
    dropout: float = option(Number(minimum=0, below=1), "share of the weights dropped", 0.0)
    init: Initializer = option(Entry("initializer"), "how the weights begin", GlorotUniform())
    bias: bool | Initializer = option(
        Either((Boolean(), Entry("initializer"))), "whether there are biases, or their start", True
    )

    source = "Vaswani et al. 2017, arXiv:1706.03762"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        positions, features = needs_sequence(self.name, x.type)
        size = self.size or features
        if size % self.heads:
            fit = [str(n) for n in range(2, size + 1) if size % n == 0][:8]
            raise ShapeError(
                f"`attention {self.heads}` divides {size} numbers into {self.heads} equal heads",
                f"{size} is not a multiple of {self.heads}",
                f"{size} can be divided into: {', '.join(fit)}" if fit else "",
            )
        b, each = scope.builder, size // self.heads
        # [N T size] -> [N heads T each]
        query, key, value = (
            transposed(
                b, b.add(Reshape((x.type.shape[0], positions, self.heads, each)), made), 0, 2, 1, 3
            )
            for made in (self._product(scope, name, x, size) for name in ("query", "key", "value"))
        )
        scores = b.add(MatMul(), scaled(b, 1 / math.sqrt(each), query), turned(b, key))
        if self.causal and positions > 1:
            scores = add(b, scores, b.add(CausalMask(positions, x.type.dtype)))
        weights = b.add(Softmax(), scores)
        if self.dropout:
            weights = Dropout(self.dropout).expand(scope, weights)
        mixed = transposed(b, b.add(MatMul(), weights, value), 0, 2, 1, 3)
        joined = b.add(Reshape((x.type.shape[0], positions, size)), mixed)
        return self._product(scope, "output", joined, features)

    def _product(self, scope: Scope, name: str, x: Value, size: int) -> Value:
        features, dtype = x.type.shape[-1], x.type.dtype
        assert isinstance(features, int)
        fans = (features, size)
        weight = scope.param(f"{name}.weight", fans, self.init, "weight", fans, dtype)
        if self.bias is False:
            return at_each_position(scope.builder, x, weight)
        start = self.bias if isinstance(self.bias, Initializer) else Zeros()
        bias = scope.param(f"{name}.bias", (size,), start, "bias", fans, dtype)
        return at_each_position(scope.builder, x, weight, bias)


@record
class CausalMask(Op):
    """Positions × positions: 0 where a position may look, a number below all others elsewhere."""

    positions: int
    dtype: DType = "f32"

    def infer(self, *inputs: Type) -> Type:
        return Type((self.positions, self.positions), self.dtype)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        size = onnx.constant((self.positions, self.positions), "i64")
        full = onnx.node("Expand", onnx.constant(MASKED, node.outputs[0].type.dtype), size)
        # The part above the diagonal.
        return onnx.node("Trilu", full, onnx.constant(1, "i64"), upper=1)


@record
class PositionEmbedding(Layer):
    """`position_embedding`: x plus a learned vector for each position.

    Attention by itself does not know where a position is; this tells it.  A sequence [T D]
    stays [T D]; the table has T rows of D, which begin normal with standard deviation 0.02, as in
    GPT-2 and BERT.  Keras's PositionEmbedding begins glorot_uniform.  sinusoidal_positions has
    nothing to learn.
    """

    init: Initializer = option(Start("initializer"), "how the table begins", Normal(0.02))

    source = "Gehring et al. 2017, arXiv:1705.03122"
    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        shape = needs_sequence(self.name, x.type)
        table = scope.param("weight", shape, self.init, "weight", shape, x.type.dtype)
        return add(scope.builder, x, table)


@record
class SinusoidalPositions(Layer):
    """`sinusoidal_positions`: x + p, with p[t, 2 i] = sin(t / 10000^(2 i / D)) and p[t, 2 i + 1] =
    cos(t / 10000^(2 i / D)).

    Vaswani et al. 2017: waves of D / 2 lengths, from 2 pi to 10000 times that, which tell attention
    where a position is.  A sequence [T D] stays [T D] and there is nothing to learn.  The waves
    are of size 1: where x is an embedding with small numbers, scale it, or start it with a standard
    deviation of about 1, as the paper does (it multiplies by sqrt(D)).
    """

    source = "Vaswani et al. 2017, arXiv:1706.03762"
    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        positions, features = needs_sequence(self.name, x.type)
        return add(
            scope.builder, x, scope.builder.constant(waves(positions, features), x.type.dtype)
        )


@lru_cache(maxsize=4)  # a layer is expanded for each graph
def waves(positions: int, features: int) -> tuple[tuple[float, ...], ...]:
    """The numbers that are added at each position."""
    lengths = [10000 ** ((n - n % 2) / features) for n in range(features)]
    return tuple(
        tuple(math.cos(t / w) if n % 2 else math.sin(t / w) for n, w in enumerate(lengths))
        for t in range(positions)
    )
