"""The LSTM along a sequence as operations: forward, backward, and ONNX's own for inference."""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value, per_row
from deepdsl.graph.arithmetic import mul, square
from deepdsl.graph.concatenation import Concatenate, Split
from deepdsl.nn.layers.activations.base import Tanh
from deepdsl.nn.layers.recurrence import (
    Names,
    Previous,
    first_state,
    for_onnx,
    in_order,
    last_size,
    resized,
    rest,
    slope,
    through_product,
    to_weights,
)
from deepdsl.nn.layers.sequence_shapes import at_each_position


@record
class LstmSteps(Op):
    """An LSTM over z, the product with the inputs and the bias [T, N, 4 units], and the recurrent
    weights [units, 4 units]; gates in the order input, forget, candidate, output.

    Outputs: the states h, and for the gradient the gates after their activations, input and forget
    in one, candidate, output, and the cells c.
    """

    reverse: bool = False

    def infer(self, *inputs: Type) -> tuple[Type, ...]:
        z, weight = inputs
        units = last_size(weight) // 4
        one = resized(z, units)
        return one, resized(z, 2 * units), one, one, one

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        z, weight = inputs
        units = last_size(node.outputs[0].type)
        sizes = onnx.constant((2 * units, units, units), "i64")
        halves = onnx.constant((units, units), "i64")

        def step(at: Emitter, states: Names, now: Names) -> tuple[Names, Names]:
            h, c = states
            gates = at.node("Gemm", h, weight, *now)
            both, candidate, output = at.nodes("Split", gates, sizes, outputs=3, axis=1)
            both, output = at.node("Sigmoid", both), at.node("Sigmoid", output)
            candidate = at.node("Tanh", candidate)
            entering, keeping = at.nodes("Split", both, halves, outputs=2, axis=1)
            c = at.node("Add", at.node("Mul", keeping, c), at.node("Mul", entering, candidate))
            h = at.node("Mul", output, at.node("Tanh", c))
            return [h, c], [h, both, candidate, output, c]

        zero = first_state(onnx, z, units, node)
        return onnx.scan(step, (zero, zero), (z,), node.outputs[0].type.dtype, self.reverse)

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value, Value]:
        """Hochreiter & Schmidhuber 1997 with the exact gradient through time (Graves &
        Schmidhuber 2005): with dc = dh o (1 - tanh(c)^2) + f' dc', where ' is the next position,
        each gate's is dc or dh times a factor that is known for all positions.
        """
        grad = grads[0]
        assert grad is not None
        h, both, candidate, output, c = outs
        units = last_size(h.type)
        entering, keeping = b.apply(Split(2, (units, units)), both)
        squashed = b.add(Tanh(), c)
        # What reaches a gate before its activation, for a gradient of 1 at the cell or the state.
        factors = b.add(
            Concatenate(2),
            mul(b, candidate, slope(b, entering)),
            mul(b, b.add(Previous(self.reverse), c), slope(b, keeping)),
            mul(b, entering, rest(b, square(b, candidate))),
            mul(b, squashed, slope(b, output)),
        )
        to_cell = mul(b, output, rest(b, square(b, squashed)))
        back = LstmStepsBack(self.reverse)
        to_z = b.add(back, grad, factors, to_cell, keeping, inputs[1])
        return to_z, to_weights(b, b.add(Previous(self.reverse), h), to_z)


@record
class LstmStepsBack(Op):
    """The gradient of LstmSteps's z, from the last position to the first."""

    reverse: bool = False

    def infer(self, *inputs: Type) -> Type:
        return inputs[1]

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        *sequences, weight = inputs
        units = last_size(node.inputs[0].type)

        def step(at: Emitter, states: Names, now: Names) -> tuple[Names, Names]:
            (h, c), (grad, factors, to_cell, keeping) = states, now
            h = at.node("Add", h, grad)
            c = at.node("Add", at.node("Mul", h, to_cell), c)
            gates = at.node("Mul", at.node("Concat", c, c, c, h, axis=1), factors)
            following = [at.node("Gemm", gates, weight, transB=1), at.node("Mul", c, keeping)]
            return following, [gates]

        zero = first_state(onnx, inputs[0], units, node)
        dtype = node.outputs[0].type.dtype
        return onnx.scan(step, (zero, zero), sequences, dtype, not self.reverse)


@record
class LstmOperator(Op):
    """The states of an LSTM by ONNX's own operator, for inference: inputs are x [T, N, features],
    the weights, the recurrent weights, and the bias.
    """

    reverse: bool = False

    def infer(self, *inputs: Type) -> Type:
        x, _, recurrent, _ = inputs
        return resized(x, last_size(recurrent) // 4)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        x, weight, recurrent, bias = inputs
        units = last_size(node.outputs[0].type)
        # ONNX has the gates in the order input, output, forget, candidate.
        w, r = (for_onnx(onnx, v, units, (0, 3, 1, 2)) for v in (weight, recurrent))
        none = onnx.constant(0.0, node.outputs[0].type.dtype, (4 * units,))
        joined = onnx.node("Concat", in_order(onnx, bias, units, (0, 3, 1, 2), 0), none, axis=0)
        first = onnx.constant((0,), "i64")
        both = onnx.node("Unsqueeze", joined, first)
        direction = "reverse" if self.reverse else "forward"
        made = onnx.node("LSTM", x, w, r, both, hidden_size=units, direction=direction)
        return onnx.node("Squeeze", made, onnx.constant((1,), "i64"))

    def flops(self, out: Type, *inputs: Type) -> int:
        return 2 * per_row(out.shape[0]) * sum(w.count or 0 for w in inputs[1:3])

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        """By way of the steps that training takes."""
        x, weight, recurrent, bias = inputs
        z = at_each_position(b, x, weight, bias)
        outs = b.apply(LstmSteps(self.reverse), z, recurrent)
        nothing: tuple[Value | None, ...] = (None,) * (len(outs) - 1)
        to_z, to_recurrent = LstmSteps(self.reverse).vjps(b, (grad, *nothing), outs, (z, recurrent))
        to_x, to_weight, to_bias = through_product(b, to_z, x, weight)
        return to_x, to_weight, to_recurrent, to_bias
