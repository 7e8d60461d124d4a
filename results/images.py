"""One image file to an array of pixels: the same way for training and for prediction."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from results.levels import Levels, levels_of

MOST_PIXELS = 89_478_485
"""Of an image that is decoded, 256 MB as RGB: where Pillow itself begins to warn of a decompression bomb."""
MOST_JPEG_PIXELS = 4 * MOST_PIXELS
"""Of a JPEG, which can be decoded at an eighth of its size."""
TOO_LARGE = (
    f"more than {MOST_PIXELS:,} pixels ({MOST_JPEG_PIXELS:,} of a JPEG), too large to be read: save it with fewer"
)


class Undecodable(Exception):
    """A file that is no image, a broken one, or one too large to be meant."""


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before its pixels."""

    width: int
    """In pixels as shown: EXIF rotation is applied."""
    height: int
    is_deep: bool
    """Whether it has more than 8 bits a pixel and channel, which Pillow keeps (grey images) or cuts off (colour)."""


def decode(source: Path | BinaryIO, size: int, levels: Levels | None = None) -> np.ndarray:
    """The image as uint8 RGB of shape (size, size, 3), resized without regard to its aspect.

    EXIF rotation is applied, transparency is laid over white, and of an animation the first frame is taken.

    Args:
        source: the file.
        size: side of the square.
        levels: of the data set, for grey images of more than 8 bits; by default those of the image itself.

    Raises:
        Undecodable: it cannot be decoded; the message names the file, if it is one, and says why.
    """
    name = f"{source}: " if isinstance(source, Path) else ""
    try:
        with _opened(source) as image:
            _reduce(image, size)
            return np.asarray(resized(_to_rgb(image, levels), size))
    except Undecodable as error:
        raise Undecodable(f"{name}{error}") from error
    except Exception as error:  # Pillow's readers raise nearly everything at what is broken
        reason = getattr(error, "strerror", None) or "not an image that Pillow knows, or a broken one"
        raise Undecodable(f"{name}{reason}") from error


def resized(image: Image.Image, size: int) -> Image.Image:
    """The image as a square of that side."""
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR)


def header(path: Path) -> Header | None:
    """Read from the header alone; None if there is none."""
    try:
        with _opened(path) as image:
            # Pillow looks for EXIF behind a PNG's pixels and decodes them on the way; in the header it is in `info`.
            may_turn = image.format != "PNG" or "exif" in image.info
            turned = may_turn and image.getexif().get(0x0112, 1) >= 5
            width, height = reversed(image.size) if turned else image.size
            return Header(width, height, _is_grey_deep(image) or _is_colour_deep(image))
    except Exception:  # as in `decode`
        return None


def deep_values(path: Path) -> tuple[np.ndarray, bool]:
    """The values of an image whose header `is_deep`, and whether Pillow keeps all their bits.

    Of colours it keeps the upper 8 of 16 bits; the values are these, times 256.

    Raises:
        Undecodable: as `decode`.
    """
    try:
        with _opened(path) as image:
            _reduce(image, size=1)
            if _is_grey_deep(image):
                return np.asarray(image), True
            return np.asarray(image.convert("RGB"), dtype=np.uint16) * 256, False
    except Exception as error:
        raise Undecodable(str(error)) from error


def _opened(source: Path | BinaryIO) -> Image.Image:
    try:
        return Image.open(source)
    except Image.DecompressionBombError as error:
        if not isinstance(source, Path):
            source.seek(0)
        try:
            return JpegImageFile(source)
        except SyntaxError:
            raise Undecodable(TOO_LARGE) from error


def _reduce(image: Image.Image, size: int) -> None:
    """Let a large JPEG be decoded at a fraction of its size.

    Raises:
        Undecodable: the image is too large.
    """
    width, height = image.size
    if isinstance(image, JpegImageFile) and MOST_PIXELS < width * height <= MOST_JPEG_PIXELS:
        image.draft(image.mode, (size, size))
    if image.width * image.height > MOST_PIXELS:
        raise Undecodable(f"{width}x{height} is {TOO_LARGE}")


def _is_grey_deep(image: Image.Image) -> bool:
    return image.mode.startswith(("I", "F"))


def _is_colour_deep(image: Image.Image) -> bool:
    """As Pillow's decoders are told: "RGB;16B" is 16 bits, of which it keeps 8."""
    codings = [tile[3][0] if isinstance(tile[3], tuple) else tile[3] for tile in getattr(image, "tile", [])]
    return not _is_grey_deep(image) and any(isinstance(coding, str) and ";16" in coding for coding in codings)


def _to_rgb(image: Image.Image, levels: Levels | None) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if _is_grey_deep(upright):  # Pillow's own conversion would clip it to white
        values = np.asarray(upright)
        return Image.fromarray((levels or levels_of([values])).applied(values)).convert("RGB")
    if "A" in upright.getbands() or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return upright.convert("RGB")
