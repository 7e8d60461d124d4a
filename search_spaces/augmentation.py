"""Random changes of the training images, as layers at the start of the model; in inference they do nothing."""

from typing import Any

import keras
import keras_tuner

PIXEL_RANGE = (0, 255)
MOST_STRENGTH = 0.3


def declare(hp: keras_tuner.HyperParameters) -> None:
    """`augmentation` and how strong it is.

    light flips horizontally and shifts; standard also rotates, zooms and changes the contrast, each by a share of up to
    `augmentation_strength` (of the side, of a full turn, of the size, of the contrast); randaugment draws two of
    Keras's operations a batch (Cubuk et al. 2020, arXiv:1909.13719, draws them an image) at that magnitude.
    """
    hp.Choice("augmentation", ["none", "light", "standard", "randaugment"], default="none")
    with hp.conditional_scope("augmentation", ["light", "standard", "randaugment"]):
        hp.Float("augmentation_strength", 0.05, MOST_STRENGTH, step=0.05, default=0.1)


def apply(hp: keras_tuner.HyperParameters, pixels: Any) -> Any:
    """The pixels after the augmentation that `hp` asks for. float32, so that 0..255 keeps its precision."""
    kind = hp.get("augmentation")
    if kind == "none":
        return pixels
    share = hp.get("augmentation_strength")
    if kind == "randaugment":
        layer = keras.layers.RandAugment(PIXEL_RANGE, num_ops=2, factor=share, dtype="float32")
        # Keras takes `factor` for the bits that are left too: the weakest would leave one. The paper has 8 to 4.
        bits = 8 - round(4 * share / MOST_STRENGTH)
        layer.random_posterization = keras.layers.RandomPosterization((bits, bits), PIXEL_RANGE, dtype="float32")
        return layer(pixels)
    x = keras.layers.RandomFlip("horizontal", dtype="float32")(pixels)
    x = keras.layers.RandomTranslation(share, share, dtype="float32")(x)
    if kind == "standard":
        x = keras.layers.RandomRotation(share, dtype="float32")(x)
        x = keras.layers.RandomZoom(share, dtype="float32")(x)
        x = keras.layers.RandomContrast(share, value_range=PIXEL_RANGE, dtype="float32")(x)
    return x
