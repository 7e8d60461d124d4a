"""How long a model takes for one image, also while other trials take turns on the same processors.

A time alone says as much of the machine's other work as of the model. So each call of the model stands between calls of
a small reference network that take about as long together: what slows the one slows the other, and the share by which
the reference is slower than at its quickest is taken off.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

ROUNDS, LEAST_ROUNDS = 25, 3
LONGEST = 1.0
"""Seconds after which rounds end, once there are the least."""
BLOCK, LONGEST_BLOCK = 10, 200
"""Calls of the reference in a row: a single one's time is as chancy as what it is to correct."""
SIDE = 64
"""Pixels of the reference's image."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one image, and the standard error of that."""

    milliseconds: float
    spread: float


class LatencyMeter:
    """Measures one model after another.

    Args:
        reference: one call of the reference network.
        clock: in seconds.
    """

    def __init__(self, reference: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> None:
        self._reference, self._clock = reference, clock
        reference()  # it is traced
        self._quickest = math.inf
        """Seconds that a call of the reference takes when the machine is at its quietest, as far as that was seen."""
        for _ in range(LEAST_ROUNDS):
            self._seconds_of_reference(BLOCK)

    def measure(self, call: Callable[[], object]) -> Latency:
        """Return its latency. `call` has been called before, so that it is traced.

        A ratio of sums, because processes that take turns make single times twice as long or not at all: only on the
        whole they slow model and reference alike.
        """
        rounds: list[tuple[float, float]] = []
        began = self._clock()
        count = min(max(BLOCK, round(self._seconds(call) / self._quickest)), LONGEST_BLOCK)
        while len(rounds) < ROUNDS and (len(rounds) < LEAST_ROUNDS or self._clock() - began < LONGEST):
            before = self._seconds_of_reference(count)
            seconds = self._seconds(call)
            rounds.append((seconds, (before + self._seconds_of_reference(count)) / 2))
        model, reference = np.array(rounds).T
        ratio = model.sum() / reference.sum()
        error = np.std(model - ratio * reference, ddof=1) / np.sqrt(len(rounds)) / reference.mean()
        return Latency(float(1000 * self._quickest * ratio), float(1000 * self._quickest * error))

    def _seconds(self, call: Callable[[], object]) -> float:
        began = self._clock()
        call()
        return self._clock() - began

    def _seconds_of_reference(self, count: int) -> float:
        """Of one call, the mean over so many in a row."""
        began = self._clock()
        for _ in range(count):
            self._reference()
        mean = (self._clock() - began) / count
        self._quickest = min(mean, self._quickest)
        return mean


def reference_network() -> Callable[[], object]:
    """Return a call of a small convolutional network on one image, as trials' models are called."""
    network = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3), dtype="float32"),
            *(keras.layers.Conv2D(width, 3, 2, activation="relu", dtype="float32") for width in (16, 32, 64)),
            keras.layers.GlobalAveragePooling2D(dtype="float32"),
        ]
    )
    image = np.zeros((1, SIDE, SIDE, 3), "float32")
    return lambda: network.predict_on_batch(image)
