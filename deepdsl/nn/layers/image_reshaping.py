"""Layers that move what is in an image, cut it or put zeros around it: permute, zero_pad, crop,
split.
"""

from __future__ import annotations

from dataclasses import replace

from deepdsl.core.record import record
from deepdsl.core.registry import Either, Integer, Kind, ListOf, Mismatch, argument, option
from deepdsl.graph import Builder, Dim, Emitter, Node, Op, Param, ShapeError, Type, Value, by_times
from deepdsl.graph.matmul import Transpose
from deepdsl.graph.reshaping import Reshape
from deepdsl.graph.windows import space
from deepdsl.nn.layers.layer import Layer, Scope
from deepdsl.nn.layers.propagation import Gain, Moments, Transfer


@record
class Sides(Kind):
    """`2`, `1x2` or `[1 2]` an axis, or `[top bottom left right]`: whole numbers, as a tuple."""

    expected = "a number, a size such as `1x2`, or `[top bottom left right]`"
    example = "1"

    def convert(self, value: object) -> tuple[int, ...]:
        sides = value if isinstance(value, tuple) else (value,)
        made = []
        for side in sides:
            whole = isinstance(side, int | float) and not isinstance(side, bool)
            if not whole or side != int(side) or not 0 <= side <= 2**24:
                raise Mismatch(self.expected)
            made.append(int(side))
        if len(made) not in (1, 2, 3, 4, 6):
            raise Mismatch(self.expected)
        return tuple(made)

    def show(self, value: tuple[int, ...]) -> str:
        return str(value[0]) if len(value) == 1 else f"[{' '.join(map(str, value))}]"


SIDES = Sides()


