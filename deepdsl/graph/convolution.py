"""The operations of convolution: forward, transposed, and the gradient of the weights.

The three are one trilinear form with one operand left out, so each one's gradients are the other
two.  Weights are [filters, channels / groups, *kernel], as in ONNX and PyTorch; `pads` are all
begins, then all ends.
"""

from __future__ import annotations

from deepdsl.core.record import record
from deepdsl.graph import (
    Builder,
    Emitter,
    Node,
    Op,
    Shape,
    ShapeError,
    Type,
    Value,
    by_times,
    conv_lowering,
)
from deepdsl.graph.conv_lowering import TRANSPOSED, WEIGHTS, Geometry
from deepdsl.graph.reshaping import ReduceSum


@record
class Sliding(Op):
    """Base of the three: how the windows lie."""

    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    groups: int = 1

    def geometry(self, read: Shape, made: Shape, weight: Shape) -> Geometry:
        """`read` is the shape of what the convolution reads, `made` of what it makes."""
        channels, filters = _whole((read[1], made[1]))
        rank = len(self.strides)
        return Geometry(
            channels,
            filters,
            self.groups,
            _whole(read[2:]),
            _whole(made[2:]),
            _whole(weight[2:]),
            self.strides,
            self.dilations,
            self.pads[:rank],
            self.pads[rank:],
        )

    def seen(self, out: Type, *inputs: Type) -> Geometry:
        """The convolution that this is, or goes back through."""
        raise NotImplementedError

    def flops(self, out: Type, *inputs: Type) -> int:
        return self.seen(out, *inputs).work

    def outs(self, ins: Shape, kernel: Shape) -> tuple[int, ...]:
        """How many windows there are along each axis."""
        rank = len(self.strides)
        return tuple(
            (n + b + e - (k - 1) * d - 1) // s + 1
            for n, b, e, k, d, s in zip(
                _whole(ins),
                self.pads[:rank],
                self.pads[rank:],
                _whole(kernel),
                self.dilations,
                self.strides,
                strict=True,
            )
        )


def _whole(shape: Shape) -> tuple[int, ...]:
    sizes = tuple(d for d in shape if isinstance(d, int))
    assert len(sizes) == len(shape), "only the batch may be a symbol"
    return sizes


def _seen(op: Sliding, node: Node) -> Geometry:
    return op.seen(node.outputs[0].type, *(v.type for v in node.inputs))


def _of_features(b: Builder, grad: Value) -> Value:
    """The gradient of a bias: the sum over all but the features."""
    return b.add(ReduceSum((0, *range(2, grad.type.rank))), grad)


@record
class Convolution(Sliding):
    """y[n, o, p] = sum over c and i of W[o, c, i] x[n, c, p stride + i dilation - pad], and the
    bias.
    """

    def infer(self, *inputs: Type) -> Type:
        x, w = inputs[:2]
        channels, inner = _whole((x.shape[1], w.shape[1]))
        if channels != inner * self.groups:
            told = f"{by_times(w.shape)} in {self.groups} groups"
            raise ShapeError(f"weights {told} do not go with {channels} channels")
        return x.with_shape((x.shape[0], w.shape[0], *self.outs(x.shape[2:], w.shape[2:])))

    def seen(self, out: Type, *inputs: Type) -> Geometry:
        return self.geometry(inputs[0].shape, out.shape, inputs[1].shape)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return conv_lowering.convolution(onnx, _seen(self, node), *inputs)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        x, w = inputs[:2]
        g = self.seen(out.type, x.type, w.type)
        return (
            b.add(transposed(g), grad, w),
            b.add(weight_gradient(g), x, grad),
            *(_of_features(b, grad) for _ in inputs[2:]),
        )


@record
class TransposedConvolution(Sliding):
    """x from y: what a convolution that makes y's shape from the sizes `sizes` hands back to what
    it reads; the operands are y, the weights, and perhaps a bias.
    """

    sizes: tuple[int, ...] = ()
    lowering: str = "conv_transpose"

    def infer(self, *inputs: Type) -> Type:
        y, w = inputs[:2]
        if self.outs(self.sizes, w.shape[2:]) != y.shape[2:] or y.shape[1] != w.shape[0]:
            told = f"{by_times(w.shape)} on {by_times(y.shape[1:])}"
            raise ShapeError(f"weights {told} make no {by_times(self.sizes)}")
        (inner,) = _whole(w.shape[1:2])
        return y.with_shape((y.shape[0], inner * self.groups, *self.sizes))

    def seen(self, out: Type, *inputs: Type) -> Geometry:
        return self.geometry(out.shape, inputs[0].shape, inputs[1].shape)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return TRANSPOSED[self.lowering](onnx, _seen(self, node), *inputs)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        y, w = inputs[:2]
        g = self.seen(out.type, y.type, w.type)
        return (
            b.add(convolution(g), grad, w),
            b.add(weight_gradient(g), grad, y),
            *(_of_features(b, grad) for _ in inputs[2:]),
        )


@record
class ConvolutionWeightGradient(Sliding):
    """What the weights of a kernel of the sizes `kernel` get: the operands are what the convolution
    read, and the gradient of what it made.
    """

    kernel: tuple[int, ...] = ()
    lowering: str = "wide"

    def infer(self, *inputs: Type) -> Type:
        x, grad = inputs
        if self.outs(x.shape[2:], self.kernel) != grad.shape[2:]:
            told = f"{by_times(x.shape[1:])} and {by_times(grad.shape[1:])}"
            raise ShapeError(f"{told} have no kernel of {by_times(self.kernel)} between them")
        channels, filters = _whole((x.shape[1], grad.shape[1]))
        return x.with_shape((filters, channels // self.groups, *self.kernel))

    def seen(self, out: Type, *inputs: Type) -> Geometry:
        return self.geometry(inputs[0].shape, inputs[1].shape, out.shape)

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        return WEIGHTS[self.lowering](onnx, _seen(self, node), *inputs)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value, ...]:
        x, y = inputs
        g = self.seen(out.type, x.type, y.type)
        return b.add(transposed(g), y, grad), b.add(convolution(g), x, grad)


def convolution(g: Geometry) -> Convolution:
    return Convolution(g.strides, g.dilations, (*g.begins, *g.ends), g.groups)


def transposed(g: Geometry) -> TransposedConvolution:
    """The way back through a convolution, in the form that suits its shapes."""
    lowering = conv_lowering.input_gradient(g)
    pads = (*g.begins, *g.ends)
    return TransposedConvolution(g.strides, g.dilations, pads, g.groups, g.ins, lowering)


def weight_gradient(g: Geometry) -> ConvolutionWeightGradient:
    """The gradient of a convolution's weights, in the form that suits its shapes."""
    lowering = conv_lowering.weight_gradient(g)
    pads = (*g.begins, *g.ends)
    return ConvolutionWeightGradient(g.strides, g.dilations, pads, g.groups, g.kernel, lowering)
