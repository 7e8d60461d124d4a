"""Which values are black and white in images of more than 8 bits a pixel: one pair for a whole data set."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

RARE = 1e-4
"""Share of the pixels that may lie beyond the levels: a sensor's hot pixels do not decide how all images look."""
_MOST_BITS = 64


@dataclass(frozen=True)
class Levels:
    """The values that become 0 and 255; what lies beyond is clipped.

    Raises:
        ValueError: white is not above black.
    """

    black: float
    white: float

    def __post_init__(self) -> None:
        if not -math.inf < self.black < self.white < math.inf:
            raise ValueError("white must be above black")

    def applied(self, values: np.ndarray) -> np.ndarray:
        """Values of any type as uint8 of the same shape."""
        scaled = (_numbers(values, np.float32) - self.black) * (255.0 / (self.white - self.black))
        return scaled.clip(0, 255).astype(np.uint8)

    def __str__(self) -> str:
        return f"{self.black:,.0f} to {self.white:,.0f}"


@dataclass(frozen=True)
class Bits:
    """How many pixels need how many bits; those of several images can be added."""

    positive: np.ndarray
    """At position b the number of values from 2**(b - 1) to 2**b, and at 0 those below 1."""
    negative: np.ndarray
    is_float: bool

    @classmethod
    def of(cls, values: np.ndarray) -> "Bits":
        """Of an image's values, whole numbers or floats."""
        numbers = _numbers(values, np.float64).ravel()
        bits = np.frexp(numbers)[1].clip(0, _MOST_BITS)
        is_negative = numbers < 0
        positive, negative = (
            np.bincount(bits[chosen], minlength=_MOST_BITS + 1) for chosen in (~is_negative, is_negative)
        )
        return cls(positive, negative, values.dtype.kind == "f")

    def __add__(self, other: "Bits") -> "Bits":
        return Bits(self.positive + other.positive, self.negative + other.negative, self.is_float or other.is_float)

    def levels(self) -> Levels:
        """Those of 8, 10, 12, 14, 16 or more bits, the fewest that hold nearly all values; 0 to 1 for such floats."""
        total = int(self.positive.sum() + self.negative.sum())
        above, below = (_needed(counts, total) for counts in (self.positive, self.negative))
        if self.is_float and above <= 1 and below == 0:
            return Levels(0.0, 1.0)
        return Levels(-(2.0**below) if below else 0.0, 2.0 ** max(above + above % 2, 8) - 1)


def levels_of(images: Iterable[np.ndarray]) -> Levels:
    """The levels of a data set of these images, at least one."""
    first, *others = map(Bits.of, images)
    return sum(others, start=first).levels()


def _needed(counts: np.ndarray, total: int) -> int:
    """Bits such that at most a few values need more."""
    as_many_or_more = counts[::-1].cumsum()[::-1]
    return int((as_many_or_more[1:] > RARE * total).sum())


def _numbers(values: np.ndarray, kind: type[np.floating]) -> np.ndarray:
    return np.nan_to_num(values.astype(kind))
