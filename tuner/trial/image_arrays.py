"""Arrays of images and labels as people have them, made into what trials take; what cannot be meant is refused."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from search_spaces.errors import UserError
from tuner.trial.pixel_scale import AT_ONCE, PixelScale, check_scale, decided_scale


@dataclass(frozen=True)
class Labelled:
    """Images as uint8 (n, height, width, 3) in RGB, and their labels as int64 (n,)."""

    images: np.ndarray
    labels: np.ndarray


def labelled(images: Any, labels: Any, name: str, scale: PixelScale) -> Labelled:
    """One split from its arrays; see `shaped` and `numbers`.

    Args:
        images: of the split.
        labels: of the split.
        name: what to call it in errors.
        scale: of the images.

    Raises:
        UserError: they are no such arrays, or not as many labels as images.
    """
    found = Labelled(pixels(shaped(images, name), scale), numbers(labels, name))
    if len(found.images) != len(found.labels):
        raise UserError(f"{name}: {len(found.images)} images but {len(found.labels)} labels: each image needs its own")
    return found


@dataclass(frozen=True)
class TrainScale:
    """The scale of all splits: given, or that of the training images."""

    scale: PixelScale
    notes: tuple[str, ...] = ()
    """What to tell a user of it."""
    brightest: float | None = None
    """The highest value of the training images, where they decided."""

    @classmethod
    def of(cls, images: Any, name: str, given: PixelScale | None) -> "TrainScale":
        """By the training images; where it is given they need not be there.

        Raises:
            UserError: they are no images, it cannot be told, or they are not on the one that is given.
        """
        if given is None:
            array = shaped(images, name)
            return cls(*decided_scale(array, name), float(array.max()))
        if images is not None:
            check_scale(shaped(images, name), name, given)
        return cls(given)

    def labelled(self, images: Any, labels: Any, name: str) -> Labelled:
        """Another split on the same scale.

        Raises:
            UserError: as `labelled`, or it is on another scale.
        """
        check_scale(shaped(images, name), name, self.scale, self.brightest)
        return labelled(images, labels, name, self.scale)


def shaped(images: Any, name: str) -> np.ndarray:
    """Images of shape (n, height, width), (n, height, width, 1) or (n, height, width, 3), with their channels last.

    Raises:
        UserError: another shape, or no images.
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
    return array


def pixels(images: np.ndarray, scale: PixelScale) -> np.ndarray:
    """Shaped images on that scale as uint8 RGB; grey becomes RGB."""
    found = np.empty((*images.shape[:3], 3), np.uint8)
    for begin in range(0, len(images), AT_ONCE):
        found[begin : begin + AT_ONCE] = scale.pixels(images[begin : begin + AT_ONCE])
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


def _array(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:  # of lists whose parts have several lengths
        raise UserError(f"{name}: is no array: {error}") from error
