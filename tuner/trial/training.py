"""Train one configuration, an epoch at a time. No Ray in here."""

import inspect
import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from search_spaces.hyperparameter import Value
from search_spaces.space import VALIDATION_BATCH, populated, targets
from tuner.trial.checkpoint import Changes, Checkpoint, Restore, counted
from tuner.trial.datasets import ImageData
from tuner.trial.errors import OUT_OF_MEMORY, Infeasible, OutOfMemory, TooLong, TrialFailure
from tuner.trial.features import Features
from tuner.trial.fitting import Fitting
from tuner.trial.frozen_prefix import is_augmentation
from tuner.trial.lockstep import Lockstep
from tuner.trial.model_graph import without
from tuner.trial.seeding import set_random_seed
from tuner.trial.traced import TracedModels

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


class Training:
    """One configuration in training.

    The space's `fit` is called once for all epochs, as KerasTuner does, so that what it does between epochs (callbacks,
    a loop of its own) is what its author meant; it runs in a thread that waits after each epoch.

    Args:
        space: any KerasTuner HyperModel; its model must report "accuracy".
        configuration: the values of the space's active hyperparameters.
        data: what to train and validate on.
        epochs: the most there will be.
        seed: of weights, shuffling, dropout and augmentation.
        dtype_policy: Keras's, such as "float32" or "mixed_bfloat16".
        features: where what a frozen prefix puts out is kept; without, the whole model trains.
        views: how many augmented views of the training images are kept there (see `Fitting`).
        traced: the worker's traced models (see `Fitting`).
        checkpoint: to go on from, as if nothing had happened; a `fit` that knows no `initial_epoch` begins anew.

    Raises:
        TrialFailure: the model cannot be built, or the checkpoint is of another one.
    """

    def __init__(
        self,
        space: keras_tuner.HyperModel,
        configuration: Mapping[str, Value],
        data: ImageData,
        epochs: int,
        seed: int,
        dtype_policy: str = "float32",
        features: Features | None = None,
        views: int = 0,
        traced: TracedModels | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        if not _can_go_on(space):
            checkpoint = None
        self.epoch = checkpoint.epoch if checkpoint else 0
        self._checkpoint = checkpoint
        self.model: keras.Model
        self._space, self._configuration, self._data = space, dict(configuration), data
        self._epochs, self._seed, self._dtype_policy = epochs, seed, dtype_policy
        self._features, self._views, self._traced = features, views, traced
        self._watching: list[keras.callbacks.Callback] = []
        self._steps = Lockstep(self._work)
        with _failures("the model cannot be built"):
            self._steps.next()

    def watch(self, callback: keras.callbacks.Callback) -> None:
        """Let `callback` see the training, from its first step on; a `TooLong` that it raises ends it."""
        self._watching.append(callback)

    def run_epoch(self) -> dict[str, float] | None:
        """Train for one more epoch and validate: "epoch", `METRICS` and "seconds".

        None when there is no further one: all are done, or the space's `fit` ended before.

        Raises:
            TrialFailure: the loss is no longer finite, memory ran out, or the model or its training raised.
            TooLong: who watches says so.
        """
        began = time.monotonic()
        with _failures(f"epoch {self.epoch + 1} failed"):
            logs = self._steps.next()
        if logs is None:
            return None
        self.epoch += 1
        metrics = {name: float(logs[name]) for name in METRICS if name in logs}
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise TrialFailure(f"diverged: {name} is {value} in epoch {self.epoch}")
        missing = [name for name in METRICS if name not in metrics]
        if missing:
            raise TrialFailure(f"the model reports no {', '.join(missing)}: compile it with metrics=['accuracy']")
        seconds = time.monotonic() - began
        return {"epoch": self.epoch, "seconds": seconds, **metrics}

    def measure(self, measure: Callable[[keras.Model], dict[str, float]]) -> dict[str, float]:
        """What `measure` says of the model, before it is trained.

        Raises:
            TrialFailure: the model cannot compute.
        """
        with _failures("the model cannot be used"):
            return measure(self.model)

    def save_model(self, path: Path) -> None:
        """Write the model as .keras, for inference: without optimizer, loss, augmentation or any of our code.

        Augmentation would act wherever the model is called as a function, in a SavedModel too: there Keras's (3.15)
        layers take `training=True` for granted.

        Raises:
            TrialFailure: it cannot be saved.
            OSError: nothing can be written there.
        """
        try:
            with _failures("the model cannot be saved"):
                without(self.model, is_augmentation).save(path, include_optimizer=False)
        except TrialFailure as failure:
            if isinstance(failure.__cause__, OSError):
                raise failure.__cause__ from None
            raise

    def checkpoint(self, results: Sequence[Mapping[str, Any]]) -> Checkpoint:
        """To go on from after the latest epoch, in another process; with what was said of each epoch."""
        fitting, position = self._fitting, self._report.position
        if self.model.stop_training:  # where the stage would have ended
            position = max(position, fitting.last_epoch)
        # After the last epoch of a stage the next one begins, with an optimizer and callbacks of its own.
        goes_on = position < fitting.last_epoch
        optimizer = [np.asarray(variable) for variable in self.model.optimizer.variables] if goes_on else []
        return Checkpoint(self.epoch, position, results, self._changes.found(), optimizer, counted(fitting.watchers))

    def close(self) -> None:
        """End the training where it is."""
        self._steps.close()

    def _work(self, hand_over: Callable[[Mapping[str, Any]], None]) -> None:
        """Build and hand over nothing; fit and hand over each epoch's metrics. Keras keeps its settings by thread."""
        keras.config.set_dtype_policy(self._dtype_policy)
        set_random_seed(self._seed)
        hp = populated(self._configuration)
        self._space.declare_hyperparameters(hp)
        self.model = self._space.build(hp)
        self._fitting = Fitting(self.model, self._features, self._seed, self._views, self._traced)
        data, classes = self._data, len(self._data.class_names)
        if not self.model.built:  # a subclass, or Sequential without an Input: Keras would build it in fit
            self.model(keras.ops.convert_to_tensor(data.train_images[:1]))
        self._changes = Changes(self.model)
        if self._checkpoint is not None:
            self._changes.restore(self._checkpoint.variables)
        hand_over({})
        self._report = report = _Report(hand_over)
        result = self._space.fit(
            hp,
            self.model,
            data.train_images,
            targets(self.model, data.train_labels, classes),
            validation_data=(data.validation_images, targets(self.model, data.validation_labels, classes)),
            epochs=self._epochs,
            callbacks=[keras.callbacks.TerminateOnNaN(), *self._restored(), *self._watching, report],
            verbose=0,
            **self._batch_size(),
            **self._begin(),
        )
        if not report.position and self._checkpoint is None:
            hand_over(_final_metrics(result))

    def _restored(self) -> list[keras.callbacks.Callback]:
        return [] if self._checkpoint is None else [Restore(self._checkpoint, lambda: self._fitting.watchers)]

    def _begin(self) -> dict[str, int]:
        """Not given unless it has to be, because a user's `fit` may not know it."""
        return {} if self._checkpoint is None else {"initial_epoch": self._checkpoint.position}

    def _batch_size(self) -> dict[str, Value]:
        """A space with a `fit` of its own chooses the batch size itself, as KerasTuner's guide shows it."""
        if type(self._space).fit is not keras_tuner.HyperModel.fit or "batch_size" not in self._configuration:
            return {}
        return {"batch_size": self._configuration["batch_size"], "validation_batch_size": VALIDATION_BATCH}


def _can_go_on(space: keras_tuner.HyperModel) -> bool:
    """Whether its `fit` can be told at which epoch to begin."""
    given = inspect.signature(type(space).fit).parameters.values()
    return any(one.name == "initial_epoch" or one.kind is one.VAR_KEYWORD for one in given)


class _Report(keras.callbacks.Callback):
    """Hands over the metrics of each epoch."""

    def __init__(self, hand_over: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._hand_over = hand_over
        self.position = 0
        """Keras's number of the next epoch."""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.position = epoch + 1
        self._hand_over(dict(logs or {}))


def _final_metrics(result: object) -> Mapping[str, Any]:
    """What a `fit` returned that left out the callbacks it was given: KerasTuner allows a History or a dict."""
    if isinstance(result, keras.callbacks.History):
        return {name: values[-1] for name, values in result.history.items()}
    if isinstance(result, Mapping):
        return result
    raise TrialFailure(
        f"its fit() returned {type(result).__name__}: hand the callbacks on to model.fit(), or return its History "
        f"or a dict with {', '.join(METRICS)}"
    )


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """Turn whatever the model or the library raises into a TrialFailure; the traceback goes to the log."""
    try:
        yield
    except (TrialFailure, Infeasible, TooLong):
        raise
    except Exception as error:
        traceback.print_exc()
        text = _first_words(error)
        kind = type(error).__name__
        if isinstance(error, MemoryError) or kind == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error):
            raise OutOfMemory(f"{OUT_OF_MEMORY}: {text}") from error
        raise TrialFailure(f"{what}: {kind}: {text}") from error


def _first_words(error: Exception) -> str:
    """The first line that says something; TensorFlow begins with where in its graph it happened."""
    lines = (line.strip() for line in str(error).splitlines())
    empty = ("Graph execution error", "Detected at node", "File ", "<stack")
    return next((line for line in lines if line and not line.startswith(empty)), "")[:300]
