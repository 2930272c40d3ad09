"""The GRU along a sequence as operations, in both its forms: forward, backward, and ONNX's own for
inference.
"""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import Builder, Emitter, Node, Op, Type, Value, per_row
from deepdsl.graph.arithmetic import add, mul, square, sub
from deepdsl.graph.concatenation import Concatenate, Split
from deepdsl.graph.reshaping import ReduceSum
from deepdsl.nn.layers.recurrence import (
    Names,
    Previous,
    first_state,
    for_onnx,
    last_size,
    resized,
    rest,
    slope,
    through_product,
    to_weights,
)
from deepdsl.nn.layers.sequence_shapes import at_each_position


@record
class GruSteps(Op):
    """A GRU that resets after the recurrent product, over the product with the inputs, [T, N, 2
    units] for the gates update and reset and [T, N, units] for the candidate, the recurrent weights
    [units, 3 units], and the candidate's recurrent bias.

    Outputs: the states h, and for the gradient the two gates, the candidate n, and u, the recurrent
    part of the candidate before the reset.
    """

    reverse: bool = False

    def infer(self, *inputs: Type) -> tuple[Type, ...]:
        gates, candidate, _, _ = inputs
        return candidate, gates, candidate, candidate

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        gates, candidate, weight, bias = inputs
        units, dtype = last_size(node.outputs[0].type), node.outputs[0].type.dtype
        sizes = onnx.constant((2 * units, units), "i64")
        halves = onnx.constant((units, units), "i64")
        none = onnx.constant(0.0, dtype, (2 * units,))
        added = onnx.node("Concat", none, bias, axis=0)

        def step(at: Emitter, states: Names, now: Names) -> tuple[Names, Names]:
            (h,) = states
            product = at.node("Gemm", h, weight, added)
            to_gates, u = at.nodes("Split", product, sizes, outputs=2, axis=1)
            both = at.node("Sigmoid", at.node("Add", now[0], to_gates))
            update, reset = at.nodes("Split", both, halves, outputs=2, axis=1)
            n = at.node("Tanh", at.node("Add", now[1], at.node("Mul", reset, u)))
            h = at.node("Add", n, at.node("Mul", update, at.node("Sub", h, n)))
            return [h], [h, both, n, u]

        zero = first_state(onnx, candidate, units, node)
        return onnx.scan(step, (zero,), (gates, candidate), dtype, self.reverse)

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value, ...]:
        """Everything at a position is the state's gradient times what is known beforehand."""
        grad = grads[0]
        assert grad is not None
        h, both, n, u = outs
        units = last_size(h.type)
        update, reset = b.apply(Split(2, (units, units)), both)
        before = b.add(Previous(self.reverse), h)
        to_n = mul(b, rest(b, update), rest(b, square(b, n)))
        to_update = mul(b, sub(b, before, n), slope(b, update))
        to_reset = mul(b, mul(b, to_n, u), slope(b, reset))
        factors = b.add(Concatenate(2), to_update, to_reset, mul(b, to_n, reset))
        back = GruStepsBack(self.reverse)
        products, whole = b.apply(back, grad, factors, update, inputs[2])
        to_gates, to_u = b.apply(Split(2, (2 * units, units)), products)
        to_weight = to_weights(b, before, products)
        return to_gates, mul(b, whole, to_n), to_weight, b.add(ReduceSum((0, 1)), to_u)


@record
class GruStepsBack(Op):
    """The gradient of GruSteps's recurrent products, and the whole gradient of each state."""

    reverse: bool = False

    def infer(self, *inputs: Type) -> tuple[Type, Type]:
        grad, factors, _, _ = inputs
        return factors, grad

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        *sequences, weight = inputs
        units = last_size(node.inputs[0].type)

        def step(at: Emitter, states: Names, now: Names) -> tuple[Names, Names]:
            (h,), (grad, factors, update) = states, now
            h = at.node("Add", h, grad)
            products = at.node("Mul", at.node("Concat", h, h, h, axis=1), factors)
            following = at.node("Gemm", products, weight, at.node("Mul", h, update), transB=1)
            return [following], [products, h]

        zero = first_state(onnx, inputs[0], units, node)
        return onnx.scan(step, (zero,), sequences, node.outputs[0].type.dtype, not self.reverse)


