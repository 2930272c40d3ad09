"""Rows `augment …` of a data section: how training images are varied in each epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from deepdsl.core.record import record
from deepdsl.core.registry import (
    Boolean,
    Integer,
    ListOf,
    Names,
    Number,
    OneOf,
    Registered,
    argument,
    option,
)
from deepdsl.core.source import Span
from deepdsl.data.request import Shape
from deepdsl.diagnostics.base import Diagnostic, did_you_mean
from deepdsl.diagnostics.data.augment import AugmentMisfit

if TYPE_CHECKING:
    from deepdsl.data.pixels import ImageBatch
    from deepdsl.data.row_rng import RowRng

_OF = "the input; all of them where it is left out"


class Augmentation(Registered, kind="augmentation"):
    """Base of augmentations: what is done to training rows alone, again in each epoch.

    `apply` works on raw values, before scale, standardize and normalize. What it draws depends on
    the seed, the epoch and the row.
    """

    #: Whether rows are mixed with others, and their targets with them.
    mixes: ClassVar[bool] = False

    of: str | None = None

    def concerns(self, input_name: str) -> bool:
        return self.of is None or self.of == input_name

    def problems(
        self, inputs: Mapping[str, Shape], white: float | None, span: Span | None
    ) -> Iterator[Diagnostic]:
        """What does not fit the inputs of a model, whose largest values are `white` where that is
        known.
        """
        if self.of is not None and self.of not in inputs:
            problem = f"`{self.of}` is not an input of the model"
            yield AugmentMisfit(span, self.name, problem, did_you_mean(self.of, inputs))
        for name, shape in inputs.items():
            if self.concerns(name) and (found := self.misfit(shape)):
                advice = f"`{name}` is {_written(shape)}"
                others = [n for n, s in inputs.items() if n != name and not self.misfit(s)]
                if self.of is None and others:
                    advice = f"say which input is meant: `of={others[0]}`"
                yield AugmentMisfit(span, self.name, found.format(name=name), advice)

    def misfit(self, shape: Shape) -> str:
        """Why it cannot be done to an input of this shape; else nothing."""
        if len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3, 4)):
            return ""
        if len(shape) == 3 and shape[-1] in (1, 3, 4):
            return "the channels of `{name}` come last, where they come first here"
        return "`{name}` is no image: [C H W] with 1, 3 or 4 channels, or [H W]"

    def cannot_mix(self, name: str, span: Span | None) -> Iterator[Diagnostic]:
        """What is to be said of an input of whole numbers."""
        problem = f"`{name}` is whole numbers, between which there is nothing"
        yield AugmentMisfit(span, self.name, problem, "leave the row out")

    def apply(self, images: ImageBatch, rng: RowRng) -> ImageBatch:
        """The images of a batch as they are in this epoch."""
        raise NotImplementedError


def _written(shape: Shape) -> str:
    return "[" + " ".join(map(str, shape)) + "]"


@record
class Flip(Augmentation):
    """`flip horizontal`: the image in a mirror, for half of the rows in each epoch.

    x[c, i, j] becomes x[c, i, W - 1 - j], or x[c, H - 1 - i, j] for `vertical`. Right where left
    and right mean nothing: not for digits, letters or arrows. As torchvision's
    RandomHorizontalFlip and Keras's RandomFlip.
    """

    source = "Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Networks"

    direction: str = argument(
        OneOf(("horizontal", "vertical")), "left and right change places, or above and below"
    )
    rate: float = option(Number(above=0, maximum=1), "the share of rows", default=0.5)
    of: str | None = option(Names(), _OF, default=None)

    def apply(self, images: ImageBatch, rng: RowRng) -> ImageBatch:
        axis = 3 if self.direction == "horizontal" else 2
        return images.flipped(rng.uniform() < self.rate, axis)


@record
class RandomCrop(Augmentation, name="crop"):
    """`crop pad=4`: the image moved by up to this many pixels, up or down and to a side.

    The image is padded on all sides, and a window of its own size is cut out at a random place.
    What comes in is zero, which is the raw value before `normalize`, or the image reflected. As
    torchvision's RandomCrop(size, padding=4).
    """

    source = "He et al. 2015, arXiv:1512.03385, section 4.2; Lee et al. 2014, arXiv:1409.5185"

    pad: int = option(Integer(1), "pixels on each side")
    reflect: bool = option(
        Boolean(), "fill with the image reflected at its border, not zero", default=False
    )
    of: str | None = option(Names(), _OF, default=None)

    def misfit(self, shape: Shape) -> str:
        if found := super().misfit(shape):
            return found
        side = min(shape[-2:])
        if self.pad >= side:
            return f"pad={self.pad} may leave nothing of `{{name}}`"
        return ""

    def apply(self, images: ImageBatch, rng: RowRng) -> ImageBatch:
        down, right = (rng.whole(-self.pad, self.pad) for _ in range(2))
        return images.moved(down, right, self.pad, self.reflect)


@record
class ResizeCrop(Augmentation):
    """`resize_crop`: a random part of the image, brought to the size of the whole.

    The part has a random share of the area, between the two numbers of `scale`, and a random
    proportion of width to height, between those of `ratio` (its logarithm is even); a side that
    would be longer than the image's is as long as that. Values between pixels are bilinear. As
    torchvision's RandomResizedCrop, whose places are whole pixels.
    """

    source = "Szegedy et al. 2015, arXiv:1409.4842, section 6"

    scale: tuple[float, ...] = option(
        ListOf(Number(above=0, maximum=1), 2), "least and largest share of the area", (0.08, 1.0)
    )
    ratio: tuple[float, ...] = option(
        ListOf(Number(above=0), 2), "least and largest width over height", (0.75, 1.3333)
    )
    of: str | None = option(Names(), _OF, default=None)

    def problems(
        self, inputs: Mapping[str, Shape], white: float | None, span: Span | None
    ) -> Iterator[Diagnostic]:
        yield from super().problems(inputs, white, span)
        for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if low > high:
                problem = f"`{name}` is from {low:g} to {high:g}"
                advice = f"the smaller number first: `{name}=[{high:g} {low:g}]`"
                yield AugmentMisfit(span, self.name, problem, advice)

    def apply(self, images: ImageBatch, rng: RowRng) -> ImageBatch:
        rows, columns = images.height, images.width
        area = rng.uniform(*self.scale) * rows * columns
        ratio = rng.log_uniform(*self.ratio)
        height = ((area / ratio) ** 0.5).clip(max=rows)
        width = ((area * ratio) ** 0.5).clip(max=columns)
        top, left = rng.uniform() * (rows - height), rng.uniform() * (columns - width)
        return images.enlarged(top, left, height, width)


@record
class Rotate(Augmentation):
    """`rotate degrees=15`: the image turned about its middle by a random angle.

    The angle is even between -degrees and degrees. Values between pixels are bilinear, and zeros
    come in from beyond the border. As torchvision's RandomRotation with interpolation=bilinear,
    whose default takes the nearest pixel.
    """

    source = "Simard et al. 2003, Best Practices for Convolutional Neural Networks"

    degrees: float = option(Number(above=0, maximum=180), "the largest angle, to either side")
    of: str | None = option(Names(), _OF, default=None)

    def apply(self, images: ImageBatch, rng: RowRng) -> ImageBatch:
        most = math.radians(self.degrees)
        return images.rotated(rng.uniform(-most, most))


@record
class Cutout(Augmentation):
    """`cutout size=8`: a square of each image painted over, at a random place.

    The middle of the square may be any pixel, so that it may reach beyond the border. The network
    then cannot rely on one part of an object. `fill` is a raw value, before `normalize`.
    torchvision's RandomErasing is this with random proportions, for half of the rows.
    """

    source = "DeVries & Taylor 2017, arXiv:1708.04552"

    size: int = option(Integer(1), "the side of the square, in pixels")
    fill: float = option(Number(), "what is painted", default=0.0)
    of: str | None = option(Names(), _OF, default=None)

    def apply(self, images: ImageBatch, rng: RowRng) -> ImageBatch:
        y, x = rng.whole(0, images.height - 1), rng.whole(0, images.width - 1)
        return images.covered(y, x, self.size, self.fill)


@record
class ColorJitter(Augmentation):
    """`color_jitter brightness=0.2 contrast=0.2 saturation=0.2`: light and colours changed.

    With a factor f of each, even between 1 - value and 1 + value (at least 0): brightness is f x,
    contrast is f x + (1 - f) times the mean gray of the image, saturation is f x + (1 - f) times
    its gray, one after the other, each kept between 0 and white. White is known for images, idx
    and builtin; for other sources `white=` says it. As torchvision's ColorJitter, which takes them
    in random order.
    """

    source = "Howard 2013, arXiv:1312.5402"

    brightness: float = option(Number(minimum=0), "largest change of the light", default=0.0)
    contrast: float = option(Number(minimum=0), "largest change of the contrast", default=0.0)
    saturation: float = option(Number(minimum=0), "largest change of the colours", default=0.0)
    white: float | None = option(
        Number(above=0), "the largest raw value; the source's own where left out", default=None
    )
    of: str | None = option(Names(), _OF, default=None)

    def problems(
        self, inputs: Mapping[str, Shape], white: float | None, span: Span | None
    ) -> Iterator[Diagnostic]:
        yield from super().problems(inputs, white, span)
        if not (self.brightness or self.contrast or self.saturation):
            advice = f"write `{self.name} brightness=0.2 contrast=0.2`"
            yield AugmentMisfit(span, self.name, "it changes nothing", advice)
        if self.white is None and white is None:
            problem = "the largest value of this source is not known"
            advice = "say it: `white=1`, or `white=255` for bytes"
            yield AugmentMisfit(span, self.name, problem, advice)

    def misfit(self, shape: Shape) -> str:
        if found := super().misfit(shape):
            return found
        if self.saturation and (len(shape) == 2 or shape[0] == 1):
            return "`{name}` is gray: it has no saturation"
        return ""

    def apply(self, images: ImageBatch, rng: RowRng) -> ImageBatch:
        white = self.white or images.white or 1.0
        factors = [
            rng.uniform(max(0.0, 1 - value), 1 + value)
            for value in (self.brightness, self.contrast, self.saturation)
        ]
        if self.brightness:
            images = images.blended(0.0, factors[0], white)
        if self.contrast:
            mean = images.gray().mean(axis=(1, 2, 3), keepdims=True)
            images = images.blended(mean, factors[1], white)
        if self.saturation:
            images = images.blended(images.gray(), factors[2], white)
        return images


@record
class Mixup(Augmentation):
    """`mixup alpha=0.2`: each row mixed with another, and its target with that one's.

    x = s x₁ + (1 - s) x₂ and y = s y₁ + (1 - s) y₂, where s is drawn from Beta(alpha, alpha) for
    each row, and the other row from all rows that are trained on, as it is in this epoch after
    the rows above this one. Class numbers become rows of probabilities. For any inputs, not images
    alone; all inputs are mixed with the same share. Keras's and timm's mixup take the other row
    from the batch, and timm one share for all of it.
    """

    source = "Zhang et al. 2018, arXiv:1710.09412"
    mixes: ClassVar[bool] = True

    alpha: float = option(Number(above=0), "how even the shares are: 1 is any share", default=0.2)

    def misfit(self, shape: Shape) -> str:
        return ""
