"""A folder of images as data: `FOLDER/<class>/*`, or `FOLDER/{train,val,test}/<class>/*`."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.images import SUFFIXES, Undecodable, decode, dimensions
from search_spaces.errors import UserError
from tuner.trial.datasets import ImageData, drawn_splits, three_way

DEFAULT_SIZE = 96
"""Side of the squares when images of several sizes come without --image-size."""


@dataclass(frozen=True)
class Files:
    """Image files and the label of each."""

    paths: list[Path]
    labels: np.ndarray

    def at(self, positions: np.ndarray | None) -> "Files":
        """Those at the given positions; none at None."""
        if positions is None:
            return Files([], self.labels[:0])
        return Files([self.paths[position] for position in positions], self.labels[positions])


def load_folder(folder: Path, image_size: int | None, seed: int, strict: bool) -> ImageData:
    """Training and validation images of a folder; splits that it does not have are drawn over its sorted file names.

    Of test files only the size in the header is read, never the pixels. A file that does not decode is left out of its
    split without moving the others.

    Raises:
        UserError: no class folders, a class with too few images, or (strict) a file that does not decode.
    """
    class_names, train, validation, test = splits(folder, seed)
    size = image_size or choose_size([*train.paths, *validation.paths, *test.paths])
    skipped: list[str] = []
    train_images, train_labels = decode_all(train, size, strict, skipped)
    validation_images, validation_labels = decode_all(validation, size, strict, skipped)
    for labels, split in ((train_labels, "training"), (validation_labels, "validation")):
        empty = sorted(set(range(len(class_names))) - set(labels.tolist()))
        if empty:
            raise UserError(f"--data {folder}: class {class_names[empty[0]]!r} has no usable {split} image")
    return ImageData(
        str(folder.resolve()),
        class_names,
        train_images,
        train_labels,
        validation_images,
        validation_labels,
        len(test.paths),
        tuple(skipped),
    )


def splits(folder: Path, seed: int) -> tuple[tuple[str, ...], Files, Files, Files]:
    """The class names, and the files of training, validation and test.

    Raises:
        UserError: no class folders, or a class with too few images.
    """
    has_splits = (folder / "train").is_dir()
    class_names = _class_names(folder / "train" if has_splits else folder)
    return class_names, *(_given_splits if has_splits else _drawn_splits)(folder, class_names, seed)


def choose_size(paths: Sequence[Path]) -> int:
    """The images' own side when all are squares of one size, else `DEFAULT_SIZE`. Unreadable files have no say."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = {size for size in pool.map(dimensions, paths) if size is not None}
    width, height = found.pop() if len(found) == 1 else (0, 1)
    return width if width == height else DEFAULT_SIZE


def _given_splits(folder: Path, class_names: tuple[str, ...], seed: int) -> tuple[Files, Files, Files]:
    train = _list(folder / "train", class_names)
    given = [_list(folder / name, class_names) if (folder / name).is_dir() else None for name in ("val", "test")]
    kept, *drawn = drawn_splits(train.labels, seed, class_names, given[0] is None, given[1] is None)
    validation, test = (own or train.at(held) for own, held in zip(given, drawn, strict=True))
    return train.at(kept), validation, test


def _drawn_splits(folder: Path, class_names: tuple[str, ...], seed: int) -> tuple[Files, Files, Files]:
    files = _list(folder, class_names)
    train, validation, test = three_way(files.labels, seed, class_names)
    return files.at(train), files.at(validation), files.at(test)


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
    if len(names) < 2:
        raise UserError(
            f"--data {folder} has {len(names)} class folders but needs at least 2, one a class with its images inside"
        )
    return names


def _list(folder: Path, class_names: tuple[str, ...]) -> Files:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        found = sorted(file for file in (folder / name).glob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            raise UserError(f"class {name!r} has no images in {folder / name}; accepted are {', '.join(SUFFIXES)}")
        paths += found
        labels += [label] * len(found)
    unknown = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.is_dir() and entry.name not in class_names and not entry.name.startswith(".")
    )
    if unknown:
        raise UserError(
            f"{folder / unknown[0]} is a class that training does not have; training has {', '.join(class_names)}"
        )
    return Files(paths, np.asarray(labels, dtype=np.int64))


def decode_all(files: Files, size: int, strict: bool, skipped: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the files that decode; the others' names join `skipped`.

    Raises:
        UserError: (strict) a file that does not decode.
    """

    def attempt(path: Path) -> np.ndarray | Undecodable:
        try:
            return decode(path, size)
        except Undecodable as error:
            return error

    images = np.empty((len(files.paths), size, size, 3), dtype=np.uint8)
    usable = np.ones(len(files.paths), dtype=bool)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for position, result in enumerate(pool.map(attempt, files.paths)):
            if isinstance(result, Undecodable):
                if strict:
                    raise UserError(f"--strict: an image does not decode: {result}")
                skipped.append(str(result))
                usable[position] = False
            else:
                images[position] = result
    return images[usable], files.labels[usable]
