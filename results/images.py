"""One image file to an array of pixels: the same way for training and for prediction."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

MOST_PIXELS = 89_478_485
"""Of an image that is decoded, 256 MB as RGB: where Pillow itself begins to warn of a decompression bomb."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")


class Undecodable(Exception):
    """A file that is no image, a broken one, or one too large to be meant."""


def decode(source: Path | BinaryIO, size: int) -> np.ndarray:
    """The image as uint8 RGB of shape (size, size, 3), resized without regard to its aspect.

    EXIF rotation is applied, transparency is laid over white, and of an animation the first frame is taken.

    Raises:
        Undecodable: it cannot be decoded; the message names the file, if it is one, and says why.
    """
    name = f"{source}: " if isinstance(source, Path) else ""
    try:
        with Image.open(source) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Undecodable(f"{name}{image.width}x{image.height} pixels, more than {MOST_PIXELS:,}")
            return np.asarray(resized(_to_rgb(image), size))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "not an image that Pillow knows, or a broken one"
        if isinstance(error, Image.DecompressionBombError):
            reason = f"more than {MOST_PIXELS:,} pixels"
        raise Undecodable(f"{name}{reason}") from error


def resized(image: Image.Image, size: int) -> Image.Image:
    """The image as a square of that side."""
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BILINEAR)


def dimensions(path: Path) -> tuple[int, int] | None:
    """Width and height as shown (EXIF rotation applied), read from the header alone; None if there is none."""
    try:
        with Image.open(path) as image:
            # Pillow looks for EXIF behind a PNG's pixels and decodes them on the way; in the header it is in `info`.
            may_turn = image.format != "PNG" or "exif" in image.info
            turned = may_turn and image.getexif().get(0x0112, 1) >= 5
            return (image.height, image.width) if turned else (image.width, image.height)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):  # 16-bit grey: Pillow's own conversion would clip it to white
        grey = np.asarray(upright, dtype=np.float32)
        scale = 255.0 / 65535.0 if grey.max(initial=0) > 255 else 1.0
        return Image.fromarray((grey * scale).clip(0, 255).astype(np.uint8)).convert("RGB")
    if "A" in upright.getbands() or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return upright.convert("RGB")
