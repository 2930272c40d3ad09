"""Windows that slide over the axes of space: how a layer writes their sizes, strides, dilations and
pads, and what these come to on an input.
"""

from __future__ import annotations

from collections.abc import Sequence

from deepdsl.core.record import record
from deepdsl.core.registry import Either, Kind, Mismatch, OneOf
from deepdsl.graph import ShapeError, Type, by_times

# The pad `same` or `valid`, or so much on both sides of each axis.
Pad = str | tuple[int, ...]


@record
class WindowSize(Kind):
    """`3x3`, `[3 3]`, or `3` for all axes: one whole number an axis, as a tuple; a tuple of one is
    for all axes.
    """

    minimum: int = 1

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"a size such as `3x3`, or one number for all axes, of at least {self.minimum}"

    example = "3x3"

    def convert(self, value: object) -> tuple[int, ...]:
        sizes = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(sizes) <= 3:
            raise Mismatch(self.expected)
        made = []
        for size in sizes:
            whole = isinstance(size, int | float) and not isinstance(size, bool)
            if not whole or size != int(size) or not self.minimum <= size <= 2**24:
                raise Mismatch(self.expected)
            made.append(int(size))
        return tuple(made)

    def show(self, value: tuple[int, ...]) -> str:
        return shown(value)


# What `pad=` takes.
PAD = Either((OneOf(("valid", "same")), WindowSize(minimum=0)))


def shown(sizes: Sequence[int]) -> str:
    """Sizes as a file writes them: `3x3`; `3` where one is for all axes."""
    if len(sizes) > 1 and 0 in sizes:
        return "[" + " ".join(map(str, sizes)) + "]"
    return "x".join(map(str, sizes))


@record
class Windows:
    """Windows with everything explicit, one number for each axis of space.

    `begins` and `ends` are what is padded before and after each axis; `outs` is how many
    windows there are along it.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    outs: tuple[int, ...]

    def __str__(self) -> str:
        told = [shown(self.sizes), f"stride={shown(self.strides)}"]
        told += [f"dilation={shown(self.dilations)}"] if set(self.dilations) != {1} else []
        return " ".join([*told, f"pads=[{' '.join(map(str, self.pads))}]"])

    @property
    def pads(self) -> tuple[int, ...]:
        """As ONNX has them: all begins, then all ends."""
        return (*self.begins, *self.ends)

    @property
    def padded(self) -> bool:
        return any(self.pads)

    def seen(self, space: Sequence[int]) -> tuple[tuple[int, ...], ...]:
        """For each axis of an image how many of its places each window sees, without the pads."""
        axes = zip(space, self.sizes, self.strides, self.begins, self.outs, strict=True)
        return tuple(
            tuple(min(i * s - b + k, n) - max(i * s - b, 0) for i in range(outs))
            for n, k, s, b, outs in axes
        )

    @property
    def reach(self) -> tuple[int, ...]:
        """From a window's first element to its last, both counted."""
        return tuple(extent(k, d) for k, d in zip(self.sizes, self.dilations, strict=True))


def extent(size: int, dilation: int) -> int:
    """How far a window of this many elements reaches when it skips some."""
    return (size - 1) * dilation + 1


def space(name: str, x: Type, example: str = "2x2") -> tuple[int, ...]:
    """The axes that windows slide over: all after the batch and the channels."""
    sizes = x.row[1:]
    if x.rank in (3, 4, 5) and len(sizes) == x.rank - 2:
        return sizes
    given = by_times(x.shape[1:])
    if x.rank == 1:
        raise ShapeError(f"`{name}` slides over images or sequences", f"it was given {given}")
    if x.rank == 2:
        call = f"{name} {example}".strip()
        raise ShapeError(
            f"`{name}` slides over images or sequences",
            f"it was given {given}: a vector",
            f"put it before `flatten`: `{call} | flatten`; or give the numbers a shape: "
            f"`reshape [{x.shape[1]} 1 1]` has channels, height and width",
        )
    raise ShapeError(
        f"`{name}` slides over one to three axes after the channels",
        f"it was given {given}",
        "join axes with `reshape`, for instance `reshape [channels height width]`",
    )


