"""Random changes of the training images, as layers at the start of the model; in inference they do nothing."""

from typing import Any

import keras
import keras_tuner


def declare(hp: keras_tuner.HyperParameters) -> None:
    """`augmentation`: none, or light (horizontal flip and shifts of up to a tenth)."""
    hp.Choice("augmentation", ["none", "light"], default="none")


def apply(hp: keras_tuner.HyperParameters, pixels: Any) -> Any:
    """The pixels after the augmentation that `hp` asks for. float32, so that 0..255 keeps its precision."""
    if hp.get("augmentation") == "light":
        pixels = keras.layers.RandomFlip("horizontal", dtype="float32")(pixels)
        pixels = keras.layers.RandomTranslation(0.1, 0.1, dtype="float32")(pixels)
    return pixels
