"""Images made larger, and the gradient of what makes them smaller by means."""

from __future__ import annotations

from math import prod

from deepdsl.core.record import record
from deepdsl.core.registry import OneOf, argument, option
from deepdsl.graph import Builder, Emitter, Node, Op, Param, Type, Value
from deepdsl.graph.windows import Windows, WindowSize, for_each_axis, shown, space
from deepdsl.nn.layers.image_reshaping import padded_apart
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer


@record
class Upsample(Layer):
    """`upsample 2 method=nearest`: each axis after the channels becomes this many times as long.

    `nearest` repeats each number; `linear` draws a straight line between neighbours (bilinear for
    images).  The rows of pixels are taken as areas, so that the first and the last new pixel lie
    half a new pixel within the border: PyTorch's `align_corners=False` and Keras's UpSampling2D.
    `upsample 2x1` doubles the height alone.  `nearest` followed by a conv is the usual way up in
    decoders and generators; it leaves no checkerboard, as conv_transpose may.
    """

    factor: tuple[int, ...] = argument(WindowSize(), "how many times as long each axis becomes")
    method: str = option(OneOf(("nearest", "linear")), "how the new numbers are made", "nearest")

    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        sizes = space(self.name, x.type, shown(self.factor))
        factors = for_each_axis(self.name, f"{self.name} ", self.factor, sizes)
        return scope.builder.add(Enlarge(factors, self.method), x)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        """Repeated numbers have the moments that they had; nothing is said of means of two."""
        if self.method != "nearest":
            return None
        times = prod(self.factor) if len(self.factor) > 1 else self.factor[0] ** (types[0].rank - 2)
        return Transfer(inputs[0], (Gain(times, 0.0, 0.0, times),))


@record
class Enlarge(Op):
    """Each axis after the channels this many times as long; `linear` or `nearest`."""

    factors: tuple[int, ...]
    method: str

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        sizes = (d * f for d, f in zip(x.row[1:], self.factors, strict=True))
        return x.with_shape((*x.shape[:2], *sizes))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        x = node.inputs[0].type
        sizes, factors = x.row[1:], self.factors
        if len(sizes) == 1:  # a line is an image of height 1: onnxruntime has no kernel for lines
            given = onnx.node("Reshape", inputs[0], onnx.constant((0, 0, 1, -1), "i64"))
            made = _resize(onnx, given, (1, *factors), self.method)
            return onnx.node("Reshape", made, onnx.constant((0, 0, -1), "i64"))
        return _resize(onnx, inputs[0], factors, self.method)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        grad = padded_apart(b, grad)
        return (b.add(EnlargeTransposed(self.factors, self.method), grad),)


def _resize(onnx: Emitter, x: str, factors: tuple[int, ...], method: str) -> str:
    scales = onnx.constant((1.0, 1.0, *map(float, factors)), "f32")
    if method == "linear":
        return onnx.node(
            "Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel"
        )
    return onnx.node(
        "Resize",
        x,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


@record
class EnlargeTransposed(Op):
    """What `Enlarge` does, transposed: each number gets the sum of what was made of it."""

    factors: tuple[int, ...]
    method: str

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        sizes = (d // f for d, f in zip(x.row[1:], self.factors, strict=True))
        return x.with_shape((*x.shape[:2], *sizes))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        x, out = node.inputs[0].type, node.outputs[0].type
        if self.method == "nearest":
            mean = onnx.node(
                "AveragePool", inputs[0], kernel_shape=self.factors, strides=self.factors
            )
            return onnx.node("Mul", mean, onnx.constant(float(prod(self.factors)), x.dtype))
        made = inputs[0]
        sizes = list(x.row[1:])
        for axis in range(len(sizes)):
            if self.factors[axis] == 1:
                continue
            weights = line_weights(sizes[axis] // self.factors[axis], self.factors[axis])
            apart = (-1, sizes[axis], prod(sizes[axis + 1 :]))
            made = onnx.node("Reshape", made, onnx.constant(apart, "i64"))
            made = onnx.node("MatMul", onnx.constant(weights, x.dtype), made)
            sizes[axis] //= self.factors[axis]
        shape = tuple(-1 if isinstance(d, str) else d for d in out.shape)
        return onnx.node("Reshape", made, onnx.constant(shape, "i64"))


def line_weights(size: int, factor: int) -> tuple[tuple[float, ...], ...]:
    """By old pixel and new pixel: the share of the old one in the new one, on a line."""
    shares = [[0.0] * (size * factor) for _ in range(size)]
    for new in range(size * factor):
        at = min(max((new + 0.5) / factor - 0.5, 0.0), size - 1.0)
        low = min(int(at), size - 1)
        shares[low][new] += 1 - (at - low)
        if at > low:
            shares[low + 1][new] += at - low
    return tuple(map(tuple, shares))


@record
class SpreadOver(Op):
    """Zeros in an image of `sizes`, to which each window's number is added at each of its places:
    the transpose of a sum over windows.
    """

    windows: Windows
    sizes: tuple[int, ...]

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        return x.with_shape((*x.shape[:2], *self.sizes))

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        over, dtype = self.windows, node.outputs[0].type.dtype
        channels = node.inputs[0].type.shape[1]
        tiled = all(
            k * n == size for k, n, size in zip(over.sizes, over.outs, self.sizes, strict=True)
        )
        tiled = tiled and over.strides == over.sizes and not over.padded
        if tiled and len(over.sizes) > 1:
            return _resize(onnx, inputs[0], over.sizes, "nearest")
        # As images of one channel: a grouped kernel is several times slower.
        alone = onnx.node("Reshape", inputs[0], onnx.constant((-1, 1, *over.outs), "i64"))
        ones = onnx.constant(1.0, dtype, (1, 1, *over.sizes))
        made = onnx.node("ConvTranspose", alone, ones, strides=over.strides)
        whole = [
            (n - 1) * s + k for n, s, k in zip(over.outs, over.strides, over.sizes, strict=True)
        ]
        ends = [min(w, b + n) for w, b, n in zip(whole, over.begins, self.sizes, strict=True)]
        axes = tuple(range(2, 2 + len(whole)))
        if any(over.begins) or ends != whole:
            starts = onnx.constant(over.begins, "i64")
            made = onnx.node(
                "Slice", made, starts, onnx.constant(ends, "i64"), onnx.constant(axes, "i64")
            )
        missing = [n + b - e for n, b, e in zip(self.sizes, over.begins, ends, strict=True)]
        if any(missing):
            pads = (0,) * (4 + len(whole)) + tuple(missing)
            made = onnx.node("Pad", made, onnx.constant(pads, "i64"))
        return onnx.node("Reshape", made, onnx.constant((-1, channels, *self.sizes), "i64"))
