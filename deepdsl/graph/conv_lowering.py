"""How convolutions and their two gradients are written in ONNX, and which form is taken.

What was measured is in benchmarks/convolutions.md.  The choices look at shapes alone, in
`input_gradient` and `weight_gradient`; nothing else decides.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

from deepdsl.core.record import record
from deepdsl.graph import Emitter

# Above this ratio of filters to channels the columns of the gradient of the output are so much
# larger than those of the input's that ConvTranspose, which adds up the latter on one thread, wins.
MORE_FILTERS = 2


@record
class Geometry:
    """A convolution with all its sizes, seen from the convolution itself: `ins` are the sizes of
    what it reads, `outs` of what it makes; `begins` and `ends` are what is padded.
    """

    channels: int
    filters: int
    groups: int
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def axes(self) -> range:
        """The axes of space of a tensor of images."""
        return range(2, 2 + len(self.kernel))

    @property
    def work(self) -> int:
        """Multiplications and additions for one row; each gradient takes as many."""
        inner = self.channels // self.groups * prod(self.kernel)
        return 2 * self.filters * inner * prod(self.outs)


# Choices ------------------------------------------------------------------------------------------


def input_gradient(g: Geometry) -> str:
    """Without strides it is itself a convolution, with the kernel turned round."""
    flat = all(s == 1 for s in g.strides)
    inside = all(r > n for r, n in zip(g.reach * 2, g.begins + g.ends, strict=True))
    alike = g.filters <= MORE_FILTERS * g.channels
    return "conv" if flat and inside and alike else "conv_transpose"


def weight_gradient(g: Geometry) -> str:
    """A kernel of one place is one product of matrices; any other is a convolution of images by
    gradients.
    """
    return "products" if prod(g.kernel) == 1 else "wide"


# The forward pass ---------------------------------------------------------------------------------


def convolution(onnx: Emitter, g: Geometry, *operands: str) -> str:
    """As it is: onnxruntime's own kernel was the fastest for every shape measured."""
    return onnx.node(
        "Conv",
        *operands,
        kernel_shape=g.kernel,
        strides=g.strides,
        dilations=g.dilations,
        pads=(*g.begins, *g.ends),
        group=g.groups,
    )


# The gradient of what a convolution reads, and the transposed convolution -----------------------


def by_conv_transpose(onnx: Emitter, g: Geometry, *operands: str) -> str:
    """The operator of that name.

    CUDA's takes the same pad on both sides only: the smaller one is given, and what is too much is
    cut off.
    """
    pads = tuple(min(b, e) for b, e in zip(g.begins, g.ends, strict=True))
    starts = tuple(b - p for b, p in zip(g.begins, pads, strict=True))
    natural = tuple(
        (n - 1) * s + r - 2 * p for n, s, r, p in zip(g.outs, g.strides, g.reach, pads, strict=True)
    )
    more = tuple(max(0, a + n - w) for a, n, w in zip(starts, g.ins, natural, strict=True))
    made = onnx.node(
        "ConvTranspose",
        *operands,
        kernel_shape=g.kernel,
        strides=g.strides,
        dilations=g.dilations,
        pads=pads * 2,
        output_padding=more,
        group=g.groups,
    )
    whole = tuple(w + m for w, m in zip(natural, more, strict=True))
    if whole == g.ins:
        return made
    ends = tuple(a + n for a, n in zip(starts, g.ins, strict=True))
    vectors = (onnx.constant(v, "i64") for v in (starts, ends, tuple(g.axes)))
    return onnx.node("Slice", made, *vectors)


def by_conv(onnx: Emitter, g: Geometry, *operands: str) -> str:
    """A convolution with the kernel turned round and its channels and filters exchanged; strides
    are 1.
    """
    grad, weight, *bias = operands
    rank = len(g.kernel)
    back = onnx.constant((-1,) * rank, "i64")
    first = onnx.constant((-1 - 2**31,) * rank, "i64")
    if prod(g.kernel) > 1:
        axes = onnx.constant(tuple(g.axes), "i64")
        weight = onnx.node("Slice", weight, back, first, axes, back)
    channels, filters = g.channels // g.groups, g.filters // g.groups
    if g.groups == 1:
        weight = onnx.node("Transpose", weight, perm=(1, 0, *g.axes))
    elif channels > 1 or filters > 1:
        apart = onnx.constant((g.groups, filters, channels, *g.kernel), "i64")
        weight = onnx.node("Reshape", weight, apart)
        weight = onnx.node("Transpose", weight, perm=(0, 2, 1, *range(3, 3 + rank)))
        weight = onnx.node(
            "Reshape", weight, onnx.constant((g.channels, filters, *g.kernel), "i64")
        )
    begins = tuple(r - 1 - b for r, b in zip(g.reach, g.begins, strict=True))
    ends = tuple(r - 1 - e for r, e in zip(g.reach, g.ends, strict=True))
    return onnx.node(
        "Conv",
        grad,
        weight,
        *bias,
        kernel_shape=g.kernel,
        dilations=g.dilations,
        pads=(*begins, *ends),
        group=g.groups,
    )


