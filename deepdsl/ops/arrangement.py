"""Layers that rearrange or join tensors: flatten, reshape, concat, add."""

from __future__ import annotations

from math import prod

from deepdsl.ir import ShapeError, Value, broadcast, by_times
from deepdsl.ops.arithmetic import add
from deepdsl.ops.layer import Layer, Scope
from deepdsl.ops.shaping import Concatenate, Reshape
from deepdsl.record import record
from deepdsl.registry import Integer, ListOf, argument


def _sizes(value: Value) -> tuple[int, ...]:
    return tuple(d for d in value.type.shape[1:] if isinstance(d, int))


@record
class Flatten(Layer):
    """`flatten`: all features of a row as one vector, in order."""

    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        if x.type.rank == 2:
            return x
        return scope.builder.add(Reshape((x.type.shape[0], prod(_sizes(x)))), x)


@record
class ReshapeTo(Layer, name="reshape"):
    """`reshape [28 28]`: the same features of a row, in order, in another shape."""

    shape: tuple[int, ...] = argument(
        ListOf(Integer(minimum=1)), "the new shape, without the batch"
    )

    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        have, want = prod(_sizes(x)), prod(self.shape)
        if have != want:
            raise ShapeError(
                f"`reshape` cannot make {by_times(self.shape)} = {want}",
                f"it was given {by_times(_sizes(x))}"
                + (f" = {have}" if len(_sizes(x)) > 1 else ""),
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


@record
class AddLayer(Layer, name="add"):
    """`add a b`, or `a + b`: the sum of named values of the same shape."""

    operands = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        total = inputs[0]
        for other in inputs[1:]:
            if other.type.shape != total.type.shape:
                try:
                    broadcast(total.type.shape, other.type.shape)
                    hint = ""
                except ShapeError:
                    hint = "bring both to one shape first, for instance with `dense`"
                raise ShapeError(
                    f"`+` adds values of one shape, not {by_times(total.type.shape[1:])}"
                    f" and {by_times(other.type.shape[1:])}",
                    "these differ",
                    hint or "sizes of 1 are not repeated silently: use `reshape` or `dense`",
                )
            total = add(scope.builder, total, other)
        return total