def both_sides(
    name: str, given: tuple[int, ...], sizes: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is meant before and after each axis."""
    axes = len(sizes)
    if len(given) == 1:
        return given * axes, given * axes
    if len(given) == axes:
        return given, given
    if len(given) == 2 * axes:
        return given[::2], given[1::2]
    behind = "is 1 axis" if axes == 1 else f"are {axes} axes"
    forms = {
        1: "`{} 2` or `{} [front back]`",
        2: "`{} 2`, `{} 1x2` or `{} [top bottom left right]`",
    }
    form = forms.get(axes, "`{} 2` or `{} 1x2x2`").replace("{}", name)
    raise ShapeError(
        f"`{name} {SIDES.show(given)}` has {len(given)} numbers",
        f"after the channels {behind}: {by_times(sizes)}",
        f"write {form}",
    )


@record
class ZeroPad(Layer):
    """`zero_pad 1`: zeros around an image, as many on each side.

    `zero_pad 1x2` puts 1 above and below and 2 left and right; `zero_pad [0 1 0 1]` is top, bottom,
    left, right (for a line [front back]).  The order is Keras's; PyTorch's ZeroPad2d has left,
    right, top, bottom.  Convolutions and pools have `pad=` of their own.
    """

    sides: tuple[int, ...] = argument(SIDES, "how many zeros")

    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        begins, ends = both_sides(self.name, self.sides, space(self.name, x.type, "1"))
        if not any((*begins, *ends)):
            return x
        return scope.builder.add(Surround((0, 0, *begins), (0, 0, *ends)), x)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        """This many of the numbers are 0; the gradient of the others is as it was."""
        (x,) = inputs
        sizes = space(self.name, types[0], "1")
        share = 1.0
        for size, begin, end in zip(sizes, *both_sides(self.name, self.sides, sizes), strict=True):
            share *= size / (size + begin + end)
        return Transfer(x.grown(x.mean * share, share), (Gain.every(1.0),))


@record
class Crop(Layer):
    """`crop 2`: the image without this many numbers on each side.

    `crop 1x2` takes 1 away above and below and 2 left and right; `crop [0 1 0 1]` is top, bottom,
    left, right (for a line [front back]), as in Keras.
    """

    sides: tuple[int, ...] = argument(SIDES, "how many numbers go")

    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        sizes = space(self.name, x.type, "1")
        begins, ends = both_sides(self.name, self.sides, sizes)
        if any(n <= b + e for n, b, e in zip(sizes, begins, ends, strict=True)):
            gone = tuple(b + e for b, e in zip(begins, ends, strict=True))
            raise ShapeError(
                f"`crop {SIDES.show(self.sides)}` leaves nothing",
                f"it takes {by_times(gone)} away, of {by_times(sizes)}",
                "crop less: at least one number of each axis has to stay",
            )
        if not any((*begins, *ends)):
            return x
        return scope.builder.add(Within((0, 0, *begins), (0, 0, *ends)), x)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        """What stays is as it was; the gradient of what goes is 0."""
        sizes = space(self.name, types[0], "1")
        share = 1.0
        for size, begin, end in zip(sizes, *both_sides(self.name, self.sides, sizes), strict=True):
            share *= (size - begin - end) / size
        return Transfer(inputs[0], (Gain.every(share),))


@record
class Surround(Op):
    """Zeros before and after each axis, the batch included.

    `apart` keeps the pad a step of its own, see `padded_apart`.
    """

    begins: tuple[int, ...]
    ends: tuple[int, ...]
    apart: bool = False

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        return x.with_shape(
            tuple(_grown(d, b + e) for d, b, e in zip(x.shape, self.begins, self.ends, strict=True))
        )

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        if not self.apart:
            pads = onnx.constant((*self.begins, *self.ends), "i64")
            return onnx.node("Pad", inputs[0], pads)
        x, out = (v.type.shape[1:] for v in (node.inputs[0], node.outputs[0]))
        flat = onnx.node("Reshape", inputs[0], onnx.constant((-1, *x[1:]), "i64"))
        pads = onnx.constant((0, *self.begins[2:], 0, *self.ends[2:]), "i64")
        made = onnx.node("Pad", flat, pads)
        return onnx.node("Reshape", made, onnx.constant((-1, *out), "i64"))

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (b.add(Within(self.begins, self.ends), grad),)


def padded_apart(b: Builder, x: Value) -> Value:
    """An image for a pool to read: zeros that were put around it stay zeros.

    onnxruntime takes a Pad before a pool for the pool's own pad: zeros become -infinity for
    MaxPool (1.31), and a pad as wide as the window is refused when the graph is loaded.
    """
    made = b.made_by(x)
    while made is not None and isinstance(made.op, Reshape) and made.inputs[0].type == x.type:
        made = b.made_by(made.inputs[0])
    if made is None or not isinstance(made.op, Surround):
        return x
    if any((*made.op.begins[:2], *made.op.ends[:2])):  # around channels; it is left alone
        return x
    return b.add(replace(made.op, apart=True), made.inputs[0])


@record
class Within(Op):
    """What is left without this many elements before and after each axis."""

    begins: tuple[int, ...]
    ends: tuple[int, ...]

    def infer(self, *inputs: Type) -> Type:
        (x,) = inputs
        return x.with_shape(
            tuple(
                _grown(d, -b - e) for d, b, e in zip(x.shape, self.begins, self.ends, strict=True)
            )
        )

    def lower(self, onnx: Emitter, node: Node, *inputs: str) -> str:
        shape = node.inputs[0].type.shape
        cut = [
            (axis, b, d - e)
            for axis, (d, b, e) in enumerate(zip(shape, self.begins, self.ends, strict=True))
            if isinstance(d, int) and b + e
        ]
        axes, starts, ends = (onnx.constant(numbers, "i64") for numbers in zip(*cut, strict=True))
        return onnx.node("Slice", inputs[0], starts, ends, axes)

    def vjp(self, b: Builder, grad: Value, out: Value, *inputs: Value) -> tuple[Value]:
        return (b.add(Surround(self.begins, self.ends), grad),)


def _grown(size: Dim, by: int) -> Dim:
    return size + by if isinstance(size, int) else size


@record
class Permute(Layer):
    """`permute [2 1]`: the axes of a row in another order; axis 1 is the first after the batch.

    `permute [2 3 1]` makes [height width channels] of [channels height width], `permute [3 1 2]`
    the other way round.  Keras counts alike; PyTorch's permute counts the batch too, from 0.
    """

    order: tuple[int, ...] = argument(
        ListOf(Integer(minimum=1)), "for each new axis the old one that it is"
    )

    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        axes = tuple(range(1, x.type.rank))
        if sorted(self.order) != list(axes):
            told = " ".join(map(str, self.order))
            raise ShapeError(
                f"`permute [{told}]` does not name each axis once",
                f"it was given {by_times(x.type.shape[1:])}",
                _each_once(axes),
            )
        if self.order == axes:
            return x
        return scope.builder.add(Transpose((0, *self.order)), x)

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        return Transfer(inputs[0], (Gain.every(1.0),))


def _each_once(axes: tuple[int, ...]) -> str:
    if len(axes) < 2:
        return "a vector has one axis, and nothing to permute" if axes else ""
    return (
        f"the axes are 1 to {len(axes)}, for instance `permute [{' '.join(map(str, axes[::-1]))}]`"
    )


@record
class SplitLayer(Layer, name="split"):
    """`split 2 part=1`: one of this many equal pieces along the features (the channels of images).

    Parts are counted from 1.  `split [16 48] part=2` gives the sizes.  Two lines take two pieces:

        left = x | split 2 part=1
        right = x | split 2 part=2
    """

    pieces: int | tuple[int, ...] = argument(
        Either((Integer(minimum=2), ListOf(Integer(minimum=1)))), "how many pieces, or their sizes"
    )
    part: int = option(Integer(minimum=1), "which piece, counted from 1")

    transparent = True

    def expand(self, scope: Scope, *inputs: Value) -> Value:
        (x,) = inputs
        sizes = self._sizes(x.type)
        if self.part > len(sizes):
            raise ShapeError(
                f"`split` makes {len(sizes)} pieces, and part {self.part} is not one of them",
                f"it was given {by_times(x.type.shape[1:])}",
                f"parts are counted from 1 to {len(sizes)}",
            )
        if len(sizes) == 1:
            return x
        rest = (0,) * (x.type.rank - 2)
        begin, end = sum(sizes[: self.part - 1]), sum(sizes[self.part :])
        return scope.builder.add(Within((0, begin, *rest), (0, end, *rest)), x)

    def _sizes(self, x: Type) -> tuple[int, ...]:
        features = x.shape[1] if x.rank > 1 else 0
        assert isinstance(features, int)
        given = f"it was given {by_times(x.shape[1:])}"
        what = "channels" if x.rank > 2 else "features"
        if isinstance(self.pieces, int):
            if not features or features % self.pieces:
                fit = [str(n) for n in range(2, features + 1) if features % n == 0]
                raise ShapeError(
                    f"`split {self.pieces}` makes {self.pieces} pieces of one size",
                    given,
                    f"{features} {what} can be split into " + ", ".join(fit) if fit else "",
                )
            return (features // self.pieces,) * self.pieces
        if sum(self.pieces) != features:
            told = " ".join(map(str, self.pieces))
            raise ShapeError(
                f"`split [{told}]` is for {sum(self.pieces)} {what}",
                given,
                f"the sizes have to sum to {features}",
            )
        return self.pieces

    def signal(
        self, inputs: tuple[Moments, ...], types: tuple[Type, ...], params: tuple[Param, ...]
    ) -> Transfer:
        """What stays is as it was; the gradient of what goes is 0."""
        sizes = self._sizes(types[0])
        return Transfer(inputs[0], (Gain.every(sizes[self.part - 1] / sum(sizes)),))
