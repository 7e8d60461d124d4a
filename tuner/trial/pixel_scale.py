"""Which values of a user's images are black and white: decided by how all values are distributed, or refused."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from search_spaces.errors import UserError

AT_ONCE = 1024
"""Images that are looked at together: floats take four to eight times the memory of pixels."""
BEYOND = 0.5
"""Share of the scale by which resizing with Lanczos or bicubic filters never goes beyond black or white."""
OVERSHOOT = 0.02
"""What values are beyond black and white on average, as a share of the scale, is at most this after such resizing."""
DIM = 0.5
"""A data set whose brightest value is below this share of the scale may as well be on another scale."""
DIMMER = 0.1
"""The same of a split beside training images that are brighter."""
DEPTHS = (10, 12, 14, 16)
"""Bits of what cameras and scanners store in 16."""
ODD_VALUES, ODD_SHARE = 2, 0.01
"""Values, or the share of them, that may be far off in an image that is on the scale of the others."""
WHERE = "in an .npz file as an array of that name"
REMEDY = f"say which values are black and white: scale=(BLACK, WHITE), {WHERE}"


@dataclass(frozen=True)
class PixelScale:
    """The values that are black and white; what is beyond them is cut off."""

    black: float = 0.0
    white: float = 255.0

    def pixels(self, values: np.ndarray) -> np.ndarray:
        """Values on this scale as uint8."""
        if values.dtype == np.uint8 and self == BYTES:
            return values
        return np.rint(255 * np.clip(self.shares(values), 0, 1)).astype(np.uint8)

    def shares(self, values: np.ndarray) -> np.ndarray:
        """`share` of each."""
        kind = np.float32 if values.dtype.itemsize <= 4 and values.dtype.kind == "f" else np.float64
        numbers: np.ndarray = values.astype(kind)
        return np.asarray((numbers - kind(self.black)) / kind(self.white - self.black))

    def share(self, value: float) -> float:
        """Where a value is between black, 0, and white, 1."""
        return (value - self.black) / (self.white - self.black)

    def __str__(self) -> str:
        return f"({self.black:g}, {self.white:g})"


BYTES, UNIT = PixelScale(), PixelScale(0.0, 1.0)


class Values:
    """What has to be known of the values of images (n, height, width, channels) to tell their scale.

    Raises:
        UserError: values that are no numbers, or not finite.
    """

    def __init__(self, images: np.ndarray, name: str) -> None:
        if images.dtype.kind not in "iuf":
            raise UserError(f"{name}: images are {images.dtype} but must be uint8, other whole numbers, or floats")
        self.images, self.name = images, name
        self.lows, self.highs = self._each(lambda part: part.min(axis=1)), self._each(lambda part: part.max(axis=1))
        self.low, self.high = float(self.lows.min()), float(self.highs.max())
        if not np.isfinite([self.low, self.high]).all():
            first = int(np.argmin(np.isfinite(self.lows) & np.isfinite(self.highs)))
            raise UserError(
                f"{name}: images have values from {self.low:g} to {self.high:g}, but pixels are 0..255, or floats of "
                f"0..1: mend or leave out image {first} and its like"
            )

    @cached_property
    def are_whole(self) -> bool:
        """Whether none has a fraction."""
        return self.images.dtype.kind in "iu" or all((part == np.rint(part)).all() for part in self._parts())

    @cached_property
    def tolerated(self) -> int:
        """Images that may be unlike all others."""
        return 0 if len(self.images) < 20 else max(1, len(self.images) // 100)

    @cached_property
    def brightest(self) -> float:
        """The highest value, but for those of the few images that may be unlike all others."""
        return float(np.sort(self.highs)[-1 - self.tolerated])

    def fit(self, scale: PixelScale) -> bool:
        """Whether no more is beyond that scale than resizing explains, but for single values of a few images."""
        return int(self._odd(scale).sum()) <= self.tolerated and self._overshoot(scale) <= OVERSHOOT

    def check_alike(self, scale: PixelScale) -> None:
        """Refuse an image that is on another scale than the others.

        Raises:
            UserError: there is one.
        """
        for position in np.flatnonzero(self._odd(scale)):
            beyond = np.abs(scale.shares(self.images[position]) - 0.5) > 0.5 + BEYOND
            if beyond.sum() > max(ODD_VALUES, ODD_SHARE * beyond.size):
                raise UserError(
                    f"{self.name}: image {position} has values from {self.lows[position]:g} to "
                    f"{self.highs[position]:g}, but the others are on a scale of {scale}: give all of them on one"
                )

    def refusal(self, why: str = "", remedy: str = "") -> UserError:
        """The error that says that no scale is known."""
        return UserError(
            f"{self.name}: images have values from {self.low:g} to {self.high:g}{why}, but pixels are 0..255, or "
            f"floats of 0..1: {remedy or 'give them as they were before any preprocessing, or ' + REMEDY}"
        )

    def _odd(self, scale: PixelScale) -> np.ndarray:
        return np.asarray((scale.shares(self.lows) < -BEYOND) | (scale.shares(self.highs) > 1 + BEYOND))

    def _overshoot(self, scale: PixelScale) -> float:
        if scale.share(self.low) >= 0 and scale.share(self.high) <= 1:
            return 0.0

        def beyond(part: np.ndarray) -> np.ndarray:
            shares = np.clip(scale.shares(part), -BEYOND, 1 + BEYOND)
            return np.abs(shares - np.clip(shares, 0, 1)).mean(axis=1)

        return float(self._each(beyond).mean())

    def _each(self, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """A number an image."""
        found = [measure(part.reshape(len(part), -1)) for part in self._parts()]
        return np.concatenate(found).astype(np.float64)

    def _parts(self) -> Iterator[np.ndarray]:
        return (self.images[begin : begin + AT_ONCE] for begin in range(0, len(self.images), AT_ONCE))


def given_scale(scale: Any, name: str) -> PixelScale:
    """The scale that a user gives: the value of white, where black is 0, or the values of black and white.

    Raises:
        UserError: it is neither.
    """
    try:
        numbers = np.asarray(scale, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    black, white = (0.0, *numbers)[-2:] if len(numbers) in (1, 2) else (0.0, np.nan)
    if not (np.isfinite([black, white]).all() and black < white):
        raise UserError(
            f"{name}: scale {scale!r} must be the values of black and white, such as (0, 1), or that of white alone"
        )
    return PixelScale(float(black), float(white))


def decided_scale(images: np.ndarray, name: str) -> tuple[PixelScale, tuple[str, ...]]:
    """The scale of training images (n, height, width, channels), and what to tell a user of it.

    Raises:
        UserError: it cannot be told, or some images are on another one than the others.
    """
    values = Values(images, name)
    scale = _scale(values)
    values.check_alike(scale)
    if images.dtype == np.uint8:
        return scale, ()
    beyond = " (what is beyond is cut off)" if values.low < scale.black or values.high > scale.white else ""
    return scale, (
        f"{name}: {images.dtype} values from {values.low:g} to {values.high:g}, taken as {scale.black:g} for black and "
        f"{scale.white:g} for white{beyond}; scale=(BLACK, WHITE) says otherwise",
    )


def check_scale(images: np.ndarray, name: str, scale: PixelScale, brightest: float | None = None) -> None:
    """See that images may be on that scale, which was given or is that of the training images.

    Args:
        images: (n, height, width, channels).
        name: what to call them in errors.
        scale: to be checked.
        brightest: the highest value of the training images, by which the scale was told.

    Raises:
        UserError: they are not.
    """
    values = Values(images, name)
    bounds = f"{name}: images have values from {values.low:g} to {values.high:g}"
    remedy = "give all splits on one scale, or " + REMEDY
    if not values.fit(scale):
        raise UserError(f"{bounds}, but the scale is {scale} for all splits: {remedy}")
    values.check_alike(scale)
    if brightest is not None and 0 < scale.share(values.high) < DIMMER * scale.share(brightest):
        raise UserError(f"{bounds}, but the training images go up to {brightest:g}: {remedy}")


def _scale(values: Values) -> PixelScale:
    if values.low == values.high == 0:
        raise UserError(
            f"{values.name}: every value of the images is 0: if they were floats of 0..1 that became whole numbers, "
            "give them as they were"
        )
    if values.are_whole and values.brightest > 1:
        return _of_whole(values)
    if values.images.dtype.kind in "iu" and values.brightest <= 1 and values.low >= 0:
        raise UserError(
            f"{values.name}: images are whole numbers and none is above 1, but pixels are 0..255: multiply by 255, or "
            f"say scale=1, {WHERE}"
        )
    if values.fit(UNIT):
        return _bright(values, UNIT)
    if 1 + BEYOND < values.brightest < DIM * BYTES.white and values.low >= 0:
        return _bright(values, BYTES)
    if values.brightest >= DIM * BYTES.white and values.fit(BYTES):
        _check_no_unit(values)
        return BYTES
    raise _unknown(values)


def _check_no_unit(values: Values) -> None:
    """Refuse images of 0..1 among others of 0..255."""
    dark = np.flatnonzero((values.highs > 0) & (values.highs <= 1 + BEYOND))
    if len(dark) > values.tolerated:
        raise UserError(
            f"{values.name}: {len(dark)} of {len(values.images)} images, the first is {dark[0]}, have no value above "
            f"{1 + BEYOND:g}, but others up to {values.high:g}: give all of them on one scale"
        )


def _of_whole(values: Values) -> PixelScale:
    is_over = values.images.dtype.kind == "u" and values.high > BYTES.white  # unsigned: it has not been resized
    if values.fit(BYTES) and not is_over:
        return _bright(values, BYTES)
    if values.low >= 0:
        for whites in (2**bits - 1 for bits in DEPTHS):
            if values.high <= whites:
                return PixelScale(0.0, float(whites))
    raise _unknown(values)


def _bright(values: Values, scale: PixelScale) -> PixelScale:
    """The scale, unless the images are so dark on it that they may be on another one."""
    if scale.share(brightest := values.brightest) < DIM:
        raise UserError(
            f"{values.name}: images have values from {values.low:g} to {brightest:g}: on a scale of {scale} all would "
            f"be dark. If {brightest:g} is white, say scale={brightest:g}, else scale={scale.white:g}, "
            f"{WHERE}"
        )
    return scale


def _unknown(values: Values) -> UserError:
    if -1.25 <= values.low < 0 and values.high <= 1.25:
        half = 0.5 if values.low >= -0.55 and values.high <= 0.55 else 1
        return values.refusal(
            remedy=f"give them as they were before any preprocessing, or say scale=({-half:g}, {half:g}), {WHERE}"
        )
    mean = float(np.mean(values.images, dtype=np.float64))
    deviation = float(np.std(values.images, dtype=np.float64))
    if values.low < 0 and 0.5 < deviation < 2 and abs(mean) < 0.25 * deviation:
        return values.refusal(
            f" (mean {mean:.2g}, standard deviation {deviation:.2g}: they are standardised)",
            "give them as they were before any preprocessing, which is a part of the models",
        )
    return values.refusal()
