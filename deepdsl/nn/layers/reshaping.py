"""Layers that rearrange or join tensors: flatten, reshape, concat, add."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from deepdsl.core.record import record
from deepdsl.core.registry import Integer, ListOf, argument
from deepdsl.graph import Param, Shape, ShapeError, Type, Value, broadcast, by_times
from deepdsl.graph.arithmetic import add
from deepdsl.graph.concatenation import Concatenate
from deepdsl.graph.reshaping import Reshape
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer


def _unchanged(
    self: Layer, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
) -> Transfer:
    """Elements that only change their places."""
    return Transfer(inputs[0], (Gain.every(1.0),))


@record
class Flatten(Layer):
    """`flatten`: all features of a row as one vector, in order."""

    transparent = True
    signal = _unchanged

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if x.type.rank == 2:
            return x
        return scope.builder.add(Reshape((x.type.shape[0], prod(x.type.row))), x)


@record
class ReshapeTo(Layer, name="reshape"):
    """`reshape [28 28]`: the same features of a row, in order, in another shape."""

    shape: tuple[int, ...] = argument(
        ListOf(Integer(minimum=1)), "the new shape, without the batch"
    )

    transparent = True
    signal = _unchanged

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        have, want = prod(x.type.row), prod(self.shape)
        if have != want:
            raise ShapeError(
                f"`reshape` cannot make {by_times(self.shape)} = {want}",
                f"it was given {by_times(x.type.row)}"
                + (f" = {have}" if len(x.type.row) > 1 else ""),
                "the counts must be equal: a reshape neither drops nor repeats a number",
            )
        return scope.builder.add(Reshape((x.type.shape[0], *self.shape)), x)


@record
class Concat(Layer):
    """`concat a b`: named values one after another along the features (the channels of images)."""

    operands = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        first = inputs[0].type.shape
        for other in inputs[1:]:
            if len(other.type.shape) != len(first) or other.type.shape[2:] != first[2:]:
                shapes = f"{by_times(first[1:])} and {by_times(other.type.shape[1:])}"
                raise ShapeError(
                    f"`concat` cannot join {shapes}",
                    "all but the first size must be equal",
                )
        return scope.builder.add(Concatenate(1), *inputs)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        sizes = [float(d) for t in types if isinstance(d := t.shape[1], int)]
        shares = [size / sum(sizes) for size in sizes]

        def mean(numbers: Iterable[float]) -> float:
            return sum(share * n for share, n in zip(shares, numbers, strict=True))

        shared = [x.shared for x in inputs if x.shared is not None]
        joined = Moments(
            mean(x.mean for x in inputs),
            mean(x.square for x in inputs),
            mean(shared) if shared else None,
        )
        total = sum(sizes)
        gains = []
        for x, size in zip(inputs, sizes, strict=True):
            part = x.square / joined.square if joined.square else 1.0
            more, own = (part - 1) / total, part * size / total
            gains.append(Gain(1.0 - more, more, 1.0 - own, own))
        return Transfer(joined, tuple(gains))


def one_shape(x: Shape, y: Shape) -> str:
    """How two values that are to be added, or the like, are brought to one shape."""
    if len(x) == len(y) > 2 and x[2:] == y[2:]:
        return f"`conv {x[1]} 1` makes {x[1]} channels of the other"
    if len(x) == len(y) > 2:
        return "give convolutions and pools the same strides and pads, for instance `pad=same`"
    try:
        broadcast(x, y)
    except ShapeError:
        return "bring both to one shape first, for instance with `dense`"
    return "sizes of 1 are not repeated silently: use `reshape` or `dense`"


@record
class AddLayer(Layer, name="add"):
    """`add a b`, or `a + b`: the sum of named values of the same shape."""

    operands = True
    independent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        total = inputs[0]
        for other in inputs[1:]:
            if other.type.shape != total.type.shape:
                hint = one_shape(total.type.shape, other.type.shape)
                raise ShapeError(
                    f"`+` adds values of one shape, not {by_times(total.type.shape[1:])}"
                    f" and {by_times(other.type.shape[1:])}",
                    "these differ",
                    hint,
                )
            total = add(scope.builder, total, other)
        return total

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        # Branches with weights of their own are uncorrelated but for their means.
        mean = sum(x.mean for x in inputs)
        cross = mean**2 - sum(x.mean**2 for x in inputs)
        shared = [x.shared for x in inputs if x.shared is not None]
        total = Moments(
            mean, sum(x.square for x in inputs) + cross, sum(shared) + cross if shared else None
        )
        own = [x.square / total.square if total.square else 1.0 for x in inputs]
        return Transfer(total, tuple(Gain(1.0, 0.0, 1.0 - part, part) for part in own))
