"""The layers `conv` and `conv_transpose`, in one, two and three dimensions."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Boolean, Either, Entry, Integer, Number, OneOf, argument, option
from deepdsl.graph import Param, ShapeError, Type, Value, by_times
from deepdsl.graph.conv_lowering import Geometry
from deepdsl.graph.convolution import Convolution, transposed
from deepdsl.graph.windows import (
    PAD,
    Pad,
    Windows,
    WindowSize,
    extent,
    for_each_axis,
    shown,
    space,
    windows,
)
from deepdsl.nn.initializers import Initializer, Orthogonal, Zeros
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer, width
from deepdsl.nn.regularizers import Regularizer, regularizer

DEPTHWISE = "depthwise"
GROUPS = Either((Integer(minimum=1, maximum=2**24), OneOf((DEPTHWISE,))))


@record
class Convolving(Layer, abstract=True):
    """What both layers have in common."""

    filters: int = argument(Integer(minimum=1, maximum=2**20), "number of channels it makes")
    size: tuple[int, ...] = argument(WindowSize(), "the size of its kernel")
    stride: tuple[int, ...] = option(WindowSize(), "how far the windows lie apart", (1,))
    pad: Pad = option(PAD, "what is put around: so many zeros on both sides of each axis", "valid")
    dilation: tuple[int, ...] = option(
        WindowSize(), "how far the places of the kernel lie apart", (1,)
    )
    groups: int | str = option(GROUPS, "into how many parts the channels are divided", 1)
    init: Initializer | None = option(Entry("initializer"), "how the weights begin", None)
    bias: bool | Initializer = option(
        Either((Boolean(), Entry("initializer"))), "whether there is a bias, or how it begins", True
    )
    l1: float = option(Number(minimum=0), "penalty on the sum of |W|", 0.0)
    l2: float = option(Number(minimum=0), "penalty on the sum of W^2", 0.0)
    max_norm: float | None = option(Number(above=0), "largest norm of a filter's weights", None)

    def _called(self) -> str:
        """The layer with its filters, as messages write it before a size."""
        return f"{self.name} {self.filters}"

    def _space(self, x: Type) -> tuple[int, ...]:
        """The axes of space; an image without channels is told apart from a sequence."""
        sizes = x.row
        if len(sizes) == len(self.size) > 1:
            raise ShapeError(
                f"`{self.name}` takes channels and {len(sizes)} axes of space",
                f"it was given {by_times(sizes)}",
                f"with one channel: `reshape [1 {' '.join(map(str, sizes))}] |"
                f" {self._called()} {shown(self.size)}`",
            )
        return space(self._called(), x, shown(self.size))

    def parts(self, channels: int) -> int:
        """The number of groups, which divides the channels and the filters."""
        groups = channels if self.groups == DEPTHWISE else self.groups
        assert isinstance(groups, int)
        for count, what in ((channels, "channels"), (self.filters, "filters")):
            if count % groups:
                known = [n for n in range(2, groups) if channels % n == self.filters % n == 0]
                better = f"`groups={known[-1]}` divides both" if known else "leave `groups` out"
                if self.groups == DEPTHWISE:
                    more = -(-self.filters // channels) * channels
                    better = f"a whole number for each channel: `{self.name} {more} …`"
                raise ShapeError(
                    f"`groups={self.groups}` needs {what} in {groups} equal parts",
                    f"here there are {channels} channels and {self.filters} filters",
                    better,
                )
        return groups

    def _weights(
        self, scope: Scope, shape: tuple[int, ...], fans: tuple[int, int], x: Type, filter_axes: Any
    ) -> list[Value]:
        dtype: Any = x.dtype
        rule: Regularizer | None = regularizer(self.l1, self.l2, self.max_norm, filter_axes)
        weight = scope.param("weight", shape, self.init, "weight", fans, dtype, rule)
        if self.bias is False:
            return [weight]
        start = self.bias if isinstance(self.bias, Initializer) else Zeros()
        return [weight, scope.param("bias", (self.filters,), start, "bias", fans, dtype)]

    def _signal(
        self, x: Moments, given: Type, params: tuple[Param, ...], made: tuple[int, ...], pairs: int
    ) -> Transfer | None:
        """As of a dense layer, with the numbers that are really joined.

        `pairs` counts, over all places of the input and the output, those that a place of the
        kernel joins: at a border there are fewer, since zeros that are padded carry nothing.
        """
        channels, *ins = (d for d in given.shape[1:] if isinstance(d, int))
        weight = params[0]
        groups = self.parts(channels)
        fan_in = channels / groups * pairs / prod(made)
        fan_out = self.filters / groups * pairs / prod(ins)
        fans = weight.fans or (1, 1)
        if isinstance(weight.init, Orthogonal):
            # Its rows are filters, whole; the fans count each place of the kernel for both sides.
            shape = tuple(d for d in weight.type.shape if isinstance(d, int))
            fans = (shape[0], prod(shape[1:]))
        spread = weight.init.variance(fans) if weight.init is not None else None
        if not spread or weight.init.center:
            return None
        start = params[1].init if len(params) > 1 else Zeros()
        bias = start.second_moment(fans)
        if bias is None:
            return None
        out = x.grown(start.center, fan_in * spread, bias)
        own = fan_in * spread * x.square / out.square if out.square else 1.0
        factor, count = fan_out * spread, width(given)
        gain = Gain(factor * (1 - 1 / count), factor / count, factor * (1 - own), factor * own)
        return Transfer(out, (gain,))


@record
class Conv(Convolving):
    """`conv 64 3x3 pad=same`: 64 filters of 3 by 3 slide over the input; each makes one channel.

    y[o, p] = b[o] + sum over c and i of W[o, c, i] x[c, p stride + i dilation - pad]: a
    cross-correlation, as everywhere in the field.  The input is [channels length] (1d: sequences),
    [channels height width] (2d) or [channels depth height width] (3d); how many axes there are is
    read off the input, and a single number is for all of them: `conv 16 3` on an image has a
    kernel of 3 x 3.  W has the shape [filters, channels / groups, *size].

    `pad=valid` (the default, as in Keras and PyTorch) puts nothing around: the output has floor((n
    - reach) / stride) + 1 places, where reach = (size - 1) dilation + 1.  `pad=same` puts zeros
    around so that there are ceil(n / stride), as much on both sides where that is possible: `conv
    64 3x3 stride=2 pad=same` on 32 x 32 pads 1 and 1, as PyTorch's networks do, where Keras pads 0
    and 1.  Where it is not possible (an even size without a stride) the end of the axis gets one
    more, as in Keras and ONNX's SAME_UPPER.  `pad=1` or `pad=[1 0]` is put on both sides;
    `dnnc inspect -v` prints what it comes to.

    `groups=4` divides channels and filters into 4 parts that do not see each other;
    `groups=depthwise` gives each channel a part of its own: with 64 channels, `conv 64 3x3
    groups=depthwise | conv 128 1x1` is a separable convolution.

    Without `init=` the initializer follows the activation after, as for `dense`.  fan_in is
    channels / groups times the places of the kernel, fan_out filters / groups times them (Keras
    and PyTorch leave the groups out of fan_out).  l1, l2 and max_norm are those of `dense`;
    max_norm is for the weights of each filter.
    """

    source = "LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition"

    def windows(self, x: Type) -> Windows:
        """Where the windows lie on an input, pads and number of places included."""
        self._space(x)
        return windows(self._called(), x, self.size, self.stride, self.pad, self.dilation)

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        w = self.windows(x.type)
        channels = x.type.shape[1]
        assert isinstance(channels, int)
        groups = self.parts(channels)
        inner, area = channels // groups, prod(w.sizes)
        fans = (inner * area, self.filters // groups * area)
        shape = (self.filters, inner, *w.sizes)
        weights = self._weights(scope, shape, fans, x.type, tuple(range(1, len(shape))))
        op = Convolution(w.strides, w.dilations, w.pads, groups)
        return scope.builder.add(op, x, *weights)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        w = self.windows(types[0])
        ins = types[0].row[1:]
        return self._signal(inputs[0], types[0], params, w.outs, joined(w, ins, w.outs))


@record
class ConvTranspose(Convolving):
    """`conv_transpose 64 2x2 stride=2`: a convolution turned round: each place of the input puts 64
    weighted kernels into the output, `stride` apart, where they add up.

    It is to its input what the gradient of a `conv` of the same options is, so it takes the
    shapes of that `conv` back: with `pad=valid` n becomes (n - 1) stride + reach, with a number
    (n - 1) stride + reach - 2 pad, where reach = (size - 1) dilation + 1, and with `pad=same` n
    stride.  `output_pad=1` adds to the end of an axis where the stride leaves it open which size
    the `conv` had.  W has the shape [channels, filters / groups, *size], as in ONNX and PyTorch.

    A size that is a multiple of the stride covers the output evenly; any other makes a pattern of
    squares (Odena, Dumoulin & Olah 2016).  fan_in counts the inputs that meet in one place of the
    output: channels / groups times the places of the kernel, divided by the strides.
    """

    output_pad: tuple[int, ...] = option(
        WindowSize(minimum=0), "places more at the end of each axis", (0,)
    )

    source = "Zeiler et al. 2010, Deconvolutional networks"

    def turned(self, x: Type) -> tuple[Windows, tuple[int, ...]]:
        """The windows of the convolution that this one turns round, whose `outs` are the input
        here, and the sizes that it makes.
        """
        sizes, name = self._space(x), self._called()
        kernel = for_each_axis(name, f"{name} ", self.size, sizes)
        strides = for_each_axis(name, "stride=", self.stride, sizes)
        dilations = for_each_axis(name, "dilation=", self.dilation, sizes)
        more = for_each_axis(name, "output_pad=", self.output_pad, sizes)
        if any(m >= s for m, s in zip(more, strides, strict=True) if m):
            raise ShapeError(
                f"`output_pad={shown(more)}` is not smaller than the stride",
                f"the stride is {shown(strides)}",
                "a convolution leaves less than a stride unseen; take a larger kernel instead",
            )
        if self.pad == "same":
            if any(more):
                raise ShapeError(
                    "`pad=same` has one size: the input's times the stride",
                    f"`output_pad={shown(more)}` would change it",
                    "leave `output_pad` out, or give `pad` as a number",
                )
            made = tuple(n * s for n, s in zip(sizes, strides, strict=True))
        else:
            pads = (0,) if isinstance(self.pad, str) else self.pad
            around = for_each_axis(name, "pad=", pads, sizes)
            made = tuple(
                (n - 1) * s + extent(k, d) - 2 * p + m
                for n, s, k, d, p, m in zip(
                    sizes, strides, kernel, dilations, around, more, strict=True
                )
            )
            if min(made) < 1:
                raise ShapeError(
                    f"`pad={shown(around)}` cuts off all that `{self.name}` makes",
                    f"it was given {by_times(x.shape[1:])}",
                    "pad less",
                )
        wanted = x.with_shape((x.shape[0], self.filters, *made))
        return windows(name, wanted, kernel, strides, self.pad, dilations), made

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        w, made = self.turned(x.type)
        channels = x.type.shape[1]
        assert isinstance(channels, int)
        groups = self.parts(channels)
        inner, area = self.filters // groups, prod(w.sizes)
        meeting = channels // groups * area / prod(w.strides)
        fans = (max(1, round(meeting)), inner * area)
        shape = (channels, inner, *w.sizes)
        if groups > 1 and self.max_norm is not None:
            raise ShapeError(
                "`max_norm` of `conv_transpose` is for channels in one group",
                f"here there are {groups}",
                "leave `max_norm` out, or take `l2`",
            )
        weights = self._weights(scope, shape, fans, x.type, (0, *range(2, len(shape))))
        outs = x.type.row[1:]
        geometry = Geometry(
            self.filters,
            channels,
            groups,
            made,
            outs,
            w.sizes,
            w.strides,
            w.dilations,
            w.begins,
            w.ends,
        )
        # Trained in the form that is quickest; deployed, the operator that other tools know.
        op = transposed(geometry)
        op = op if scope.training else replace(op, lowering="conv_transpose")
        return scope.builder.add(op, x, *weights)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer | None:
        w, made = self.turned(types[0])
        return self._signal(inputs[0], types[0], params, made, joined(w, made, w.outs))


def joined(w: Windows, ins: tuple[int, ...], outs: tuple[int, ...]) -> int:
    """How many pairs of a place of the input and one of the output a kernel joins: those that fall
    on a pad are none.
    """
    total = 1
    for n, m, k, s, d, begin in zip(
        ins, outs, w.sizes, w.strides, w.dilations, w.begins, strict=True
    ):
        pairs = 0
        for i in range(k):
            shift = begin - i * d
            first, last = max(0, -(-shift // s)), min(m - 1, (n - 1 + shift) // s)
            pairs += max(0, last - first + 1)
        total *= pairs
    return total