@record
class GruResetSteps(Op):
    """A GRU that resets before the recurrent product, over the product with the inputs, as in
    GruSteps, and the recurrent weights of the gates and of the candidate.

    Outputs: the states h, and for the gradient the two gates and the candidate n.
    """

    reverse: bool = False

    def infer(self, *inputs: Type) -> tuple[Type, ...]:
        gates, candidate, _, _ = inputs
        return candidate, gates, candidate

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        gates, candidate, of_gates, of_candidate = inputs
        units, dtype = last_size(node.outputs[0].type), node.outputs[0].type.dtype
        halves = onnx.constant((units, units), "i64")

        def step(at: Emitter, states: Names, now: Names) -> tuple[Names, Names]:
            (h,) = states
            both = at.node("Sigmoid", at.node("Gemm", h, of_gates, now[0]))
            update, reset = at.nodes("Split", both, halves, outputs=2, axis=1)
            n = at.node("Tanh", at.node("Gemm", at.node("Mul", reset, h), of_candidate, now[1]))
            h = at.node("Add", n, at.node("Mul", update, at.node("Sub", h, n)))
            return [h], [h, both, n]

        zero = first_state(onnx, candidate, units, node)
        return onnx.scan(step, (zero,), (gates, candidate), dtype, self.reverse)

    def vjps(
        self,
        b: Builder,
        grads: tuple[Value | None, ...],
        outs: tuple[Value, ...],
        inputs: tuple[Value, ...],
    ) -> tuple[Value, ...]:
        grad = grads[0]
        assert grad is not None
        h, both, n = outs
        units = last_size(h.type)
        update, reset = b.apply(Split(2, (units, units)), both)
        before = b.add(Previous(self.reverse), h)
        to_n = mul(b, rest(b, update), rest(b, square(b, n)))
        to_update = mul(b, sub(b, before, n), slope(b, update))
        to_reset = mul(b, before, slope(b, reset))
        back = GruResetStepsBack(self.reverse)
        known = (to_n, to_update, to_reset, update, reset)
        to_gates, to_candidate = b.apply(back, grad, *known, *inputs[2:])
        kept = mul(b, reset, before)
        weights = to_weights(b, before, to_gates), to_weights(b, kept, to_candidate)
        return to_gates, to_candidate, *weights


@record
class GruResetStepsBack(Op):
    """The gradients of GruResetSteps's gates and candidate before their activations."""

    reverse: bool = False

    def infer(self, *inputs: Type) -> tuple[Type, Type]:
        grad = inputs[0]
        return resized(grad, 2 * last_size(grad)), grad

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> list[str]:
        *sequences, of_gates, of_candidate = inputs
        units = last_size(node.inputs[0].type)

        def step(at: Emitter, states: Names, now: Names) -> tuple[Names, Names]:
            (h,), (grad, to_n, to_update, to_reset, update, reset) = states, now
            h = at.node("Add", h, grad)
            n = at.node("Mul", h, to_n)
            kept = at.node("Gemm", n, of_candidate, transB=1)
            gates = (at.node("Mul", h, to_update), at.node("Mul", kept, to_reset))
            both = at.node("Concat", *gates, axis=1)
            direct = at.node("Add", at.node("Mul", h, update), at.node("Mul", kept, reset))
            return [at.node("Gemm", both, of_gates, direct, transB=1)], [both, n]

        zero = first_state(onnx, inputs[0], units, node)
        return onnx.scan(step, (zero,), sequences, node.outputs[0].type.dtype, not self.reverse)


@record
class GruOperator(Op):
    """The states of a GRU by ONNX's own operator, for inference: inputs are x [T, N, features], the
    weights, the recurrent weights, the bias, and the candidate's recurrent bias.
    """

    reset_after: bool = True
    reverse: bool = False

    def infer(self, *inputs: Type) -> Type:
        return resized(inputs[0], last_size(inputs[2]) // 3)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        x, weight, recurrent, bias, recurrent_bias = inputs
        units = last_size(node.outputs[0].type)
        w, r = (for_onnx(onnx, v, units, None) for v in (weight, recurrent))
        none = onnx.constant(0.0, node.outputs[0].type.dtype, (2 * units,))
        joined = onnx.node("Concat", bias, none, recurrent_bias, axis=0)
        both = onnx.node("Unsqueeze", joined, onnx.constant((0,), "i64"))
        made = onnx.node(
            "GRU",
            x,
            w,
            r,
            both,
            hidden_size=units,
            direction="reverse" if self.reverse else "forward",
            linear_before_reset=int(self.reset_after),
        )
        return onnx.node("Squeeze", made, onnx.constant((1,), "i64"))

    def flops(self, out: Type, *inputs: Type) -> int:
        return 2 * per_row(out.shape[0]) * sum(w.count or 0 for w in inputs[1:3])

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        """By way of the steps that training takes."""
        x, weight, recurrent, bias, recurrent_bias = inputs
        units = last_size(out.type)
        z = at_each_position(b, x, weight, bias)
        gates, candidate = b.apply(Split(2, (2 * units, units)), z)
        op: Op = GruSteps(self.reverse) if self.reset_after else GruResetSteps(self.reverse)
        sizes = Split(1, (2 * units, units))
        weights = (recurrent, recurrent_bias) if self.reset_after else b.apply(sizes, recurrent)
        if not self.reset_after:
            candidate = add(b, candidate, recurrent_bias)
        operands = (gates, candidate, *weights)
        outs = b.apply(op, *operands)
        nothing: tuple[Value | None, ...] = (None,) * (len(outs) - 1)
        to_gates, to_candidate, *others = op.vjps(b, (grad, *nothing), outs, operands)
        assert to_gates is not None
        assert to_candidate is not None
        first, second = others
        assert first is not None
        assert second is not None
        to_z = b.add(Concatenate(2), to_gates, to_candidate)
        to_x, to_weight, to_bias = through_product(b, to_z, x, weight)
        if self.reset_after:
            return to_x, to_weight, first, to_bias, second
        to_recurrent = b.add(Concatenate(1), first, second)
        # Without a product before the reset there is one bias: this one adds to the candidate's.
        return to_x, to_weight, to_recurrent, to_bias, b.add(ReduceSum((0, 1)), to_candidate)