# The gradient of the weights --------------------------------------------------------------------


def by_wide_conv(onnx: Emitter, g: Geometry, x: str, grad: str) -> str:
    """One convolution of the images by the gradients, rows in the place of channels.

    dW[o, c, i, j] sums grad[n, o, p] x[n, c, p + (i, j)] over the rows n and the places p.  With
    the channels last, an image of C channels is a wide image of one, in which (j, c) is the
    place j C + c: all k k C numbers of a filter are one convolution of N channels with filters of
    the size of the output, dilated by C.  No columns are stored: the kernel makes them block by
    block in the cache, in runs of k C numbers.  Strides and dilations change their parts.
    """
    rank, inner = len(g.kernel), g.channels // g.groups
    if g.groups > 1:
        apart = onnx.constant((0, g.groups, inner, *g.ins), "i64")
        x = onnx.node("Reshape", x, apart)
        x = onnx.node("Transpose", x, perm=(1, 0, *range(3, 3 + rank), 2))
    elif inner > 1:
        x = onnx.node("Transpose", x, perm=(0, *g.axes, 1))
    wide = (1, -1, *g.ins[:-1], g.ins[-1] * inner)
    x = onnx.node("Reshape", x, onnx.constant(wide, "i64"))
    grad = onnx.node("Transpose", grad, perm=(1, 0, *g.axes))
    steps = (*g.dilations[:-1], g.dilations[-1] if inner == 1 else 1)
    made = onnx.node(
        "Conv",
        x,
        grad,
        dilations=(*g.strides[:-1], g.strides[-1] * inner),
        strides=steps,
        pads=(*g.begins[:-1], g.begins[-1] * inner, *g.ends[:-1], g.ends[-1] * inner),
        group=g.groups,
    )
    places = tuple(
        (n + b + e - (m - 1) * s - 1) // step + 1
        for n, b, e, m, s, step in zip(
            g.ins, g.begins, g.ends, g.outs, g.strides, steps, strict=True
        )
    )
    made = onnx.node("Reshape", made, onnx.constant((g.filters, *places, inner), "i64"))
    if places != g.kernel:
        # Places after the last whole stride, and those that a dilation leaves out.
        left = tuple(d // step for d, step in zip(g.dilations, steps, strict=True))
        ends = tuple((k - 1) * by + 1 for k, by in zip(g.kernel, left, strict=True))
        vectors = ((0,) * rank, ends, tuple(range(1, 1 + rank)), left)
        made = onnx.node("Slice", made, *(onnx.constant(v, "i64") for v in vectors))
    if inner > 1:
        return onnx.node("Transpose", made, perm=(0, 1 + rank, *range(1, 1 + rank)))
    return onnx.node("Reshape", made, onnx.constant((g.filters, 1, *g.kernel), "i64"))


def by_products(onnx: Emitter, g: Geometry, x: str, grad: str) -> str:
    """For each place of the kernel, the product of the gradients and what that place saw of the
    images, summed over the rows.
    """
    places, filters, channels = prod(g.outs), g.filters // g.groups, g.channels // g.groups
    grouped = (g.groups,) if g.groups > 1 else ()

    def rows(value: str, count: int) -> str:
        return onnx.node("Reshape", value, onnx.constant((0, *grouped, count, places), "i64"))

    if any(g.begins + g.ends):
        pads = onnx.constant((0, 0, *g.begins, 0, 0, *g.ends), "i64")
        x = onnx.node("Pad", x, pads)
    around = tuple(n + b + e for n, b, e in zip(g.ins, g.begins, g.ends, strict=True))
    grad = rows(grad, filters)
    last = len(grouped) + 2
    turned = (*range(last - 1), last, last - 1)
    axes, steps = onnx.constant(tuple(g.axes), "i64"), onnx.constant(g.strides, "i64")
    zero = onnx.constant((0,), "i64")
    made = []
    for place in product(*map(range, g.kernel)):
        starts = tuple(i * d for i, d in zip(place, g.dilations, strict=True))
        ends = tuple(a + (n - 1) * s + 1 for a, n, s in zip(starts, g.outs, g.strides, strict=True))
        seen = x
        if (starts, ends) != ((0,) * len(starts), around) or any(s > 1 for s in g.strides):
            bounds = (onnx.constant(v, "i64") for v in (starts, ends))
            seen = onnx.node("Slice", x, *bounds, axes, steps)
        seen = onnx.node("Transpose", rows(seen, channels), perm=turned)
        summed = onnx.node("ReduceSum", onnx.node("MatMul", grad, seen), zero, keepdims=0)
        made.append(onnx.node("Reshape", summed, onnx.constant((g.filters, channels, 1), "i64")))
    joined = made[0] if len(made) == 1 else onnx.node("Concat", *made, axis=2)
    shape = onnx.constant((g.filters, channels, *g.kernel), "i64")
    return onnx.node("Reshape", joined, shape)


Lowering = Callable[..., str]

TRANSPOSED: dict[str, Lowering] = {"conv_transpose": by_conv_transpose, "conv": by_conv}
WEIGHTS: dict[str, Lowering] = {"wide": by_wide_conv, "products": by_products}
