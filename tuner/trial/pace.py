"""How long a trial takes to its first rung, as its first training steps tell."""

import time
from collections.abc import Callable
from typing import Any

import keras

from tuner.trial.errors import TooLong

UNTIMED = 2
"""Steps at the start of an epoch that are not timed: the first one traces the model."""
STEPS, SECONDS = 2, 0.5
"""Steps and seconds that must have been timed before they are believed."""


class Pace(keras.callbacks.Callback):
    """Ends a trial as soon as it is seen that it would not reach its first rung in time.

    Its first steps tell, and before these the first chunks of its frozen layers' features. A validation image is taken
    to cost as much as a training image: it costs less, and the rest is the margin.

    Args:
        epochs: until the first rung.
        validation: validation images, as a share of the training images.
        began: when the trial began, on `clock`.
        end: when it must have reached the rung, on `clock`.
        most: seconds that may be left to the rung once that is known; what has been spent is spent.
        clock: in seconds.
    """

    def __init__(
        self,
        epochs: int,
        validation: float,
        began: float,
        end: float,
        most: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._epochs, self._validation = epochs, validation
        self._began, self._end, self._most, self._clock = began, end, most, clock
        self._timed_from = began
        self._shares: tuple[float, float] | None = None
        """Of an array of features, the share that is there, and since when."""

    def on_features(self, share: float) -> None:
        """So much of an array of features is there, which is made before the first step.

        Raises:
            TooLong: the rest alone would take too long.
        """
        now = self._clock()
        if self._epochs <= 0:
            return
        if self._shares is None or share <= self._shares[0]:  # the first chunk traces, and another array begins anew
            self._shares = (share, now) if share else None
            return
        made, seconds = share - self._shares[0], now - self._shares[1]
        if seconds >= SECONDS:
            self._check(now, (1 - share) * seconds / made)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the time.

        Raises:
            TooLong: the other steps would take too long.
        """
        steps, now = self.params.get("steps"), self._clock()
        if self._epochs <= 0 or not steps or batch < UNTIMED:
            self._timed_from = now
            return
        timed, seconds = batch + 1 - UNTIMED, now - self._timed_from
        if timed >= STEPS and seconds >= SECONDS:
            others = steps - batch - 1 + (self._epochs - 1) * steps + self._epochs * steps * self._validation
            self._check(now, others * seconds / timed)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Count."""
        self._epochs -= 1

    def _check(self, now: float, seconds: float) -> None:
        if seconds > self._most or now + seconds > self._end:
            raise TooLong(now + seconds - self._began)
