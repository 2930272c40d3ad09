"""Layers that take several named values, place by place: multiply and mean."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Param, Shape, ShapeError, Type, Value, by_times
from deepdsl.graph.arithmetic import add, mul, scaled
from deepdsl.graph.reshaping import Reshape
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer
from deepdsl.nn.layers.reshaping import one_shape


@record
class Multiply(Layer):
    """`multiply a b`: the product of named values, number by number.

    The values have one shape; or one of them is a gate of the other: a vector [C] (or [C 1 1]) with
    a factor for each channel of [C height width], as in squeeze-and-excitation (Hu, Shen & Sun
    2017), or [1 height width] with a factor for each place.  A gate that was made by sigmoid lies
    between 0 and 1.

        x = image | conv 32 3x3 pad=same | relu
        gate = x | global_avg_pool | dense 8 | relu | dense 32 | sigmoid
        multiply x gate
    """

    operands = True
    independent = True
    source = "Hu, Shen & Sun 2017, arXiv:1709.01507"

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        total = inputs[0]
        for other in inputs[1:]:
            shape = _gated(total.type.shape, other.type.shape)
            sides = (self._brought(scope, v, len(shape)) for v in (total, other))
            total = mul(scope.builder, *sides)
        return total

    @staticmethod
    def _brought(scope: Scope, x: Value, rank: int) -> Value:
        """A vector of channels, with sizes of 1 after it."""
        if x.type.rank == rank:
            return x
        return scope.builder.add(Reshape((*x.type.shape, *[1] * (rank - x.type.rank))), x)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        """Products of independent numbers of one shape: means and squares multiply."""
        if len({t.shape for t in types}) > 1:
            return None
        mean = square = shared = 1.0
        for x in inputs:
            mean, square = mean * x.mean, square * x.square
            shared *= x.mean**2 if x.shared is None else x.shared
        known = all(x.shared is not None for x in inputs)
        gains = [
            Gain(factor, 0.0, 0.0, factor)
            for factor in (square / x.square if x.square else 0.0 for x in inputs)
        ]
        return Transfer(Moments(mean, square, shared if known else None), tuple(gains))


def _gated(x: Shape, y: Shape) -> Shape:
    """The shape of a product; ShapeError where neither is a gate of the other."""
    for whole, gate in ((x, y), (y, x)):
        spread = (*gate, *[1] * (len(whole) - len(gate))) if len(gate) == 2 else gate
        if len(spread) == len(whole) and all(
            g in (w, 1) for w, g in zip(whole, spread, strict=True)
        ):
            return whole
    raise ShapeError(
        f"`multiply` takes values of one shape, not {by_times(x[1:])} and {by_times(y[1:])}",
        "these do not go together",
        _advice(*sorted((x, y), key=len)),
    )


def _advice(gate: Shape, whole: Shape) -> str:
    if len(whole) > 2 and len(gate) == 2:
        return f"a gate of {by_times(whole[1:])} has a number for each channel: `dense {whole[1]}`"
    return one_shape(whole, gate)


@record
class Mean(Layer):
    """`mean a b`: the mean of named values of one shape, number by number.

    Keras calls it Average.  For the mean of one value's own numbers see global_avg_pool.
    """

    operands = True
    independent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        total = inputs[0]
        for other in inputs[1:]:
            if other.type.shape != total.type.shape:
                shapes = f"{by_times(total.type.shape[1:])} and {by_times(other.type.shape[1:])}"
                raise ShapeError(
                    f"`mean` takes values of one shape, not {shapes}",
                    "these differ",
                    one_shape(total.type.shape, other.type.shape),
                )
            total = add(scope.builder, total, other)
        return scaled(scope.builder, 1 / len(inputs), total)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        """A sum, made smaller: values with weights of their own are uncorrelated but for means."""
        count = len(inputs)
        mean = sum(x.mean for x in inputs) / count
        cross = mean**2 - sum(x.mean**2 for x in inputs) / count**2
        square = sum(x.square for x in inputs) / count**2 + cross
        shared = [x.shared for x in inputs if x.shared is not None]
        out = Moments(mean, square, sum(shared) / count**2 + cross if shared else None)
        gains = []
        for x in inputs:
            own = x.square / (count**2 * square) if square else 1.0
            each = 1 / count**2
            gains.append(Gain(each, 0.0, each * (1 - own), each * own))
        return Transfer(out, tuple(gains))
