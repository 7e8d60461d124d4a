"""What turns features into class probabilities; its hyperparameters are the same in both spaces."""

from typing import Any

import keras
import keras_tuner

STACK_BLOCKS = 2

NORM_MOMENTUM = 0.9
"""Of every batch normalization that is ours. Keras's 0.99 needs some 500 steps before the moving statistics, which
validation uses, mean anything."""


def declare(hp: keras_tuner.HyperParameters) -> None:
    """Dropout of the features, then up to three hidden layers.

    `dense_units` is the width of the first one; under `dense_taper` each further one is half as wide. `dropout` follows
    each hidden layer.
    """
    hp.Float("feature_dropout", 0.0, 0.6, step=0.05, default=0.0)
    hp.Int("dense_layers", 0, 3, default=1)
    with hp.conditional_scope("dense_layers", [1, 2, 3]):
        hp.Int("dense_units", 32, 1024, sampling="log", default=256)
        hp.Boolean("dense_batch_norm", default=False)
        hp.Float("dropout", 0.0, 0.6, step=0.05, default=0.0)
    with hp.conditional_scope("dense_layers", [2, 3]):
        hp.Boolean("dense_taper", default=False)


def pool(features: Any, pooling: str) -> Any:
    """Feature maps to a vector: "flatten" keeps every position, "average" takes the mean over positions."""
    kind = keras.layers.Flatten if pooling == "flatten" else keras.layers.GlobalAveragePooling2D
    return kind(name="features")(features)


def declare_conv_stack(hp: keras_tuner.HyperParameters) -> None:
    """The width of a `conv_stack`'s first block, and the dropout after each block."""
    hp.Choice("stack_filters", [32, 64, 128], default=32)
    hp.Float("stack_dropout", 0.0, 0.4, step=0.05, default=0.0)


def conv_stack(hp: keras_tuner.HyperParameters, features: Any) -> Any:
    """Two blocks of (3x3 convolution, ReLU, batch norm) twice, 2x2 max-pooling and dropout, the second twice as wide.

    Poolings are padded ("same"), because small images leave a backbone as a single position, which cannot be halved.
    """
    x = features
    for block in range(STACK_BLOCKS):
        for number in (1, 2):
            name = f"stack{block + 1}_{{}}{number}"
            filters = hp.get("stack_filters") * 2**block
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name.format("conv"))(x)
            x = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, name=name.format("norm"))(x)
        x = keras.layers.MaxPooling2D(padding="same", name=f"stack{block + 1}_pool")(x)
        x = keras.layers.Dropout(hp.get("stack_dropout"), name=f"stack{block + 1}_dropout")(x)
    return x


def classify(hp: keras_tuner.HyperParameters, features: Any, classes: int) -> Any:
    """Hidden layers, then probabilities in float32 whatever the precision of the rest."""
    x = keras.layers.Dropout(hp.get("feature_dropout"))(features) if hp.get("feature_dropout") else features
    for number in range(hp.get("dense_layers")):
        tapered = number if hp.get("dense_layers") > 1 and hp.get("dense_taper") else 0
        x = keras.layers.Dense(max(1, hp.get("dense_units") // 2**tapered), activation="relu")(x)
        if hp.get("dense_batch_norm"):
            x = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM)(x)
        if hp.get("dropout"):
            x = keras.layers.Dropout(hp.get("dropout"))(x)
    return keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(x)
