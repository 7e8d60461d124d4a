"""A search space: what may vary, and the model that one configuration stands for."""

from dataclasses import dataclass

import keras
import keras_tuner


@dataclass(frozen=True)
class Task:
    """What a space has to know of the job: the images, the classes, and how long a trial lasts at most."""

    image_size: int
    classes: int
    training_images: int
    max_epochs: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image: a square in RGB."""
        return (self.image_size, self.image_size, 3)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of batches in one epoch, the last and smaller one included."""
        return -(-self.training_images // batch_size)


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
