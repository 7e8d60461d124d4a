"""The CNN from scratch."""

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.discovery import declared
from search_spaces.hyperparameter import Range
from search_spaces.space import populated
from search_spaces.task import Task
from tests.strategies import configurations

TASK = Task(image_size=32, classes=10, training_images=1000, max_epochs=5)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from([8, 15, 32, 64]))
def test_every_declared_configuration_builds_and_gives_probabilities(data: st.DataObject, size: int) -> None:
    space = CustomCNN(Task(size, 7, 300, 5))
    model = space.build(populated(data.draw(configurations(declared(space)))))
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    probabilities = model.predict(pixels, verbose=0)
    assert probabilities.shape == (2, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)
    keras.utils.clear_session()


def test_a_known_network_has_its_known_number_of_weights() -> None:
    """Three blocks of two convolutions from 32 filters and Dense(1024) on the flattened 4x4x128: counted by hand."""
    space = CustomCNN(TASK)
    given_values = {"blocks": 3, "convs_per_block": 2, "filters": 32, "pooling": "flatten", "dense_units": 1024}
    model = space.build(populated(complete(declared(space), given_values)))
    convolutions = [896, 9_248, 18_496, 36_928, 73_856, 147_584]
    norms = [4 * filters for filters in (32, 32, 64, 64, 128, 128)]
    assert model.count_params() == sum(convolutions) + sum(norms) + 2_098_176 + 10_250 == 2_397_226


@pytest.mark.parametrize(("size", "most"), [(8, 3), (15, 3), (16, 4), (32, 5), (224, 5)])
def test_blocks_are_limited_by_the_image_size(size: int, most: int) -> None:
    blocks = next(hp for hp in declared(CustomCNN(Task(size, 10, 1000, 5))) if hp.name == "blocks")
    assert isinstance(blocks.allowed, Range)
    assert blocks.allowed.high == most


def test_declaring_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras, "Model", None)
    assert [hp.name for hp in declared(CustomCNN(TASK))] == [
        "blocks", "convs_per_block", "filters", "batch_norm", "conv_dropout", "pooling", "dense_layers", "dense_units",
        "dropout", "augmentation", "learning_rate", "batch_size", "optimizer", "weight_decay", "label_smoothing",
        "schedule",
    ]  # fmt: skip


def test_augmentation_changes_training_images_only() -> None:
    space = CustomCNN(TASK)
    model = space.build(populated(complete(declared(space), {"augmentation": "light", "batch_norm": False})))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("float32")
    quiet, again = (np.asarray(model(pixels, training=False)) for _ in range(2))
    np.testing.assert_array_equal(quiet, again)
    noisy = np.asarray(model(pixels, training=True))
    assert np.abs(noisy - quiet).max() > 1e-6
