"""One number to choose."""

from typing import Any

import keras
import keras_tuner


class Line(keras_tuner.HyperModel):
    """Nothing of it is ever trained."""

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """As ours do, so that nothing is built to know it."""
        hp.Float("x", 0.0, 1.0)

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        """A model, as a space has to have one."""
        self.declare(hp)
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
