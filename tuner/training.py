"""Train one configuration, an epoch at a time. No Ray in here."""

import math
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import keras
import keras_tuner
import numpy as np

from search_spaces.hyperparameter import Value
from search_spaces.space import populated
from tuner.datasets import ImageData
from tuner.errors import TrialFailure

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
VALIDATION_BATCH = 256


class Training:
    """One configuration in training.

    Args:
        space: any KerasTuner HyperModel; its model must report "accuracy".
        configuration: the values of the space's active hyperparameters.
        data: what to train and validate on.
        seed: of weights, shuffling, dropout and augmentation.
        dtype_policy: Keras's, such as "float32" or "mixed_bfloat16".

    Raises:
        TrialFailure: the model cannot be built.
    """

    def __init__(
        self,
        space: keras_tuner.HyperModel,
        configuration: Mapping[str, Value],
        data: ImageData,
        seed: int,
        dtype_policy: str = "float32",
    ) -> None:
        keras.config.set_dtype_policy(dtype_policy)
        keras.utils.set_random_seed(seed)
        self.epoch = 0
        self._space = space
        self._hp = populated(configuration)
        # A user's own `fit` chooses the batch size itself, as KerasTuner's guide shows it.
        chooses = type(space).fit is not keras_tuner.HyperModel.fit
        self._batch_size = None if chooses else configuration.get("batch_size")
        with _failures("the model cannot be built"):
            self.model = space.build(self._hp)
        self._train = (data.train_images, self._targets(data.train_labels, data))
        self._validation = (data.validation_images, self._targets(data.validation_labels, data))

    def run_epoch(self) -> dict[str, float]:
        """Train for one more epoch and validate: "epoch", "parameters", `METRICS` and "seconds".

        Raises:
            TrialFailure: the loss is no longer finite, memory ran out, or the model or its training raised.
        """
        began = time.monotonic()
        with _failures(f"epoch {self.epoch + 1} failed"):
            history = self._fit().history
        self.epoch += 1
        metrics = {name: float(history[name][-1]) for name in METRICS if history.get(name)}
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise TrialFailure(f"diverged: {name} is {value} in epoch {self.epoch}")
        missing = [name for name in METRICS if name not in metrics]
        if missing:
            raise TrialFailure(f"the model reports no {', '.join(missing)}: compile it with metrics=['accuracy']")
        seconds = time.monotonic() - began
        return {"epoch": self.epoch, "parameters": self.model.count_params(), "seconds": seconds, **metrics}

    def save_model(self, path: Path) -> None:
        """Write the model as .keras, for inference: without optimizer, loss or any of this project's code.

        Raises:
            TrialFailure: it cannot be saved.
        """
        with _failures("the model cannot be saved"):
            if getattr(self.model, "inputs", None):
                keras.Model(self.model.inputs, self.model.outputs).save(path)
            else:  # a user's subclass of keras.Model has no graph to take
                self.model.save(path, include_optimizer=False)

    def _fit(self) -> keras.callbacks.History:
        batch_size = {"batch_size": self._batch_size, "validation_batch_size": VALIDATION_BATCH}
        return self._space.fit(
            self._hp,
            self.model,
            x=self._train[0],
            y=self._train[1],
            validation_data=self._validation,
            initial_epoch=self.epoch,
            epochs=self.epoch + 1,
            callbacks=[keras.callbacks.TerminateOnNaN()],
            verbose=0,
            **(batch_size if self._batch_size else {}),
        )

    def _targets(self, labels: np.ndarray, data: ImageData) -> np.ndarray:
        """One-hot labels, or the labels themselves for a loss that wants them (KerasTuner has both kinds of spaces)."""
        loss = self.model.loss
        name = loss if isinstance(loss, str) else f"{type(loss).__name__} {getattr(loss, '__name__', '')}"
        return labels if "sparse" in name.lower() else keras.utils.to_categorical(labels, len(data.class_names))


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """Turn whatever the model or the library raises into a TrialFailure; the traceback goes to the log."""
    try:
        yield
    except Exception as error:
        traceback.print_exc()
        text = _first_words(error)
        kind = type(error).__name__
        if isinstance(error, MemoryError) or kind == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error):
            raise TrialFailure(f"out of memory: {text}") from error
        raise TrialFailure(f"{what}: {kind}: {text}") from error


def _first_words(error: Exception) -> str:
    """The first line that says something; TensorFlow begins with where in its graph it happened."""
    lines = (line.strip() for line in str(error).splitlines())
    empty = ("Graph execution error", "Detected at node", "File ", "<stack")
    return next((line for line in lines if line and not line.startswith(empty)), "")[:300]
