"""Models as KerasTuner's users write them, after its guides and in bug reports: they know nothing of Thaw.

`DropoutCNN` is a HyperModel with conditional scopes and a `fit` of its own; `build_model` is a build function.
"""

import json
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


def one_sigmoid(hp: kt.HyperParameters) -> keras.Model:
    """Two classes, one output: as in Keras's own example of cats and dogs."""
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Flatten()])
    model.add(layers.Dense(hp.Int("units", 4, 8), activation="relu"))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile("adam", loss=keras.losses.BinaryCrossentropy(), metrics=["acc"])
    return model


def one_logit(hp: kt.HyperParameters) -> keras.Model:
    """Two classes, one output without an activation, and no accuracy at all."""
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(1)])
    rate = hp.Float("lr", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss=keras.losses.BinaryCrossentropy(from_logits=True))
    return model


def sigmoid_a_class(hp: kt.HyperParameters) -> keras.Model:
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Flatten()])
    model.add(layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.25)))
    model.add(layers.Dense(10, activation="sigmoid"))
    model.compile("adam", loss="binary_crossentropy", metrics=[keras.metrics.CategoricalAccuracy()])
    return model


def focal(y_true: Any, y_pred: Any) -> Any:
    """A loss of one's own, on integer labels."""
    place = keras.ops.reshape(keras.ops.cast(y_true, "int32"), (-1, 1))
    right = keras.ops.take_along_axis(y_pred, place, axis=-1)
    return -keras.ops.mean(keras.ops.square(1 - right) * keras.ops.log(right + 1e-7))


class OwnLoss(kt.HyperModel):
    def build(self, hp: kt.HyperParameters) -> keras.Model:
        inputs = keras.Input((16, 16, 3))
        x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
        kind = hp.Choice("kind", ["linear", "mlp"])
        if kind == "mlp":
            x = layers.Dense(hp.Int("units", 8, 16, step=8), activation="relu")(x)
        model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x))
        model.compile("adam", loss={"head": focal},
                      metrics={"head": keras.metrics.SparseCategoricalAccuracy(name="head_accuracy")})  # fmt: skip
        return model


class EpochsInFit(OwnLoss):
    """As KerasTuner's documentation of `HyperModel` shows it."""

    def fit(self, hp: kt.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, epochs=hp.Int("epochs", 1, 3), verbose=2, **kwargs)


class BesideAFile(kt.HyperModel):
    """Reads what it needs from a file in the working folder."""

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        with open("widths.json") as file:
            widths = json.load(file)
        model = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Flatten()])
        model.add(layers.Dense(hp.Choice("units", widths), activation="relu"))
        model.add(layers.Dense(10))
        model.compile("adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                      metrics=[keras.metrics.SparseCategoricalAccuracy()])  # fmt: skip
        return model


class WithLambda(kt.HyperModel):
    def build(self, hp: kt.HyperParameters) -> keras.Model:
        scaled = layers.Lambda(lambda pixels: pixels / 255, output_shape=(16, 16, 3), name="scaled")
        model = keras.Sequential([keras.Input((16, 16, 3)), scaled, layers.Flatten()])
        if hp.Boolean("dropout"):
            model.add(layers.Dropout(hp.Float("rate", 0.1, 0.5)))
        model.add(layers.Dense(10, activation="softmax"))
        model.compile("adam", loss="categorical_crossentropy", metrics=["accuracy"])
        return model


class TwoAtOnce(kt.HyperModel):
    """Two scopes, both shut by default, and what only two values together ask for."""

    def build(self, hp: kt.HyperParameters) -> keras.Model:
        model = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255)])
        kind = hp.Choice("kind", ["none", "conv", "pool"])
        with hp.conditional_scope("kind", ["conv"]):
            if kind == "conv":
                model.add(layers.Conv2D(hp.Int("filters", 4, 8, step=4), 3))
        with hp.conditional_scope("kind", ["pool"]):
            if kind == "pool":
                model.add(layers.AveragePooling2D(hp.Int("pool", 2, 4, step=2)))
        model.add(layers.Flatten())
        if hp.Boolean("deep") and kind == "pool":
            model.add(layers.Dense(hp.Choice("units", [8, 16]), activation="relu"))
        model.add(layers.Dense(10, activation="softmax"))
        model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


BINARY = ("one_sigmoid", "one_logit")
TEN = (
    *("build_model", "DropoutCNN", "sigmoid_a_class", "OwnLoss", "EpochsInFit"),
    *("BesideAFile", "WithLambda", "TwoAtOnce"),
)
"""The names of those for two classes, and for ten."""
