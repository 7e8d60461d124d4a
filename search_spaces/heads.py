"""What turns features into class probabilities."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner


def declare_dropout(hp: keras_tuner.HyperParameters) -> None:
    """`dropout` before each dense layer, the output included."""
    hp.Float("dropout", 0.0, 0.6, step=0.05, default=0.0)


def declare_layers(hp: keras_tuner.HyperParameters) -> None:
    """`dense_layers` hidden layers of `dense_units` each, and `dropout`."""
    hp.Int("dense_layers", 0, 3, default=1)
    with hp.conditional_scope("dense_layers", [1, 2, 3]):
        hp.Choice("dense_units", [64, 128, 256, 512, 1024], default=256)
    declare_dropout(hp)


def pool(features: Any, pooling: str) -> Any:
    """Feature maps to a vector: "flatten" keeps every position, "average" takes the mean over positions."""
    if pooling == "flatten":
        return keras.layers.Flatten()(features)
    return keras.layers.GlobalAveragePooling2D()(features)


def classify(features: Any, units: Sequence[int], dropout: float, classes: int) -> Any:
    """Hidden layers of `units`, then probabilities in float32 whatever the precision of the rest."""
    x = features
    for width in units:
        x = keras.layers.Dropout(dropout)(x) if dropout else x
        x = keras.layers.Dense(width, activation="relu")(x)
    x = keras.layers.Dropout(dropout)(x) if dropout else x
    return keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
