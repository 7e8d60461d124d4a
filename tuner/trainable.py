"""The Ray face of training: one warm worker that trains trial after trial.

The training library is imported once a worker and the data fetched once from the object store; between trials Keras
is cleared. A trial that fails reports its reason and leaves the worker as warm as it was.
"""

import gc
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_tuner
from ray import tune

from results.best_models import BestModels
from tuner.datasets import ImageData
from tuner.errors import TrialFailure
from tuner.resources import TrialResources, prepare_process


@dataclass(frozen=True)
class TrialSettings:
    """What is the same for all trials of a study."""

    seed: int
    max_epochs: int
    dtype_policy: str
    resources: TrialResources
    best: Path


class WarmTrial(tune.Trainable):
    """A Ray trial whose config is {"trial": number, "configuration": {...}} and whose step is an epoch.

    A result has "epoch", the training's metrics and "parameters"; or, when the trial has failed, "failure" with the
    reason.
    """

    def setup(
        self, config: dict[str, Any], settings: TrialSettings, space: keras_tuner.HyperModel, data: ImageData
    ) -> None:  # type: ignore[override]
        prepare_process(settings.resources)
        self._settings = settings
        self._space = space
        self._data = data
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        import keras

        self._training = None
        keras.utils.clear_session(free_memory=False)
        gc.collect()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        try:
            return self._run_epoch()
        except TrialFailure as failure:
            return {"failure": str(failure), "val_accuracy": math.nan, "done": True}

    def _begin(self, config: dict[str, Any]) -> None:
        self._trial = config["trial"]
        self._configuration = config["configuration"]
        self._training: Any = None
        self._best_accuracy = -math.inf

    def _run_epoch(self) -> dict[str, Any]:
        from tuner.training import Training

        if self._training is None:  # here and not in setup: a model that cannot be built is a trial that fails
            self._training = Training(
                self._space, self._configuration, self._data, self._settings.seed, self._settings.dtype_policy
            )
        metrics = self._training.run_epoch()
        epoch = self._training.epoch
        if metrics["val_accuracy"] > self._best_accuracy:
            self._best_accuracy = metrics["val_accuracy"]
            BestModels(self._settings.best).offer(
                self._trial, epoch, metrics["val_accuracy"], self._training.save_model
            )
        parameters = self._training.model.count_params()
        done = epoch >= self._settings.max_epochs
        return {"epoch": epoch, "parameters": parameters, "done": done, **metrics}
