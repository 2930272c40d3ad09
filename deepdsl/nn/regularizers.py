"""What keeps weights small in training: penalties on them, and a limit on their norm."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Value

# Layers are made with this module: it imports the operations when a step is made, not before.


@record
class Regularizer:
    """l1 * sum |w| + l2 * sum w^2 beside the loss, and norms of at most max_norm after each step.

    The l2 penalty has no factor 1/2, as in Keras: its gradient is 2 l2 w.  `axes` are those of the
    weights that flow into one unit.
    """

    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None
    axes: tuple[int, ...] = (0,)

    def gradient(self, b: Builder, weight: Value, grad: Value) -> Value:
        """The gradient of the loss, with those of the penalties added."""
        from deepdsl.graph.arithmetic import Sign, add, scaled

        if self.l1:
            grad = add(b, grad, scaled(b, self.l1, b.add(Sign(), weight)))
        if self.l2:
            grad = add(b, grad, scaled(b, 2 * self.l2, weight))
        return grad

    def limited(self, b: Builder, weight: Value) -> Value:
        """The weights after a step, with the norms of what flows into each unit kept in bounds."""
        from deepdsl.graph.arithmetic import Div, Maximum, Sqrt, mul
        from deepdsl.graph.reductions import SumOfSquares

        if self.max_norm is None:
            return weight
        norm = b.add(Sqrt(), b.add(SumOfSquares(self.axes, keepdims=True), weight))
        # r / max(norm, r) is 1 for all norms up to r, that of 0 among them.
        limit = b.like(self.max_norm, weight)
        return mul(b, weight, b.add(Div(), limit, b.add(Maximum(), norm, limit)))


def regularizer(
    l1: float, l2: float, max_norm: float | None, axes: tuple[int, ...] = (0,)
) -> Regularizer | None:
    """What three options of a layer ask for; None where they ask for nothing."""
    return Regularizer(l1, l2, max_norm, axes) if l1 or l2 or max_norm is not None else None
