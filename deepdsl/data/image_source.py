"""What the sources of images have in common: how a file becomes numbers, and their options."""

from __future__ import annotations

from typing import Any

from deepdsl.core.record import record
from deepdsl.core.registry import Integer, Kind, Mismatch, OneOf, option
from deepdsl.core.source import Span
from deepdsl.data.request import Shape
from deepdsl.data.source import DataSource
from deepdsl.diagnostics.base import DnnError
from deepdsl.diagnostics.data.images import NoImageInput

LONGEST_SIDE = 8192
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


@record
class ImageSize(Kind):
    """`32x32`: the height and the width of an image."""

    expected = f"a size such as `32x32`, height first, each from 1 to {LONGEST_SIDE}"

    def convert(self, value: object) -> tuple[int, int]:
        if not isinstance(value, tuple) or len(value) != 2:
            raise Mismatch(self.expected)
        try:
            height, width = (Integer(1, LONGEST_SIDE).convert(side) for side in value)
        except Mismatch:
            raise Mismatch(self.expected) from None
        return height, width

    def show(self, value: Any) -> str:
        return "x".join(map(str, value))


@record
class Decoding:
    """How the bytes of an image file become an input: `channels` planes of this many numbers,
    resized by this method where `resized`, else of this size already.
    """

    channels: int
    height: int
    width: int
    resized: bool = False
    resize: str = "stretch"
    range: str = "unit"

    @property
    def shape(self) -> Shape:
        return (self.channels, self.height, self.width)

    @property
    def white(self) -> float:
        """The largest value."""
        return 1.0 if self.range == "unit" else 255.0

    def as_json(self) -> dict[str, Any]:
        """What a program must know to make inputs of image files."""
        return {
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "layout": "channels first",
            "range": [0, int(self.white)],
            "resize": self.resize if self.resized else None,
        }

    @staticmethod
    def from_json(told: object) -> Decoding | None:
        """What `as_json` made; None where it is something else."""
        match told:
            case {
                "channels": 1 | 3 | 4 as channels,
                "height": int(height),
                "width": int(width),
                "range": [0, 1 | 255 as high],
                "resize": None | "stretch" | "crop" | "pad" as resize,
            } if 0 < height <= LONGEST_SIDE and 0 < width <= LONGEST_SIDE:
                values = "unit" if high == 1 else "bytes"
                how = resize or "stretch"
                return Decoding(channels, height, width, resize is not None, how, values)
        return None


@record
class ImageSource(DataSource, abstract=True):
    """Base of the sources that decode image files."""

    size: tuple[int, int] | None = option(
        ImageSize(), "height and width that images are resized to", default=None
    )
    resize: str = option(
        OneOf(("stretch", "crop", "pad")),
        "how: to fill the size whatever its proportions; as much of the middle as fills it; all of "
        "the image, with black around it",
        default="stretch",
    )
    range: str = option(
        OneOf(("unit", "bytes")),
        "the values: 0 to 1, as torchvision's ToTensor gives them, or 0 to 255",
        default="unit",
    )

    @property
    def white(self) -> float | None:
        return 1.0 if self.range == "unit" else 255.0

    def decoding(self, name: str, shape: Shape | None, span: Span | None) -> Decoding:
        """How images become this input, or NoImageInput."""
        if found := image_misfit(name, shape or (), self.size, span):
            raise DnnError([found])
        assert shape is not None
        channels, height, width = shape if len(shape) == 3 else (1, *shape)
        return Decoding(channels, height, width, self.size is not None, self.resize, self.range)


def image_misfit(
    name: str, shape: Shape, size: tuple[int, int] | None, span: Span | None
) -> NoImageInput | None:
    height, width = size or (32, 32)
    advice = f"write `input {name}[3 {height} {width}]`"
    if len(shape) not in (2, 3):
        return NoImageInput(span, name, shape, "an image is channels × height × width", advice)
    channels, *sides = shape if len(shape) == 3 else (1, *shape)
    if channels not in (1, 3, 4):
        problem = f"images have 1, 3 or 4 channels, not {channels}"
        if shape[-1] in (1, 3, 4):
            problem = "channels come first"
            advice = f"write `input {name}[{shape[2]} {shape[0]} {shape[1]}]`"
        return NoImageInput(span, name, shape, problem, advice)
    if max(sides) > LONGEST_SIDE:
        return NoImageInput(
            span, name, shape, f"a side is longer than {LONGEST_SIDE}", "take a smaller size"
        )
    if size is not None and tuple(sides) != size:
        advice = f"write `size={sides[0]}x{sides[1]}`, or change the input"
        return NoImageInput(span, name, shape, f"`size=` makes {height} × {width}", advice)
    return None
