"""What every configuration of ours must be able to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from search_spaces.configuration import Configuration
from search_spaces.space import SearchSpace, populated

IMAGES = 4


@contextmanager
def _without_tracing() -> Iterator[None]:
    """Tracing a large network takes longer than the few steps that it is traced for."""
    if keras.config.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def check_life(space: SearchSpace, configuration: Configuration, folder: Path) -> keras.Model:
    """Build the model, train it for a step in each stage, save it, load it: it predicts probabilities, and the same."""
    hp = populated(configuration | {"learning_rate": 1e-3})  # at the end of its range a step may be one too far
    model = space.build(hp)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, *space.task.input_shape), dtype=np.uint8)
    labels = np.eye(space.task.classes, dtype="float32")[np.arange(IMAGES) % space.task.classes]
    with _without_tracing():
        history = space.fit(
            hp, model, images, labels, epochs=space.task.max_epochs, validation_data=(images, labels), verbose=0
        )
    assert history.epoch == list(range(space.task.max_epochs))
    keras.Model(model.inputs, model.outputs).save(folder / "model.keras")
    before = model.predict(images, verbose=0)
    loaded = keras.models.load_model(folder / "model.keras")
    np.testing.assert_allclose(loaded.predict(images, verbose=0), before, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(before.sum(axis=1), 1, rtol=1e-4)
    keras.utils.clear_session()
    return model
