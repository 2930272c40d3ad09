"""The source `images`: a folder of image files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deepdsl.core.record import record
from deepdsl.core.registry import OneOf, Text, argument, option
from deepdsl.core.source import Span
from deepdsl.data.image_source import ImageSource, image_misfit
from deepdsl.data.request import Shape
from deepdsl.diagnostics.base import Diagnostic


@record
class Images(ImageSource):
    """A folder of image files, with one folder in it for each class.

    The names of those folders are the classes, in the order of the alphabet, or of the numbers
    where all names are whole numbers. Images may be in further folders below. Files that end in
    .png, .jpg, .jpeg, .webp, .bmp or .gif are read, of an animation the first picture. For
    `target input` no classes are needed, and every image in the folder is a row.

    The input [C H W] says what an image becomes: 1 channel is gray, 3 are red, green and blue, 4
    have opacity too; [H W] is gray. Values are 0 to 1, as torchvision's ToTensor gives them, so
    that `normalize mean=[0.485 0.456 0.406] std=[0.229 0.224 0.225]` is what it is elsewhere;
    `range=bytes` gives 0 to 255. Without `size=` all images must have the size of the input.
    Resizing is bilinear, over all pixels that a new one covers.

    Images are turned as their EXIF orientation says. Palettes and CMYK become colours, 16 bits
    become 8 (the upper ones), opacity is left out where the input has no fourth channel, and gray
    is made of colours as 0.299 R + 0.587 G + 0.114 B.

    Needs Pillow: `pip install "deepdsl[images]"`.
    """

    folder: str = argument(Text(), "the folder, relative to the file")
    corrupt: str = option(
        OneOf(("fail", "skip")),
        "what becomes of files that cannot be decoded; `skip` decodes all of them when the folder "
        "is opened",
        default="fail",
    )

    def misfits(self, inputs: Mapping[str, Shape], span: Span | None) -> Iterator[Diagnostic]:
        """What does not fit the inputs of a model, before the folder is opened."""
        if len(inputs) == 1:
            ((name, shape),) = inputs.items()
            if found := image_misfit(name, shape, self.size, span):
                yield found
