"""A search space: what may vary, and the model that one configuration stands for."""

from collections.abc import Mapping

import keras
import keras_tuner

from search_spaces.hyperparameter import Value
from search_spaces.task import Task


class SearchSpace(keras_tuner.HyperModel):
    """A KerasTuner HyperModel whose hyperparameters are known before any model is built.

    Models take raw pixels (0..255, shape `task.input_shape`) and give class probabilities; they are compiled for
    one-hot labels with the metric "accuracy". They are flat functional graphs: no model is nested in another.
    """

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
        """Build and compile the model of `hp`'s values; what `hp` does not have yet takes its default."""
        raise NotImplementedError


def populated(configuration: Mapping[str, Value]) -> keras_tuner.HyperParameters:
    """KerasTuner's container with the values of a configuration set, ready for `space.build`."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(configuration)
    return hp
