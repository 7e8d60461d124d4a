"""Train one configuration, an epoch at a time. No Ray in here."""

import dataclasses
import math
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from search_spaces.causes import cause, told
from search_spaces.fit_call import call_fit
from search_spaces.hyperparameter import Value
from search_spaces.optimization import CROSS_ENTROPY
from search_spaces.outputs import Outputs, meaning_by_graph, with_probabilities
from search_spaces.space import VALIDATION_BATCH, populated
from tuner.trial.checkpoint import Checkpoint
from tuner.trial.course import CannotReplay, Course, Report
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
OPTIONAL = (CROSS_ENTROPY, f"val_{CROSS_ENTROPY}")
"""Reported by models that have them: those of the bundled spaces do."""
READY: Mapping[str, Any] = {}
"""Handed over before the first epoch to be trained."""


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
        checkpoint: to go on from, as if nothing had happened; where that cannot be, the trial begins anew.

    Raises:
        TrialFailure: the model cannot be built.
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
        self.epoch = 0
        self.model: keras.Model
        self._space, self._configuration, self._data = space, dict(configuration), data
        self._epochs, self._seed, self._dtype_policy = epochs, seed, dtype_policy
        self._features, self._views, self._traced = features, views, traced
        if checkpoint is None or not self._goes_on(checkpoint):
            self._steps = Lockstep(partial(self._work, None))
            with _failures("the model cannot be built"):
                self._steps.next()

    def _goes_on(self, checkpoint: Checkpoint) -> bool:
        """Come to where a checkpoint is. False, and the log says why, where that cannot be done exactly."""
        self._steps = Lockstep(partial(self._work, checkpoint))
        try:
            if checkpoint.obstacle:
                raise CannotReplay(checkpoint.obstacle)
            if self._steps.next() is not READY:
                raise CannotReplay("its fit() does not do the same again")
        except (Exception, CannotReplay) as error:
            self._steps.close()
            print(
                f"The trial begins anew and does not go on after epoch {checkpoint.epoch}, because this would not end "
                f"the same: {cause(error)}",
                file=sys.stderr,
            )
            return False
        self.epoch = checkpoint.epoch
        return True

    def watch(self, callback: keras.callbacks.Callback) -> None:
        """Let `callback` see the training, from its first step on; a `TooLong` that it raises ends it."""
        self._course.observers.append(callback)

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
        logs = self._outputs.named(logs)
        metrics = {name: float(logs[name]) for name in (*METRICS, *OPTIONAL) if name in logs}
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

        What is written gives a probability a class; its own outputs may be logits or sigmoids.

        Augmentation would act wherever the model is called as a function, in a SavedModel too: there Keras's (3.15)
        layers take `training=True` for granted.

        Raises:
            TrialFailure: it cannot be saved.
            OSError: nothing can be written there.
        """
        try:
            with _failures("the model cannot be saved"):
                plain = without(self.model, is_augmentation)
                with_probabilities(plain, self._outputs.meaning).save(path, include_optimizer=False)
        except TrialFailure as failure:
            if isinstance(failure.__cause__, OSError):
                raise failure.__cause__ from None
            raise

    def checkpoint(self, results: Sequence[Mapping[str, Any]]) -> Checkpoint:
        """To go on from after the latest epoch, in another process; with what was said of each epoch."""
        if self._report.is_called:  # by a loop of the user's own
            return Checkpoint(self.epoch, results, obstacle="its fit() calls the callbacks itself")
        return self._course.checkpoint(self.epoch, results)

    def close(self) -> None:
        """End the training where it is."""
        self._steps.close()

    def _work(self, checkpoint: Checkpoint | None, hand_over: Callable[[Mapping[str, Any]], None]) -> None:
        """Build, hand over `READY`, fit and hand over each epoch's metrics. Keras keeps its settings by thread."""
        keras.config.set_dtype_policy(self._dtype_policy)
        set_random_seed(self._seed)
        hp = populated(self._configuration)
        self._space.declare_hyperparameters(hp)
        self.model = model = self._space.build(hp)
        data, classes = self._data, len(self._data.class_names)
        if not model.built:  # a subclass, or Sequential without an Input: Keras would build it in fit
            model(keras.ops.convert_to_tensor(data.train_images[:1]))
        self._outputs = outputs = Outputs.of(model, classes, data.train_images[:1])
        self._course = Course(model, checkpoint, lambda: hand_over(READY))
        Fitting(model, self._features, self._seed, self._views, self._traced, self._course)
        self._given, self._is_known = model, False

        def reported(trained: keras.Model | None, logs: Mapping[str, Any]) -> None:
            self._keep(trained)
            hand_over(logs)

        self._report = Report(reported)
        if checkpoint is None:
            hand_over(READY)
        with self._course.begun():
            result = call_fit(
                self._space,
                hp,
                model,
                (data.train_images, outputs.targets(data.train_labels)),
                lambda: self.epoch > 0 or self._is_known,
                validation_data=(data.validation_images, outputs.targets(data.validation_labels)),
                epochs=self._epochs,
                callbacks=[keras.callbacks.TerminateOnNaN(), self._report],
                verbose=0,
                **self._batch_size(),
            )
        if not self.epoch:  # it left out the callbacks
            logs = _final_metrics(result)
            self._keep(result.model if isinstance(result, keras.callbacks.History) else None)
            hand_over(logs)

    def _keep(self, trained: keras.Model | None) -> None:
        """See that the model whose metrics are told is the one to hand over.

        Args:
            trained: None where that is not known.

        Raises:
            TrialFailure: it cannot be known which one is.
        """
        if trained is None or trained is self.model or _is_within(self.model, trained):
            is_told = self._is_known or (trained is self.model and not self._report.is_called)
            self._is_known = True
            if not is_told and self.model is self._given and not self._is_trained():
                raise TrialFailure(
                    "its fit() leaves the model that it is given untrained, so there is none to hand over: train that "
                    "one by model.fit(), or hand the callbacks on to the model.fit() that counts"
                )
        elif self._is_known:
            raise TrialFailure(
                "its fit() trains several models (folds?), so which one to hand over is not known: hand the callbacks "
                "on to one model.fit() only, best of the model that fit() is given"
            )
        else:
            self.model, self._is_known = trained, True
            self._outputs = dataclasses.replace(self._outputs, meaning=meaning_by_graph(trained))

    def _is_trained(self) -> bool:
        model = self._given
        if not model.trainable_variables or (model.optimizer is not None and int(model.optimizer._iterations)):
            return True
        return self._course.changes.is_of_other_variables or bool(self._course.changes.found())

    def _batch_size(self) -> dict[str, Value]:
        """A space with a `fit` of its own chooses the batch size itself, as KerasTuner's guide shows it."""
        if type(self._space).fit is not keras_tuner.HyperModel.fit or "batch_size" not in self._configuration:
            return {}
        return {"batch_size": self._configuration["batch_size"], "validation_batch_size": VALIDATION_BATCH}


def _is_within(model: keras.Model, other: keras.Model) -> bool:
    """Whether whoever trains the other one trains this one, as by a model around it."""
    theirs = {id(variable) for variable in other.variables}
    return all(id(variable) in theirs for variable in model.trainable_variables)


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
        kind = type(error).__name__
        if isinstance(error, MemoryError) or kind == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in str(error):
            raise OutOfMemory(f"{OUT_OF_MEMORY}: {cause(error)}") from error
        raise TrialFailure(f"{what}: {told(error)}") from error
