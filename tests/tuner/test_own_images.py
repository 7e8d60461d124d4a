"""Data sets of TensorFlow's and arrays are taken as they come (test_image_arrays.py tells which values)."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from search_spaces.errors import UserError
from tuner import data_sets
from tuner.config import StudyConfig
from tuner.own_images import own_images
from tuner.trial.datasets import load
from tuner.trial.image_archive import Archive
from tuner.trial.image_arrays import Labelled
from tuner.trial.shared_images import shared_images

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
    assert taken(dataset, test_data=(255 - IMAGES, LABELS)).class_names == ("cat", "dog")


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


def endless() -> Iterator[tuple[np.ndarray, int]]:
    while True:
        yield from zip(IMAGES, LABELS, strict=True)


def new_each_time() -> Iterator[tuple[np.ndarray, int]]:
    rng = np.random.default_rng(0)
    while True:
        yield rng.integers(0, 256, (6, 5, 3), dtype=np.uint8), 0


def of_generator(generator: Callable[[], Any]) -> tf.data.Dataset:
    pairs = (tf.TensorSpec((6, 5, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(generator, output_signature=pairs)


def test_a_generator_that_never_ends_is_noticed() -> None:
    with pytest.raises(UserError, match=r"^data: 1,\d+ images read .*the same 20 again and again: .* take\(20\)"):
        taken(of_generator(endless).batch(64))


def test_new_images_without_an_end_are_noticed_before_memory_is_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(data_sets, "free_memory", lambda: 200_000)
    monkeypatch.setattr(data_sets, "PERIOD", 0.0)
    with pytest.raises(UserError, match=r"^data: 1,112 images read \(0.0 GB\), more than half of the memory .* take\("):
        taken(of_generator(new_each_time))
    assert "data: 1,000 images read (0.0 GB) so far" in capsys.readouterr().out


def test_a_generator_that_ends_is_taken_whole() -> None:
    found = taken(of_generator(lambda: zip(IMAGES, LABELS, strict=True)))
    np.testing.assert_array_equal(found.train.images, IMAGES)


def test_a_shuffle_that_shuffles_anew_is_noticed() -> None:
    """Each iteration draws another half: take() and skip() share images."""
    images = RNG.integers(0, 256, (400, 6, 5, 3), dtype=np.uint8)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(400) % 2)).shuffle(400, seed=1)
    with pytest.raises(UserError, match=r"of 80 validation images are in the training images too, .* take\(\)"):
        taken(dataset.skip(80), dataset.take(80))
    fixed = tf.data.Dataset.from_tensor_slices((images, np.arange(400) % 2))
    fixed = fixed.shuffle(400, seed=1, reshuffle_each_iteration=False)
    assert not taken(fixed.skip(80), fixed.take(80)).notes


def test_the_same_images_for_two_splits_are_refused() -> None:
    with pytest.raises(UserError, match="20 of 20 test images are in the training images too"):
        taken((IMAGES, LABELS), test_data=(IMAGES, LABELS))
    with pytest.raises(UserError, match="20 of 20 test images are in the validation images too"):
        taken((255 - IMAGES, LABELS), (IMAGES, LABELS), (IMAGES.astype(np.float32), LABELS))


def test_each_image_twice_is_noticed_in_the_splits_that_are_drawn(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(100) % 2))
    for times, is_refused in ((1, False), (2, True)):
        taken(dataset.repeat(times)).write(tmp_path / "images.npz")
        data = load(str(tmp_path / "images.npz"), None, seed=0)
        splits = {
            "training": Labelled(data.train_images, data.train_labels),
            "validation": Labelled(data.validation_images, data.validation_labels),
        }
        with pytest.raises(UserError, match="leave out repeat") if is_refused else nullcontext():
            assert not shared_images(splits)


def test_a_few_images_in_two_splits_are_told() -> None:
    validation = np.concatenate([IMAGES[:3], 255 - IMAGES[3:]])
    (note,) = taken((IMAGES, LABELS), (validation, LABELS)).notes
    assert note.startswith("3 of 20 validation images are in the training images too, equal in each pixel")


def test_splits_have_the_same_classes() -> None:
    with pytest.raises(UserError, match="validation_data: a validation label is 2, a class that training does not"):
        taken((IMAGES, LABELS), validation_data=(IMAGES, LABELS + 1))
    with pytest.raises(UserError, match=r"test_data: class 'dog' \(label 1\) has no test image"):
        taken((IMAGES, LABELS), test_data=(IMAGES, 0 * LABELS), names=("cat", "dog"))
