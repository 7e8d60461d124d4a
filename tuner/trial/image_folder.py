"""A folder of images as data; `folder_layout` tells how its folders are understood."""

import os
import shlex
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.images import Header, Undecodable, decode, header
from results.levels import Levels
from results.wording import counted, printable
from search_spaces.errors import UserError
from tuner.trial.datasets import HELD_OUT_SHARE, LEAST_PER_CLASS, ImageData, drawn_splits
from tuner.trial.folder_layout import Files, Layout, read_layout
from tuner.trial.image_levels import common_levels

DEFAULT_SIZE = 96
"""Side of the squares when images of several sizes come without --image-size."""


@dataclass(frozen=True)
class Splits:
    """The files of each split, whether the folder has it or it was drawn."""

    layout: Layout
    train: Files
    validation: Files
    test: Files
    notes: tuple[str, ...]
    """What was understood and drawn, a sentence each."""


def load_folder(
    folder: Path, image_size: int | None, seed: int, strict: bool = False, leave_out: Collection[str] = ()
) -> ImageData:
    """Training and validation images of a folder; splits that it does not have are drawn over its sorted file names.

    Of test files only the size in the header is read, never the pixels. A file that does not decode is left out of its
    split without moving the others.

    Raises:
        UserError: the folder cannot be understood, a class has too few images, or (strict) a file is not used.
    """
    found = splits(folder, seed, leave_out)
    class_names, unused = found.layout.class_names, tuple(printable(str(file)) for file in found.layout.unused)
    if strict and unused:
        raise UserError(
            f"--strict: {counted(len(unused), 'file')} in {folder} would not be used, such as {unused[0]}: move "
            f"{'it' if len(unused) == 1 else 'them'} away, or give no --strict"
        )
    seen = [*found.train.paths, *found.validation.paths]
    headers = _headers([*seen, *found.test.paths])
    levels = common_levels([path for path in seen if (one := headers[path]) and one.is_deep], folder)
    size = image_size or own_size(headers.values())
    skipped: list[str] = []
    train_images, train_labels = decode_all(found.train, size, strict, skipped, levels)
    validation_images, validation_labels = decode_all(found.validation, size, strict, skipped, levels)
    for labels, split in ((train_labels, "training"), (validation_labels, "validation")):
        for empty in sorted(set(range(len(class_names))) - set(labels.tolist())):
            name = class_names[empty]
            raise UserError(
                f"--data {folder}: class {name!r} has no usable {split} image; --leave-out {name} ignores it"
            )
    told = (f"Images of more than 8 bits: values of {levels} become 0 to 255",) if levels else ()
    return ImageData(
        str(folder.resolve()),
        class_names,
        train_images,
        train_labels,
        validation_images,
        validation_labels,
        len(found.test.paths),
        tuple(map(printable, skipped)),
        test_per_class=tuple(np.bincount(found.test.labels, minlength=len(class_names)).tolist()),
        unused=unused,
        levels=levels,
        notes=tuple(map(printable, (*found.notes, *told))),
    )


def splits(folder: Path, seed: int, leave_out: Collection[str] = ()) -> Splits:
    """The files of training, validation and test; no file is opened.

    Raises:
        UserError: the folder cannot be understood, or a class has too few images.
    """
    layout = read_layout(folder, leave_out)
    train, own = layout.train, {"validation": layout.validation, "test": layout.test}
    missing = [name for name, files in own.items() if files is None]
    if missing:
        _check_sizes(folder, layout)
    kept, *drawn = drawn_splits(train.labels, seed, layout.class_names, layout.validation is None, layout.test is None)
    validation, test = (files or train.at(held) for files, held in zip(own.values(), drawn, strict=True))
    notes = layout.notes
    if missing:
        taken = " and ".join(
            f"{len(held):,} for {name}" for name, held in zip(own, drawn, strict=True) if held is not None
        )
        share = f"{HELD_OUT_SHARE:.0%}{' each' if len(missing) > 1 else ''}"
        notes += (
            f"Drawn from the {len(train.paths):,} images in {layout.folders['train']}: {taken} ({share}), by --seed",
        )
    return Splits(layout, train.at(kept), validation, test, notes)


def own_size(headers: Collection[Header | None]) -> int:
    """The images' own side when all are squares of one size, else `DEFAULT_SIZE`. Unreadable files have no say."""
    found = {(one.width, one.height) for one in headers if one is not None}
    width, height = found.pop() if len(found) == 1 else (0, 1)
    return width if width == height else DEFAULT_SIZE


def _headers(paths: Sequence[Path]) -> dict[Path, Header | None]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(paths, pool.map(header, paths), strict=True))


def _check_sizes(folder: Path, layout: Layout) -> None:
    """Each class has enough images to draw from."""
    counts = np.bincount(layout.train.labels, minlength=len(layout.class_names))
    small = [(name, count) for name, count in zip(layout.class_names, counts, strict=True) if count < LEAST_PER_CLASS]
    if small:
        told = ", ".join(f"class {name!r} has {counted(count, 'image')}" for name, count in small[:5])
        more = f" and {len(small) - 5} more have few" if len(small) > 5 else ""
        names = shlex.quote(",".join(name for name, _ in small))
        raise UserError(
            f"--data {folder}: {told}{more} to draw a split from but needs at least {LEAST_PER_CLASS}, so that each "
            f"split of {HELD_OUT_SHARE:.0%} gets one: add images, or leave it out with --leave-out {names}"
        )


def decode_all(
    files: Files, size: int, strict: bool, skipped: list[str], levels: Levels | None
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the files that decode; the others' names join `skipped`.

    Raises:
        UserError: (strict) a file that does not decode.
    """

    def attempt(path: Path) -> np.ndarray | Undecodable:
        try:
            return decode(path, size, levels)
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
