"""Data sets of TensorFlow's and arrays are taken as they come (test_image_arrays.py tells which values)."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from search_spaces.errors import UserError
from tuner.config import StudyConfig
from tuner.own_images import own_images
from tuner.trial.image_archive import Archive

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (20, 6, 5, 3), dtype=np.uint8), np.arange(20) % 2


def taken(data: Any, validation_data: Any = None, test_data: Any = None, names: Any = None) -> Archive:
    return own_images(StudyConfig(space="custom_cnn"), data, validation_data, test_data, names)


@pytest.mark.parametrize("batch", [None, 8])
@pytest.mark.parametrize("is_one_hot", [False, True])
@pytest.mark.parametrize("images", [IMAGES, IMAGES[..., :1], IMAGES[..., 0]])
def test_a_data_set_is_its_arrays(images: np.ndarray, is_one_hot: bool, batch: int | None) -> None:
    dataset = tf.data.Dataset.from_tensor_slices((images, np.eye(2)[LABELS] if is_one_hot else LABELS))
    found = taken(dataset if batch is None else dataset.batch(batch))
    expected = taken((images, LABELS))
    np.testing.assert_array_equal(found.train.images, expected.train.images)
    np.testing.assert_array_equal(found.train.labels, LABELS)
    assert found.class_names == ("0", "1")


def test_the_classes_of_a_folder_that_keras_reads_are_known() -> None:
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    dataset.class_names = ["cat", "dog"]  # as keras.utils.image_dataset_from_directory leaves it
    assert taken(dataset, test_data=(IMAGES, LABELS)).class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).repeat(), "the data set never ends"),
        (tf.data.Dataset.from_tensor_slices(IMAGES), "the data set must give pairs"),
        (tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).take(0), "the data set is empty"),
        (
            tf.data.Dataset.from_generator(
                lambda: ((IMAGES[0, :side], 0) for side in (3, 4)),
                output_signature=(tf.TensorSpec((None, 5, 3), tf.uint8), tf.TensorSpec((), tf.int64)),
            ),
            "its images have several shapes: resize them in the data set",
        ),
        (IMAGES, "is ndarray but must be"),
        ((IMAGES, LABELS, LABELS), "is tuple but must be"),
    ],
)
def test_what_is_no_such_data_set_is_refused(dataset: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"^data: {message}"):
        taken(dataset)


def test_splits_have_the_same_classes() -> None:
    with pytest.raises(UserError, match="validation_data: a validation label is 2, a class that training does not"):
        taken((IMAGES, LABELS), validation_data=(IMAGES, LABELS + 1))
    with pytest.raises(UserError, match=r"test_data: class 'dog' \(label 1\) has no test image"):
        taken((IMAGES, LABELS), test_data=(IMAGES, 0 * LABELS), names=("cat", "dog"))
