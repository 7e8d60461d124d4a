"""A search space: what may vary, the model that one configuration stands for, and how that model is trained."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import keras
import keras_tuner
import numpy as np

from search_spaces import mixing, optimization
from search_spaces.hyperparameter import Value
from search_spaces.task import Task

VALIDATION_BATCH = 256


class SearchSpace(keras_tuner.HyperModel):
    """A KerasTuner HyperModel whose hyperparameters are known before any model is built.

    Models take raw pixels (0..255, shape `task.input_shape`) and give class probabilities; they are compiled for
    one-hot labels with the metric "accuracy". They are flat functional graphs: no model is nested in another.

    A trial has one or more stages: from each one's first epoch on other layers train, with an optimizer of its own.
    """

    not_drawn: frozenset[str] = frozenset({"early_stopping"})
    """Hyperparameters that a search leaves at their default: they are there for whoever sets them."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """Register every hyperparameter on `hp`, conditions included, and build nothing."""
        raise NotImplementedError

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """KerasTuner's own hook for the same, so that its tuners can search these spaces too."""
        self.declare(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build the model of `hp`'s values, compiled for its first stage; what `hp` does not have takes its default."""
        raise NotImplementedError

    def stages(self, hp: keras_tuner.HyperParameters) -> Sequence[int]:
        """The first epoch of each stage, ascending from 0."""
        return (0,)

    def begin_stage(self, hp: keras_tuner.HyperParameters, model: keras.Model, stage: int) -> None:
        """Make the layers of that stage trainable, the others not, and compile the model."""
        raise NotImplementedError

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, x: Any, y: Any, epochs: int = 1, **options: Any
    ) -> keras.callbacks.History:
        """Train `model` stage by stage; `options` are those of `keras.Model.fit`.

        Returns:
            One history over all stages. Early stopping ends a stage, and the next one begins in its own epoch.
        """
        whole = keras.callbacks.History()
        whole.set_model(model)
        whole.on_train_begin()
        given = {"validation_batch_size": VALIDATION_BATCH} | options
        given.pop("batch_size", None)  # it is a hyperparameter here
        given["callbacks"] = list(options.get("callbacks") or [])
        initial_epoch = given.pop("initial_epoch", 0)
        data: dict[str, Any] = {"x": x, "y": y, "batch_size": hp.get("batch_size")}
        if hp.get("mix") != "none":
            # They are in an order of their own; that of Keras would depend on what was drawn before.
            batches = mixing.MixedBatches(hp, x, y)
            data = {"x": batches, "shuffle": False}
            given["callbacks"].insert(0, mixing.Follow(batches))
        begins = [min(begin, epochs) for begin in self.stages(hp)]
        for stage, (begin, end) in enumerate(pairwise([*begins, epochs])):
            if end <= max(begin, initial_epoch):
                continue
            if stage:
                self.begin_stage(hp, model, stage)
            watchers = optimization.callbacks(hp) + given["callbacks"]
            part = model.fit(
                **data, **given | {"callbacks": watchers}, initial_epoch=max(begin, initial_epoch), epochs=end
            )
            whole.epoch += part.epoch
            for name, values in part.history.items():
                whole.history.setdefault(name, []).extend(values)
            if not np.isfinite(whole.history["loss"][-1]):
                break
        return whole


def populated(configuration: Mapping[str, Value]) -> keras_tuner.HyperParameters:
    """KerasTuner's container with the values of a configuration set, ready for `space.build`."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(configuration)
    return hp
