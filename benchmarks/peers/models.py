"""What the peers train: the same models, written once, as their users write them."""

import keras
import numpy as np

BATCH = 64
EPOCHS = 4
"""The most that a trial of a search trains."""
LAYERS = 86
"""Of MobileNet."""


def images(path):
    data = np.load(path)
    return (data["x_train"], data["y_train"]), (data["x_val"], data["y_val"])


def compiled(model, learning_rate):
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def finetuned(weights, unfrozen_layers, learning_rate, dropout=0.0):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Resizing(96, 96)(inputs)
    x = keras.applications.mobilenet.preprocess_input(x)
    base = keras.applications.MobileNet(include_top=False, weights=weights, input_tensor=x)
    thawed = base.layers[-unfrozen_layers:] if unfrozen_layers else []
    for layer in base.layers:
        layer.trainable = layer in thawed and not isinstance(layer, keras.layers.BatchNormalization)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dropout(dropout)(x)
    outputs = keras.layers.Dense(10, activation="softmax")(x)
    return compiled(keras.Model(inputs, outputs), learning_rate)


def cnn(blocks, filters, learning_rate, dropout):
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 127.5, offset=-1)])
    for block in range(blocks):
        for _ in range(2):
            model.add(keras.layers.Conv2D(filters * 2**block, 3, padding="same"))
            model.add(keras.layers.BatchNormalization(momentum=0.9))
            model.add(keras.layers.ReLU())
        model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(256, activation="relu"))
    model.add(keras.layers.Dropout(dropout))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return compiled(model, learning_rate)
