"""Images for a study: training and validation arrays. The test split stays shut: its images are never handed out.

Splits are stratified and drawn once from the study's seed, so every trial sees the same ones.
"""

import hashlib
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from results.images import resized
from results.levels import Levels
from results.records import DataRecord
from search_spaces.backbones import keras_cache
from search_spaces.errors import Unavailable, UserError

HELD_OUT_SHARE = 0.15
"""Share of the images that validation gets, and test too, where the source has no split of its own."""
LEAST_PER_CLASS = 8
"""The smallest class that gives validation and test an image each, however the apportionment rounds."""
MOST_CLASSES = 12
"""Whose numbers of images are all shown."""
SHOWN = 5
"""Names of many that are shown."""


@dataclass(frozen=True)
class ImageData:
    """Images as uint8 [n, side, side, 3] in RGB, labels as int64 [n] that index `class_names`."""

    source: str
    class_names: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    test_count: int
    skipped: tuple[str, ...] = ()
    test_per_class: tuple[int, ...] = ()
    """Test images of each class, where they are known."""
    unused: tuple[str, ...] = ()
    """Files that are no images of a class."""
    levels: Levels | None = None
    """Of images of more than 8 bits, if there were such."""
    notes: tuple[str, ...] = ()
    """What was decided about them that the user should know, a sentence each."""

    @property
    def image_size(self) -> int:
        """Side of the square images in pixels."""
        return int(self.train_images.shape[1])

    def summary(self) -> str:
        """The data in a few lines, for people: what there is, what was decided, what is not used."""
        text = (
            f"{self.source}: {len(self.train_labels)} training and {len(self.validation_labels)} validation images "
            f"of {len(self.class_names)} classes, {self.image_size}x{self.image_size} pixels"
        )
        if self.skipped:
            text += f"; {len(self.skipped)} files skipped that do not decode (study.json names them)"
        lines = [text, self._classes(), *self.notes]
        if self.unused:
            more = f" and {len(self.unused) - SHOWN:,} more (study.json names them)" if len(self.unused) > SHOWN else ""
            lines.append(f"Not used, since they are no images of a class: {', '.join(self.unused[:SHOWN])}{more}")
        return "\n".join(lines)

    def _classes(self) -> str:
        """The images of each class in each split; of many classes the smallest ones and the largest."""
        splits = [np.bincount(labels, minlength=len(self.class_names)).tolist()
                  for labels in (self.train_labels, self.validation_labels)]  # fmt: skip
        splits += [self.test_per_class] if self.test_per_class else []
        rows = [(name, counts) for name, *counts in zip(self.class_names, *splits, strict=True)]
        title = "Images a class, training/validation" + ("/test" if self.test_per_class else "")
        if len(rows) <= MOST_CLASSES:
            return f"{title}: {', '.join(map(_row, rows))}"
        *few, most = sorted(rows, key=lambda row: sum(row[1]))
        return f"{title}: fewest {', '.join(map(_row, few[:SHOWN]))}; most {_row(most)}"

    def record(self) -> DataRecord:
        """What goes into the study's record."""
        return DataRecord(
            source=self.source,
            image_size=self.image_size,
            class_names=self.class_names,
            training_images=len(self.train_labels),
            validation_images=len(self.validation_labels),
            test_images=self.test_count,
            fingerprint=self.fingerprint(),
            skipped=self.skipped,
            unused=self.unused,
            levels=self.levels,
        )

    def fingerprint(self) -> str:
        """A hash of the classes, images and labels that trials see, splits included: equal only for equal data."""
        digest = hashlib.sha256("\0".join(self.class_names).encode())
        for array in (self.train_images, self.train_labels, self.validation_images, self.validation_labels):
            digest.update(str((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def _row(row: tuple[str, Sequence[int]]) -> str:
    name, counts = row
    return f"{name} {'/'.join(f'{count:,}' for count in counts)}"


def load(
    source: str, image_size: int | None, seed: int, strict: bool = False, leave_out: Collection[str] = ()
) -> ImageData:
    """Load `cifar10`, `digits`, a folder of images or a file of arrays.

    Args:
        source: one of these two names, a folder's path, or that of an .npz file (see `image_archive`).
        image_size: side of the squares to make; None keeps the images' own size (see `image_folder.own_size`).
        seed: draws the splits that the source does not have.
        strict: a file that is not used, such as an image that does not decode, is an error.
        leave_out: classes of a folder, and other folders beside them, that are to be ignored.

    Raises:
        Unavailable: CIFAR-10 is neither cached nor downloadable.
        UserError: no such source, or a class with too few images.
    """
    folder = Path(source).expanduser()
    if leave_out and (source in ("cifar10", "digits") or is_archive(folder)):
        raise UserError(f"--leave-out {','.join(leave_out)}: is for --data FOLDER, and this is {source}")
    if source == "cifar10":
        return _cifar10(image_size, seed)
    if source == "digits":
        return _digits(image_size, seed)
    from tuner.trial.image_archive import load_archive
    from tuner.trial.image_folder import load_folder

    if is_archive(folder):
        return load_archive(folder, image_size, seed)
    if os.path.isfile(folder):  # pathlib's raises for a name that is too long
        raise UserError(f"--data {source}: is a file, but must be a folder or an .npz file; unpack an archive first")
    if not os.path.isdir(folder):
        raise UserError(f"--data {source}: no such folder; give cifar10, digits, or a folder with a subfolder a class")
    return load_folder(folder, image_size, seed, strict, leave_out)


def is_archive(place: Path) -> bool:
    """Whether a source is a file of arrays."""
    return place.suffix == ".npz" and not place.is_dir()


def drawn_splits(
    labels: np.ndarray, seed: int, class_names: tuple[str, ...], validation: bool, test: bool
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Positions of the images that stay for training, and of those drawn for validation and for test, if they are.

    Raises:
        UserError: a class is too small to draw from.
    """
    if validation and test:
        return three_way(labels, seed, class_names)
    if not validation and not test:
        return np.arange(len(labels)), None, None
    kept, held_out = hold_out(labels, seed, class_names)
    return kept, held_out if validation else None, held_out if test else None


def hold_out(labels: np.ndarray, seed: int, class_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the images that stay and of the stratified share that is held out, both ascending.

    Raises:
        UserError: a class is too small to give one image.
    """
    for label, name in enumerate(class_names):
        count = int((labels == label).sum())
        if count < LEAST_PER_CLASS:
            raise UserError(
                f"class {name!r} has {count} images to draw a split from but needs at least {LEAST_PER_CLASS}, "
                f"so that each split of {HELD_OUT_SHARE:.0%} gets one: add images or leave the class out"
            )
    from sklearn.model_selection import train_test_split  # here: workers import this module too, and draw nothing

    held = math.ceil(len(labels) * HELD_OUT_SHARE)
    kept, held_out = train_test_split(np.arange(len(labels)), test_size=held, stratify=labels, random_state=seed)
    return np.sort(kept), np.sort(held_out)


def three_way(labels: np.ndarray, seed: int, class_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions for training, validation and test of images that come without a split."""
    from sklearn.model_selection import train_test_split

    rest, test = hold_out(labels, seed, class_names)
    train, validation = train_test_split(rest, test_size=len(test), stratify=labels[rest], random_state=seed)
    return np.sort(train), np.sort(validation), test


def _cifar10(image_size: int | None, seed: int) -> ImageData:
    import keras

    try:
        (images, labels), (_, test_labels) = keras.datasets.cifar10.load_data()
    except Exception as error:  # Keras raises a bare Exception when the download fails
        looked = keras_cache("datasets") / "cifar-10-batches-py-target"
        raise Unavailable(
            f"CIFAR-10 is neither in {looked} nor downloadable; "
            "use --data digits (ships with scikit-learn) or --data FOLDER (a subfolder a class)"
        ) from error
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    labels = labels.reshape(-1).astype(np.int64)
    train, validation = hold_out(labels, seed, names)
    images = resize_all(images, image_size)
    per_class = tuple(np.bincount(np.asarray(test_labels).reshape(-1), minlength=len(names)).tolist())
    return ImageData(
        "cifar10", names, images[train], labels[train], images[validation], labels[validation], len(test_labels),
        test_per_class=per_class,
    )  # fmt: skip


def _digits(image_size: int | None, seed: int) -> ImageData:
    images, labels, names = digits(image_size)
    train, validation, test = three_way(labels, seed, names)
    return ImageData(
        "digits", names, images[train], labels[train], images[validation], labels[validation], len(test),
        test_per_class=tuple(np.bincount(labels[test]).tolist()),
    )  # fmt: skip


def digits(image_size: int | None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """All of scikit-learn's digits: images, labels and class names."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = (bunch.images * (255 / 16)).round().astype(np.uint8)  # 8x8 pixels of 0..16
    images = resize_all(np.repeat(grey[..., np.newaxis], 3, axis=-1), image_size or 32)
    return images, bunch.target.astype(np.int64), tuple(str(name) for name in bunch.target_names)


def resize_all(images: np.ndarray, size: int | None) -> np.ndarray:
    """Each as a square of that side; None leaves them."""
    if size is None or images.shape[1:3] == (size, size):
        return images
    return np.stack([np.asarray(resized(Image.fromarray(image), size)) for image in images])
