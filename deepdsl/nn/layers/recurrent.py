"""Recurrent layers: LSTM and GRU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Either, Entry, Integer, Number, OneOf, argument, option
from deepdsl.graph import Builder, Param, Value
from deepdsl.graph.concatenation import Concatenate, Split
from deepdsl.graph.matmul import transposed
from deepdsl.graph.reshaping import Reshape
from deepdsl.nn.initializers import Fans, GlorotUniform, Initializer, Orthogonal, Zeros
from deepdsl.nn.layers.gru import GruOperator, GruResetSteps, GruSteps
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.lstm import LstmOperator, LstmSteps
from deepdsl.nn.layers.sequence_shapes import at_each_position, needs_sequence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BIAS = Either((Boolean(), Entry("initializer")))
DIRECTION = OneOf(("forward", "backward", "both"))


@record
class Recurrent(Layer, abstract=True):
    """Base: a sequence in, the state at each position or the last one out."""

    units: int
    sequence: bool
    direction: str

    def states(self, scope: Scope, x: Value, prefix: str, reverse: bool) -> Value:
        """The states [T, N, units] over x [T, N, features]; `prefix` begins the weights' names."""
        raise NotImplementedError(f"{type(self).__name__} has no states")

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        shape = x.type.shape[1:]
        flat = f"`reshape [{shape[0]} 1] | {self.name} {self.units}` takes its numbers one by one"
        positions, _ = needs_sequence(self.name, x.type, self._advice(shape, flat))
        b = scope.builder
        x = transposed(b, x, 1, 0, 2)
        ways = {"forward": (False,), "backward": (True,), "both": (False, True)}[self.direction]
        made = []
        for reverse in ways:
            prefix = "backward_" if reverse and len(ways) > 1 else ""
            states = self.states(scope, x, prefix, reverse)
            last = 0 if reverse else positions - 1
            made.append(states if self.sequence else position(b, states, last))
        if self.sequence:
            made = [transposed(b, states, 1, 0, 2) for states in made]
        return made[0] if len(made) == 1 else b.add(Concatenate(made[0].type.rank - 1), *made)

    def _advice(self, shape: tuple[Any, ...], flat: str) -> str:
        if len(shape) != 1:
            return ""
        return f"a recurrent layer above gives all its states with `sequence=true`; {flat}"


def position(b: Builder, states: Value, index: int) -> Value:
    """One position, [N, units], of [T, N, units]: the first or the last."""
    count = states.type.shape[0]
    assert isinstance(count, int)
    if count > 1:
        sizes = (count - 1, 1) if index else (1, count - 1)
        states = b.apply(Split(0, sizes), states)[1 if index else 0]
    return b.add(Reshape(states.type.shape[1:]), states)


def _zeros(b: Builder, count: int, like: Value) -> Value:
    return b.constant((0.0,) * count, like.type.dtype)


