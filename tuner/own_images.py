"""Images that a user's program has at hand, arrays or data sets of TensorFlow's, as a study keeps them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from search_spaces.errors import UserError
from tuner.config import StudyConfig
from tuner.data_sets import gathered
from tuner.trial.image_archive import Archive, check_classes, named_classes
from tuner.trial.image_arrays import TrainScale, labelled
from tuner.trial.pixel_scale import given_scale
from tuner.trial.shared_images import shared_images


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
        UserError: they are not such, do not fit together, share images, or `config` names other data.
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
    shared = shared_images({"training": train, "validation": validation, "test": test})
    return Archive(train, validation, test, names, (*told.notes, *shared))


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
        return gathered(given, name)
    if isinstance(given, tuple | list) and len(given) == 2:
        return given[0], given[1]
    raise UserError(
        f"{name}: is {type(given).__name__} but must be (images, labels), or a tf.data.Dataset of such pairs"
    )
