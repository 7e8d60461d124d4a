"""Two models as KerasTuner's users write them, after its guides: they know nothing of Thaw.

`DropoutCNN` is a HyperModel with conditional scopes and a `fit` of its own; `build_model` is a build function.
"""

from typing import Any

import keras
import keras_tuner as kt
from keras import layers


class DropoutCNN(kt.HyperModel):
    def build(self, hp: kt.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255)])
        model_type = hp.Choice("model_type", ["mlp", "cnn"])
        with hp.conditional_scope("model_type", ["cnn"]):
            if model_type == "cnn":
                for i in range(hp.Int("conv_blocks", 1, 2, default=1)):
                    model.add(layers.Conv2D(hp.Int(f"filters_{i}", 8, 16, step=8), 3, activation="relu"))
                    model.add(layers.MaxPooling2D())
        with hp.conditional_scope("model_type", ["mlp"]):
            if model_type == "mlp":
                model.add(layers.AveragePooling2D(hp.Choice("shrink", [2, 4])))
        model.add(layers.Flatten())
        if hp.Boolean("dropout"):
            model.add(layers.Dropout(0.25))
        model.add(layers.Dense(10, activation="softmax"))
        model.compile(
            optimizer=keras.optimizers.Adam(hp.Float("lr", 1e-3, 1e-1, sampling="log")),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model

    def fit(self, hp: kt.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, batch_size=hp.Choice("batch_size", [32, 64]), shuffle=hp.Boolean("shuffle"), **kwargs)


def build_model(hp: kt.HyperParameters) -> keras.Model:
    inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Flatten()(x)
    for i in range(hp.Int("num_layers", 1, 3)):
        x = layers.Dense(units=hp.Int(f"units_{i}", min_value=16, max_value=48, step=16), activation="relu")(x)
    outputs = layers.Dense(10, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(learning_rate), loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def build_nothing(hp: kt.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