@record
class ForgetBias(Initializer, abstract=True):
    """The biases of an LSTM: those of the forget gate have a start of their own."""

    start: Initializer
    forget: float

    def sample(
        self, shape: tuple[int, ...], fans: Fans, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        values = self.start.sample(shape, fans, rng).copy()
        units = shape[0] // 4
        values[units : 2 * units] = self.forget
        return values

    def show(self) -> str:
        return f"{self.start.show()}, {self.forget:g} for the forget gate"


@record
class Lstm(Recurrent):
    """`lstm 128`: c = f c' + i g, h = o tanh(c), at each position from the state h' and the cell c'
    before it.

    i, f, o = sigmoid(x W + h' R + b) are the input, forget and output gates and g = tanh(x W + h' R
    + b) the candidate, each with its own columns of the weights W (features, 4 units) and R (units,
    4 units) and of the bias, in the order i f g o, as in Keras and PyTorch.  The first state and
    cell are zero.

    A sequence [T D] becomes its last state, a vector of `units`; with `sequence=true` all states,
    [T units].  Keras's default is the same; PyTorch gives both.  `direction=backward` goes from the
    last position to the first; `direction=both` has two sets of weights and puts their states side
    by side (Schuster & Paliwal 1997).

    W begins glorot_uniform, R orthogonal, the biases zero but for the forget gate's, which are 1,
    so that a cell keeps what it has at first (Gers et al. 2000, Jozefowicz et al. 2015): Keras's
    defaults.  PyTorch draws all of them uniform(1 / sqrt(units)), and has two biases, which add.
    """

    units: int = argument(Integer(minimum=1, maximum=2**20), "numbers in the state")
    sequence: bool = option(Boolean(), "all states instead of the last one", False)
    direction: str = option(DIRECTION, "which way it goes", "forward")
    init: Initializer = option(Entry("initializer"), "how W begins", GlorotUniform())
    recurrent_init: Initializer = option(Entry("initializer"), "how R begins", Orthogonal())
    bias: bool | Initializer = option(BIAS, "whether there is a bias, or how it begins", True)
    forget_bias: float = option(Number(), "what the forget gate's biases begin with", 1.0)

    source = (
        "Hochreiter & Schmidhuber 1997, Long Short-Term Memory; forget gate: Gers, Schmidhuber & "
        "Cummins 2000, Learning to Forget"
    )

    def states(self, scope: Scope, x: Value, prefix: str, reverse: bool) -> Value:
        b, columns = scope.builder, 4 * self.units
        weight, recurrent = kernels(scope, self, x, prefix, columns)
        if self.bias is False:
            bias = _zeros(b, columns, x)
        else:
            start = self.bias if isinstance(self.bias, Initializer) else Zeros()
            begin = ForgetBias(start, self.forget_bias)
            bias = scope.param(f"{prefix}bias", (columns,), begin, "bias", None, x.type.dtype)
        if not scope.training:
            return b.add(LstmOperator(reverse), x, weight, recurrent, bias)
        added = () if self.bias is False else (bias,)
        z = at_each_position(b, x, weight, *added)
        return b.apply(LstmSteps(reverse), z, recurrent)[0]


@record
class Gru(Recurrent):
    """`gru 128`: h = z h' + (1 - z) n, at each position from the state h' before it.

    z, r = sigmoid(x W + h' R + b) are the update and the reset gate, and n = tanh(x W + b + r (h' R
    + b_r)) is the candidate, each with its own columns of the weights W (features, 3 units) and R
    (units, 3 units), in the order z r n.  The first state is zero.  b_r is `recurrent_bias`; for z
    and r it would only add to b, and is left out, where Keras and PyTorch have it.

    With `reset_after=false` n = tanh(x W + b + (r h') R), as in the first paper, which takes a
    second product at each position.  Keras's default is reset_after, and PyTorch and cuDNN have no
    other.

    A sequence [T D] becomes its last state, a vector of `units`; with `sequence=true` all states,
    [T units].  `direction=backward` goes from the last position to the first; `direction=both` has
    two sets of weights and puts their states side by side.  W begins glorot_uniform, R orthogonal,
    the biases zero, as in Keras; PyTorch draws all of them uniform(1 / sqrt(units)).
    """

    units: int = argument(Integer(minimum=1, maximum=2**20), "numbers in the state")
    sequence: bool = option(Boolean(), "all states instead of the last one", False)
    direction: str = option(DIRECTION, "which way it goes", "forward")
    reset_after: bool = option(Boolean(), "reset after the recurrent product", True)
    init: Initializer = option(Entry("initializer"), "how W begins", GlorotUniform())
    recurrent_init: Initializer = option(Entry("initializer"), "how R begins", Orthogonal())
    bias: bool | Initializer = option(BIAS, "whether there are biases, or how they begin", True)

    source = "Cho et al. 2014, arXiv:1406.1078"

    def states(self, scope: Scope, x: Value, prefix: str, reverse: bool) -> Value:
        b, units, dtype = scope.builder, self.units, x.type.dtype
        weight, recurrent = kernels(scope, self, x, prefix, 3 * units)
        start = self.bias if isinstance(self.bias, Initializer) else Zeros()

        def bias(name: str, count: int) -> Value:
            if self.bias is False:
                return _zeros(b, count, x)
            return scope.param(f"{prefix}{name}", (count,), start, "bias", None, dtype)

        first = bias("bias", 3 * units)
        second = bias("recurrent_bias", units) if self.reset_after else _zeros(b, units, x)
        if not scope.training:
            op = GruOperator(self.reset_after, reverse)
            return b.add(op, x, weight, recurrent, first, second)
        z = at_each_position(b, x, weight, *(() if self.bias is False else (first,)))
        gates, candidate = b.apply(Split(2, (2 * units, units)), z)
        if self.reset_after:
            return b.apply(GruSteps(reverse), gates, candidate, recurrent, second)[0]
        parts = b.apply(Split(1, (2 * units, units)), recurrent)
        return b.apply(GruResetSteps(reverse), gates, candidate, *parts)[0]


def kernels(
    scope: Scope, layer: Lstm | Gru, x: Value, prefix: str, columns: int
) -> tuple[Param, Param]:
    """The weights of the inputs and of the state before."""
    features, dtype = x.type.shape[-1], x.type.dtype
    assert isinstance(features, int)
    weight = scope.param(
        f"{prefix}weight", (features, columns), layer.init, "weight", (features, columns), dtype
    )
    recurrent = scope.param(
        f"{prefix}recurrent_weight",
        (layer.units, columns),
        layer.recurrent_init,
        "weight",
        (layer.units, columns),
        dtype,
    )
    return weight, recurrent
