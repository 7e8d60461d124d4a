"""A user's space that writes down which epochs it was trained for, and has all the troubles that one can ask for."""

import os
import time
from typing import Any

import keras
import keras_tuner
import numpy as np


class Counted(keras_tuner.HyperModel):
    """A tiny network; `mood` says what becomes of it in its second epoch."""

    moods = ("good", "nan", "exception", "hang", "memory", "greedy")

    def __init__(self, input_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self._input_shape = input_shape

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        hp.Int("x", 0, 999)
        hp.Choice("mood", list(self.moods[:1]) if "EPOCH_SECONDS" in os.environ else list(self.moods))

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self.declare_hyperparameters(hp)
        layers = [
            keras.Input(self._input_shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
        model = keras.Sequential(layers)
        optimizer = keras.optimizers.Adam(1e-3 * (1 + hp.get("x")))
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **options: Any) -> Any:
        options["callbacks"] = [*options["callbacks"], _Trouble(hp.get("x"), hp.get("mood"))]
        return model.fit(*args, **options, batch_size=128)


class _Trouble(keras.callbacks.Callback):
    """Acts at the first step of an epoch: of epochs that another process has trained it is told too, but of no step."""

    def __init__(self, x: int, mood: str) -> None:
        super().__init__()
        self._x, self._mood, self._epoch = x, mood, 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == 0:
            self._act(self._epoch)

    def _act(self, epoch: int) -> None:
        with open(os.environ["EPOCHS_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{os.environ['SESSION']} {self._x} {epoch}\n")
        time.sleep(float(os.environ.get("EPOCH_SECONDS", 0)))
        if epoch == 1 and self._mood == "nan":
            self.model.layers[-1].set_weights([value * float("nan") for value in self.model.layers[-1].get_weights()])
        elif epoch == 1 and self._mood == "exception":
            raise ValueError("no such thing")
        elif epoch == 1 and self._mood == "hang":
            time.sleep(10_000)
        elif epoch == 1 and self._mood == "greedy":
            self.hoard = np.ones(500_000_000)
            time.sleep(60)
        elif epoch == 1 and self._mood == "memory":
            raise MemoryError("cannot allocate 8 EiB")
