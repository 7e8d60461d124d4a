"""Arrays of images and labels as people have them, made into what trials take; what cannot be meant is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from search_spaces.errors import UserError

AT_ONCE = 1024
"""Images that are looked at together: floats take four to eight times the memory of pixels."""


@dataclass(frozen=True)
class Labelled:
    """Images as uint8 (n, height, width, 3) in RGB, and their labels as int64 (n,)."""

    images: np.ndarray
    labels: np.ndarray


def labelled(images: Any, labels: Any, name: str) -> Labelled:
    """One split from its arrays; see `pixels` and `numbers`.

    Args:
        images: of the split.
        labels: of the split.
        name: what to call it in errors.

    Raises:
        UserError: they are no such arrays, or not as many labels as images.
    """
    found = Labelled(pixels(images, name), numbers(labels, name))
    if len(found.images) != len(found.labels):
        raise UserError(f"{name}: {len(found.images)} images but {len(found.labels)} labels: each image needs its own")
    return found


def pixels(images: Any, name: str) -> np.ndarray:
    """Images of shape (n, height, width), (n, height, width, 1) or (n, height, width, 3) as uint8 RGB.

    Whole numbers are 0..255. Floats are 0..1 if none is above 1, else 0..255; they are rounded. Grey becomes RGB.

    Raises:
        UserError: another shape, no images, or values that are neither.
    """
    array = _array(images, name)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise UserError(
            f"{name}: images have shape {np.shape(images)} but must be (n, height, width), (n, height, width, 1) or "
            "(n, height, width, 3): grey or RGB, the channels last"
        )
    if not array.size:
        raise UserError(f"{name}: no images: their shape is {np.shape(images)}")
    scale = _scale(array, name)
    found = np.empty((*array.shape[:3], 3), np.uint8)
    for part in _parts(len(array)):
        found[part] = array[part] if array.dtype == np.uint8 else np.rint(array[part] * scale)
    return found


def numbers(labels: Any, name: str) -> np.ndarray:
    """Labels as int64 (n,): whole numbers from 0 of shape (n,) or (n, 1), or one-hot rows of shape (n, classes).

    Whole numbers may be floats, as Keras has them of two classes.

    Raises:
        UserError: they are neither.
    """
    array = _array(labels, name)
    if array.ndim == 2 and array.shape[1] > 1:
        is_one = array == 1
        if not (is_one.sum(axis=1) == 1).all() or not ((array == 0) | is_one).all():
            raise UserError(f"{name}: labels of shape {array.shape} must be one-hot: a single 1 in each row, else 0")
        return is_one.argmax(axis=1).astype(np.int64)
    is_whole = array.dtype.kind in "iu" or (array.dtype.kind == "f" and bool((array == np.rint(array)).all()))
    if array.ndim not in (1, 2) or not is_whole:
        raise UserError(
            f"{name}: labels are {array.dtype} of shape {array.shape} but must be whole numbers (n,) from 0, "
            "or one-hot (n, classes)"
        )
    if array.size and not 0 <= array.min() <= array.max() < 2**31:
        raise UserError(f"{name}: labels are from {array.min()} to {array.max()}, but count classes from 0")
    return array.reshape(-1).astype(np.int64)


def _scale(array: np.ndarray, name: str) -> float:
    """What to multiply values by that they be 0..255."""
    if array.dtype.kind not in "iuf":
        raise UserError(f"{name}: images are {array.dtype} but must be uint8, other whole numbers, or floats")
    lows, highs = zip(*((array[part].min(), array[part].max()) for part in _parts(len(array))), strict=True)
    low, high = float(np.min(lows)), float(np.max(highs))  # NaN if any is
    if not (low >= 0 and high <= 255):
        raise UserError(
            f"{name}: images have values from {low:g} to {high:g}, but pixels are 0..255, or floats of 0..1: give them "
            "as they were before any preprocessing, which is a part of the models"
        )
    if array.dtype.kind == "f":
        return 255.0 if high <= 1 else 1.0
    if 0 < high <= 1:
        raise UserError(f"{name}: images are whole numbers and none is above 1, but pixels are 0..255: multiply by 255")
    return 1.0


def _array(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:  # of lists whose parts have several lengths
        raise UserError(f"{name}: is no array: {error}") from error


def _parts(count: int) -> Iterator[slice]:
    return (slice(begin, begin + AT_ONCE) for begin in range(0, count, AT_ONCE))
