"""Images that a user's program has at hand, arrays or data sets of TensorFlow's, as a study keeps them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from search_spaces.errors import UserError
from tuner.config import StudyConfig
from tuner.trial.image_archive import Archive, check_classes, named_classes
from tuner.trial.image_arrays import TrainScale, labelled
from tuner.trial.pixel_scale import given_scale

INFINITE = -1
"""As TensorFlow counts what repeats for ever."""


def own_images(
    config: StudyConfig,
    data: Any,
    validation_data: Any,
    test_data: Any,
    class_names: Sequence[str] | None,
    scale: Any = None,
) -> Archive:
    """Each split as (images, labels), or as a `tf.data.Dataset` of such pairs, batched or not; see `run_study`.

    Raises:
        UserError: they are not such, do not fit together, or `config` names other data.
    """
    if data is None:
        raise UserError("data: there are no training images, only what belongs to them: give (images, labels)")
    if config.data != StudyConfig.data:
        raise UserError(f"data: images are given, and StudyConfig names others ({config.data}): give one of the two")
    images, labels = _pair(data, "data")
    told = TrainScale.of(images, "data", None if scale is None else given_scale(scale, "data"))
    train = labelled(images, labels, "data", told.scale)
    validation, test = (
        None if given is None else told.labelled(*_pair(given, name), name)
        for given, name in ((validation_data, "validation_data"), (test_data, "test_data"))
    )
    if class_names is None:
        class_names = getattr(data, "class_names", None)  # keras.utils.image_dataset_from_directory leaves them there
    names = named_classes(class_names, train.labels, "data")
    check_classes(train.labels, names, "data", "training")
    for split, argument in ((validation, "validation"), (test, "test")):
        if split is not None:
            check_classes(split.labels, names, f"{argument}_data", argument)
    return Archive(train, validation, test, names, told.notes)


def kept(config: StudyConfig, archive: Archive) -> StudyConfig:
    """The options with such images as their data, once these are written into the run's folder.

    Raises:
        OSError: they cannot be written.
    """
    archive.write(config.paths.images)
    return dataclasses.replace(config, name=config.paths.name, data=str(config.paths.images))


def _pair(given: Any, name: str) -> tuple[Any, Any]:
    """The images and the labels of a split."""
    if hasattr(given, "as_numpy_iterator"):
        return _gathered(given, name)
    if isinstance(given, tuple | list) and len(given) == 2:
        return given[0], given[1]
    raise UserError(
        f"{name}: is {type(given).__name__} but must be (images, labels), or a tf.data.Dataset of such pairs"
    )


def _gathered(dataset: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """All of a data set, once through."""
    if int(dataset.cardinality()) == INFINITE:
        raise UserError(f"{name}: the data set never ends: give it without repeat()")
    images, labels = [], []
    for element in dataset.as_numpy_iterator():
        if not (isinstance(element, tuple) and len(element) == 2):
            raise UserError(f"{name}: the data set must give pairs, (image, label)")
        image, label = np.asarray(element[0]), np.asarray(element[1])
        is_single = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (1, 3))
        images.append(image[np.newaxis] if is_single else image)
        labels.append(label[np.newaxis] if is_single else label)
    if len({image.shape[1:] for image in images}) > 1:
        raise UserError(f"{name}: its images have several shapes: resize them in the data set, or give an image folder")
    if not images:
        raise UserError(f"{name}: the data set is empty")
    return np.concatenate(images), np.concatenate(labels)
