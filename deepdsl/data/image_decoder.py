"""Image files as arrays of bytes, by Pillow, which is imported when the first one is opened."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from deepdsl.core.source import Span
from deepdsl.data.image_source import Decoding
from deepdsl.data.table import Array
from deepdsl.diagnostics.base import Diagnostic, DnnError
from deepdsl.diagnostics.data.images import BrokenImage, HugeImage, WrongImageSize
from deepdsl.diagnostics.training.runtime import MissingPackage

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MOST_PIXELS = 8192 * 8192  # of one file; one of a hundred bytes may claim more than memory holds
_ORIENTATION = 0x0112
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def pillow(span: Span | None = None) -> ModuleType:
    """Pillow's module Image, or MissingPackage."""
    try:
        from PIL import Image
    except ImportError:
        missing = MissingPackage(span, "Pillow", "reading images", "images")
        raise DnnError([missing]) from None
    return Image


@contextmanager
def strict() -> Iterator[None]:
    """While headers are looked at, Pillow's warning of a decompression bomb is an error and its
    other warnings are not shown. For the main thread: filters of warnings belong to the process.
    """
    image = pillow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", image.DecompressionBombWarning)
        yield


class Decoder:
    """Decodes image files for one input."""

    def __init__(self, how: Decoding, span: Span | None, packed: bool = False) -> None:
        self.how, self.span, self._packed = how, span, packed
        self._image = pillow(span)

    def check(self, stream: BinaryIO, name: str) -> int:
        """Look at the header: DnnError where it is no image or will not do; else its pixels."""
        with self._messages(name), self._opened(stream, name) as opened:
            self._check_size(opened.size, name, turned=True)
            return int(opened.size[0] * opened.size[1])

    def decode(self, stream: BinaryIO, name: str, out: Array) -> int:
        """Fill `out`, uint8 of shape [C H W], or DnnError; the pixels in the file."""
        with self._messages(name), self._opened(stream, name) as opened:
            how, count = self.how, int(opened.size[0] * opened.size[1])
            if how.resized and opened.format in ("JPEG", "MPO"):
                # JPEG can be decoded at a half, a quarter or an eighth; twice the wanted size is
                # left to the filter.
                longest = 2 * max(how.height, how.width)
                opened.draft(None, (longest, longest))
            opened.load()
            image = _in_mode(_upright(opened), _MODES[how.channels])
            if how.resized:
                image = self._resized(image)
            else:
                self._check_size(image.size, name)
            pixels = np.asarray(image)
            out[...] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
            return count

    @contextmanager
    def _messages(self, name: str) -> Iterator[None]:
        """What Pillow makes of damaged bytes is one of a dozen kinds of exception."""
        image = self._image
        try:
            yield
        except DnnError:
            raise
        except (image.DecompressionBombError, image.DecompressionBombWarning):
            raise DnnError([HugeImage(self.span, name, 0, 0)]) from None
        except Exception as reason:
            broken = BrokenImage(self.span, name, _reason(reason), self._packed)
            raise DnnError([broken]) from None

    @contextmanager
    def _opened(self, stream: BinaryIO, name: str) -> Iterator[Any]:
        with self._image.open(stream, formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                raise DnnError([HugeImage(self.span, name, width, height)])
            yield opened

    def _check_size(self, size: tuple[int, int], name: str, turned: bool = False) -> None:
        """Without `size=` images must have the input's. `turned` ones may still be upright or on
        their side.
        """
        found, wanted = (size[1], size[0]), (self.how.height, self.how.width)
        same = sorted(found) == sorted(wanted) if turned else found == wanted
        if not self.how.resized and not same:
            problem: Diagnostic = WrongImageSize(self.span, name, found, wanted)
            raise DnnError([problem])

    def _resized(self, image: Any) -> Any:
        """The image in the wanted size."""
        from PIL import ImageOps

        how = self.how
        size, filter_ = (how.width, how.height), self._image.Resampling.BILINEAR
        if image.size == size:
            return image
        if how.resize == "crop":
            return ImageOps.fit(image, size, filter_)
        if how.resize == "pad":
            return ImageOps.pad(image, size, filter_, color=0)
        return image.resize(size, filter_)


def _upright(image: Any) -> Any:
    """The image turned as its EXIF data say; damaged data say nothing."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:
        return image
    if not turned:
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _in_mode(image: Any, mode: str) -> Any:
    """The image in gray, in colours, or in colours with opacity."""
    if image.mode == mode:
        return image
    if image.mode.startswith("I"):
        # Pillow would cut 16 bits off at 255.
        values = np.asarray(image).astype(np.int64) >> 8
        image = pillow().fromarray(values.clip(0, 255).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        image = image.convert("RGBA")
    return image if image.mode == mode else image.convert(mode)


def _reason(error: Exception) -> str:
    """What Pillow says, without the object that it says it of."""
    text = str(error).splitlines()[0][:100].lower() if str(error) else ""
    if "cannot identify" in text or not text:
        return "it is no PNG, JPEG, WebP, BMP or GIF"
    return text
