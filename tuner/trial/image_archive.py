"""A file of arrays as data: `.npz` with `x_train` and `y_train` as Keras's data sets have them, or with more.

`x_val`, `y_val`, `x_test` and `y_test` are the other splits, `class_names` is a list of texts, and `scale` has the
values of black and white. Without it the training images tell the scale of all splits.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.whole_file import replacing
from search_spaces.errors import UserError
from tuner.trial.datasets import ImageData, drawn_splits, resize_all
from tuner.trial.image_arrays import Labelled, TrainScale, labelled, numbers
from tuner.trial.image_folder import DEFAULT_SIZE
from tuner.trial.pixel_scale import BYTES, given_scale

CLASS_NAMES, SCALE = "class_names", "scale"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Archive:
    """Labelled images of a study; a split that is None is to be drawn from the training images."""

    train: Labelled
    validation: Labelled | None
    test: Labelled | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What to tell a user of it."""

    def write(self, file: Path) -> None:
        """Write it as .npz, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        arrays: dict[str, np.ndarray] = {
            CLASS_NAMES: np.array(self.class_names),
            SCALE: np.array([BYTES.black, BYTES.white]),
        }
        for name, split in zip(SPLITS, (self.train, self.validation, self.test), strict=True):
            if split is not None:
                arrays |= {f"x_{name}": split.images, f"y_{name}": split.labels}
        with replacing(file) as temporary, temporary.open("wb") as out:
            np.savez(out, allow_pickle=False, **arrays)


def load_archive(file: Path, image_size: int | None, seed: int) -> ImageData:
    """Training and validation images of such a file; splits that it does not have are drawn.

    Of a test split that it has only the labels are read, never the images.

    Raises:
        UserError: it is no such file or a damaged one, or a class has too few images.
    """
    arrays = _read(file, ("x_train", "y_train", "x_val", "y_val", "y_test", CLASS_NAMES, SCALE))
    if "x_train" not in arrays:
        raise UserError(f"--data {file}: has no x_train and y_train; it has {', '.join(arrays) or 'nothing of it'}")
    scale = _scale(arrays, file)
    train = labelled(arrays["x_train"], arrays["y_train"], f"--data {file}: train", scale.scale)
    validation = _split(arrays, "val", file, scale)
    names = named_classes(_names(arrays, file), train.labels, f"--data {file}")
    test = numbers(arrays["y_test"], f"--data {file}: y_test") if "y_test" in arrays else None
    own = {"training": train.labels, "validation": validation.labels if validation else None, "test": test}
    for name, labels in own.items():
        if labels is not None:
            check_classes(labels, names, f"--data {file}", name)
    kept, held_out, tested = drawn_splits(train.labels, seed, names, validation is None, test is None)
    size = image_size or _own_size([train, validation or train])
    validation = validation or Labelled(train.images[held_out], train.labels[held_out])
    return ImageData(
        str(file.resolve()),
        names,
        resize_all(train.images[kept], size),
        train.labels[kept],
        resize_all(validation.images, size),
        validation.labels,
        next(len(labels) for labels in (test, tested) if labels is not None),
        notes=scale.notes,
    )


def load_test(file: Path, image_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The test images as uint8 (n, image_size, image_size, 3) and their labels.

    Raises:
        UserError: as `load_archive`.
    """
    arrays = _read(file, ("x_test", "y_test", SCALE))
    if not {"x_test", SCALE} <= arrays.keys():
        arrays |= _read(file, ("x_train", "y_train", "y_val", CLASS_NAMES))
        if "x_train" not in arrays:
            raise UserError(f"--data {file}: has no training images")
    scale = _scale(arrays, file)
    test = _split(arrays, "test", file, scale)
    if test is None:
        train = labelled(arrays["x_train"], arrays["y_train"], f"--data {file}: train", scale.scale)
        names = named_classes(_names(arrays, file), train.labels, f"--data {file}")
        *_, tested = drawn_splits(train.labels, seed, names, "y_val" not in arrays, True)
        assert tested is not None
        test = Labelled(train.images[tested], train.labels[tested])
    return resize_all(test.images, image_size), test.labels


def named_classes(names: Sequence[str] | None, labels: np.ndarray, where: str) -> tuple[str, ...]:
    """The names of the classes, by default their numbers.

    Raises:
        UserError: there are fewer than two, not as many as classes, one twice, or more classes than images.
    """
    count = int(labels.max(initial=-1)) + 1
    if count > len(labels):
        raise UserError(f"{where}: a label is {count - 1}, but {len(labels)} images are not enough for so many classes")
    found = tuple(map(str, range(count))) if names is None else tuple(map(str, names))
    if len(found) < 2:
        raise UserError(f"{where}: has {len(found)} classes but needs at least 2")
    if len(found) < count:
        raise UserError(f"{where}: {len(found)} class names, but labels go up to {count - 1}: give {count} names")
    if len(set(found)) < len(found):
        raise UserError(f"{where}: a class name is there twice among {', '.join(found)}")
    return found


def check_classes(labels: np.ndarray, names: Sequence[str], where: str, split: str) -> None:
    """Each class has an image in a split, and each image a class.

    Raises:
        UserError: not so.
    """
    if int(labels.max(initial=0)) >= len(names):
        raise UserError(f"{where}: a {split} label is {labels.max()}, a class that training does not have")
    missing = sorted(set(range(len(names))) - set(labels.tolist()))
    if missing:
        raise UserError(f"{where}: class {names[missing[0]]!r} (label {missing[0]}) has no {split} image")


def _read(file: Path, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """Those of these arrays that the file has; no others are looked at, and none runs code."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            _check_pairs(arrays.files, file)
            return {name: np.asarray(arrays[name]) for name in wanted if name in arrays.files}
    except UserError:
        raise
    except Exception as error:  # BadZipFile, ValueError, EOFError, zlib.error, AttributeError of a .npy and more
        reason = "it holds Python objects, which may be code" if "allow_pickle" in str(error) else str(error)
        with suppress(AttributeError):
            reason = error.strerror or reason  # type: ignore[attr-defined]
        raise UserError(f"--data {file}: is no .npz file of arrays, or a damaged one ({reason})") from error


def _scale(arrays: Mapping[str, np.ndarray], file: Path) -> TrainScale:
    """That of all splits: what the file says, or what its training images tell."""
    given = given_scale(arrays[SCALE], f"--data {file}") if SCALE in arrays else None
    return TrainScale.of(arrays.get("x_train"), f"--data {file}: train", given)


def _split(arrays: Mapping[str, np.ndarray], name: str, file: Path, scale: TrainScale) -> Labelled | None:
    """Another one; None when the file does not have it."""
    if f"x_{name}" not in arrays:
        return None
    return scale.labelled(arrays[f"x_{name}"], arrays[f"y_{name}"], f"--data {file}: {name}")


def _check_pairs(names: Sequence[str], file: Path) -> None:
    for split in SPLITS:
        if (f"x_{split}" in names) != (f"y_{split}" in names):
            raise UserError(f"--data {file}: has only one of x_{split} and y_{split}")


def _names(arrays: Mapping[str, np.ndarray], file: Path) -> list[str] | None:
    names = arrays.get(CLASS_NAMES)
    if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
        raise UserError(f"--data {file}: {CLASS_NAMES} must be a list of texts")
    return None if names is None else names.tolist()


def _own_size(splits: Sequence[Labelled]) -> int:
    """The images' own side when all are squares of one size."""
    shapes = {split.images.shape[1:3] for split in splits}
    height, width = shapes.pop() if len(shapes) == 1 else (0, 1)
    return int(height) if height == width else DEFAULT_SIZE