def for_each_axis(
    name: str, what: str, given: tuple[int, ...], sizes: tuple[int, ...]
) -> tuple[int, ...]:
    """One number for each axis: of a single one, the same for all."""
    if len(given) == 1:
        return given * len(sizes)
    if len(given) == len(sizes):
        return given
    axes = "1 axis" if len(sizes) == 1 else f"{len(sizes)} axes"
    better = shown((given[0],) * len(sizes) if len(sizes) > len(given) else given[: len(sizes)])
    option = what.rpartition("=")[0]
    raise ShapeError(
        f"`{what}{shown(given)}` is for {len(given)} axes",
        f"after the channels there {'is' if len(sizes) == 1 else 'are'} {axes}: {by_times(sizes)}",
        f"write `{option + '=' if option else what}{better}`",
    )


def windows(
    name: str,
    x: Type,
    size: tuple[int, ...],
    stride: tuple[int, ...] = (1,),
    pad: Pad = "valid",
    dilation: tuple[int, ...] = (1,),
) -> Windows:
    """The windows of the layer `name` on an input.

    `valid` pads nothing.  `same` makes ceil(size / stride) windows an axis: as much on both sides
    where that gives the number, else one more at the end.  A number is padded on both sides; what
    is left over after the last whole stride is not seen.
    """
    sizes = space(name, x, shown(size))
    kernel = for_each_axis(name, f"{name} ", size, sizes)
    strides = for_each_axis(name, "stride=", stride, sizes)
    dilations = for_each_axis(name, "dilation=", dilation, sizes)
    reach = tuple(extent(k, d) for k, d in zip(kernel, dilations, strict=True))
    if pad == "same":
        sides = [_same(*axis) for axis in zip(sizes, reach, strides, strict=True)]
    else:
        both = (0,) if isinstance(pad, str) else pad
        sides = [(n, n) for n in for_each_axis(name, "pad=", both, sizes)]
    begins, ends = tuple(b for b, _ in sides), tuple(e for _, e in sides)
    around = tuple(n + b + e for n, b, e in zip(sizes, begins, ends, strict=True))
    if any(n < r for n, r in zip(around, reach, strict=True)):
        raise _too_large(name, kernel, reach, x, around, pad)
    outs = tuple((n - r) // s + 1 for n, r, s in zip(around, reach, strides, strict=True))
    return Windows(kernel, strides, dilations, begins, ends, outs)


def _same(size: int, reach: int, stride: int) -> tuple[int, int]:
    """What is padded in front and after, so that there are ceil(size / stride) windows."""
    wanted = -(-size // stride)
    total = max(0, (wanted - 1) * stride + reach - size)
    half = (total + 1) // 2
    # Symmetric pads are what PyTorch's networks have, and what every kernel of a GPU takes.
    if (size + 2 * half - reach) // stride + 1 == wanted:
        return half, half
    return total // 2, total - total // 2


def _too_large(
    name: str,
    kernel: tuple[int, ...],
    reach: tuple[int, ...],
    x: Type,
    around: tuple[int, ...],
    pad: Pad,
) -> ShapeError:
    sizes = x.row[1:]
    label = f"here it is given {by_times(x.shape[1:])}"
    if around != sizes:
        label += f", with the pads {by_times(around)}"
    if reach != kernel:
        label += f"; with the dilation its windows are {by_times(reach)}"
    fits = shown(tuple(min(k, n) for k, n in zip(kernel, sizes, strict=True)))
    smaller = f"take at most `{name} {fits}`" if reach == kernel else "take a smaller dilation"
    padded = "" if pad == "same" else ", write `pad=same`"
    return ShapeError(
        f"windows of {by_times(kernel)} are larger than the {by_times(sizes)} they slide over",
        label,
        f"{smaller}{padded}, or make the image smaller later (fewer strides and pools above)",
    )
