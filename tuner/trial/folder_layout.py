"""How people lay out image folders: which of its folders are splits, which are classes, and what is neither."""

import re
import shlex
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from results.image_files import ACCEPTED, files_below, files_in, images_below, is_image, subfolders
from results.wording import counted
from search_spaces.errors import UserError, like

SPLITS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "validate", "dev"),
    "test": ("test", "testing", "tst"),
}
"""Names of their folders, in any case, alone or as in `train_set` and `test-images`."""
_SPLIT_NAMES = {name for names in SPLITS.values() for name in names}
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".parquet", ".txt", ".xml")


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


@dataclass(frozen=True)
class Layout:
    """The images of a folder; a split that is None is to be drawn from the training images."""

    class_names: tuple[str, ...]
    train: Files
    validation: Files | None
    test: Files | None
    folders: Mapping[str, Path]
    """Where the splits are; only "train" where it has none."""
    unused: tuple[Path, ...]
    """All other files."""
    notes: tuple[str, ...]
    """What the user should know of it, a sentence each."""


def read_layout(folder: Path, leave_out: Collection[str]) -> Layout:
    """Understand `FOLDER/<class>/**` or `FOLDER/{train,val,test}/<class>/**`, perhaps in a folder of its own.

    Images in subfolders of a class belong to it. No file is opened.

    Args:
        folder: of the images.
        leave_out: names of classes and of other folders beside them that are to be ignored.

    Raises:
        UserError: it cannot be understood; the message says what was found, and what to rename.
    """
    reader = _Reader(folder, frozenset(leave_out))
    root = reader.inside(folder)
    places = reader.splits(root) or {"train": root}
    class_names = reader.classes(reader.inside(places["train"], is_split=True))
    places = {name: reader.around(place, class_names) for name, place in places.items()}
    train, validation, test = (reader.listed(places[name], class_names) if name in places else None for name in SPLITS)
    assert train is not None
    reader.check_left_out()
    used = {path for files in (train, validation, test) if files for path in files.paths}
    unused = tuple(file for file in files_below(folder) if file not in used and reader.is_kept(file))
    return Layout(class_names, train, validation, test, places, unused, tuple(reader.notes(places, used)))


class _Reader:
    """One look at a folder.

    Args:
        folder: as the user named it.
        leave_out: names of folders to ignore.
    """

    def __init__(self, folder: Path, leave_out: frozenset[str]) -> None:
        self._folder, self._leave_out = folder, leave_out
        self._met: set[str] = set()
        self._left: dict[Path, None] = {}

    def folders(self, place: Path) -> list[Path]:
        """The classes or splits in a folder, without what is left out."""
        found = subfolders(place)
        self._met |= {one.name for one in found}
        self._left |= dict.fromkeys(one for one in found if one.name in self._leave_out)
        return [one for one in found if one.name not in self._leave_out]

    def inside(self, place: Path, is_split: bool = False) -> Path:
        """The folder that holds classes or splits, where others are wrapped around it."""
        folders = self.folders(place)
        if len(folders) != 1 or _images(place):
            return place
        inner = subfolders(folders[0])
        is_itself_split = split_of(folders[0].name) and not (is_split or all(split_of(one.name) for one in inner))
        return place if is_itself_split or not inner else self.inside(folders[0], is_split)

    def around(self, split: Path, class_names: Sequence[str]) -> Path:
        """The folder that holds classes in a split, wherever it has the first one."""
        is_there = any(one.name in class_names for one in self.folders(split))
        return split if is_there else self.inside(split, is_split=True)

    def splits(self, root: Path) -> dict[str, Path]:
        """The folder of each split; empty when there are only classes."""
        folders = self.folders(root)
        by_split: dict[str, list[Path]] = {name: [] for name in SPLITS}
        others: list[Path] = []
        for one in folders:
            by_split.get(split_of(one.name) or "", others).append(one)
        found = {name: places[0] for name, places in by_split.items() if places}
        for name, places in by_split.items():
            if len(places) > 1:
                raise self._error(f"{_list(places)} are all names of the {name} split: keep one, or rename the others")
        others = [one for one in others if images_below(one)] if found else others
        if found.keys() == {"train"} and not self.folders(found["train"]) and _may_be_classes(others):
            return {}  # bus, car, train: trains
        for place in found.values():
            if not self.folders(place):
                raise self._unlabelled(place, others)
        if found and "train" not in found:
            raise self._error(
                f"there is no folder train beside {_list(found.values())}: move the training images' class folders "
                f"{f'({_list(others)}) ' if others else ''}into {root / 'train'}"
            )
        if found and others:
            raise self._error(
                f"{_list(others)} beside {_list(found.values())} is neither train, val nor test: rename it or "
                f"move it away, or ignore it with {_option(others)}"
            )
        return found

    def classes(self, root: Path) -> tuple[str, ...]:
        """The names of the classes, once no folder below them says that they are none."""
        folders = self.folders(root)
        if len(folders) < 2:
            raise self._too_few(root, folders)
        below = {one: [each for each in subfolders(one) if images_below(each)] for one in folders}
        for one, inner in below.items():
            splits = [each for each in inner if split_of(each.name)]
            if splits:
                raise self._error(
                    f"{_shown(one)} has {_list(splits)} inside, the name of a split: put splits above classes, as "
                    f"{root / splits[0].name / one.name}, or rename that folder"
                )
            if len(inner) > 1 and not _images(one) and _SPLIT_NAMES & set(_words(one.name)):
                raise self._error(
                    f"{_shown(one)} has the folders {_list(inner)} inside and may be a split: rename it to train, val "
                    f"or test, or rename the class"
                )
        names = [{each.name for each in inner} for inner in below.values()]
        if len(names[0]) > 1 and all(each == names[0] for each in names) and not any(map(_images, folders)):
            raise self._error(
                f"{_list(folders)} all have the same folders inside ({', '.join(sorted(names[0]))}), so either may be "
                f"the classes: put the images of each class into {root / 'CLASS'} itself"
            )
        return tuple(one.name for one in folders)

    def listed(self, place: Path, class_names: Sequence[str]) -> Files:
        """The images of a split."""
        for one in self.folders(place):
            if one.name not in class_names:
                meant = next((name for name in class_names if _plain(name) == _plain(one.name)), None)
                remedy = f"Rename it to {meant}" if meant else f"Rename it, or leave it out with {_option([one])}"
                raise UserError(
                    f"{one} is a class that training does not have; training has {', '.join(class_names)}. {remedy}"
                )
        paths: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(class_names):
            found = images_below(place / name) if (place / name).is_dir() else []
            if not found:
                raise self._no_images(place / name)
            paths += found
            labels += [label] * len(found)
        return Files(paths, np.asarray(labels, dtype=np.int64))

    def check_left_out(self) -> None:
        """Raise a `UserError` at a name that no folder has."""
        for name in sorted(self._leave_out - self._met):
            raise UserError(
                f"--leave-out {name}: no class or folder of that name in {self._folder}" + like(name, self._met)
            )

    def is_kept(self, file: Path) -> bool:
        """Whether a file is not in a folder that is left out."""
        return not any(file.is_relative_to(one) for one in self._left)

    def notes(self, places: Mapping[str, Path], used: Collection[Path]) -> list[str]:
        """What was understood that is not plain."""
        found = []
        if self.inside(self._folder) != self._folder:
            found.append(f"Classes are those in {places['train']}")
        named = {name: place for name, place in places.items() if place.name != name and len(places) > 1}
        if named:
            found.append("Splits: " + ", ".join(f"{name} is {_shown(place)}" for name, place in named.items()))
        depth = {place: len(place.parts) + 2 for place in places.values()}
        deeper = [
            path for path in used if any(path.is_relative_to(one) and len(path.parts) > depth[one] for one in depth)
        ]
        if deeper:
            found.append(
                f"{counted(len(deeper), 'image')} in subfolders of a class, such as {min(deeper).parent}, belong to it"
            )
        for one in self._left:
            images = len(images_below(one))
            found.append(f"Left out: {one}, with {counted(images, 'image')}")
        return found

    def _error(self, text: str) -> UserError:
        return UserError(f"--data {self._folder}: {text}")

    def _unlabelled(self, place: Path, others: Sequence[Path]) -> UserError:
        """A split without class folders."""
        images, files = _images(place), files_in(place)
        beside = f" beside {_list(others)}" if others else ""
        what = f"{counted(len(images), 'image')} but no class folders" if images else "no class folders"
        return self._error(
            f"{_shown(place)}{beside} has the name of a split and {what}{_table(files)}. Put its images into "
            f"{place / 'CLASS'}, rename it if it is a class, or ignore it with {_option([place])}"
        )

    def _too_few(self, root: Path, folders: Sequence[Path]) -> UserError:
        images, files = _images(root), files_in(root)
        named = f" ({_list(folders)})" if folders else ""
        where = "" if root == self._folder else f" in {root}"
        loose = f"; {counted(len(images), 'image')} in {root} itself, without a class" if images else ""
        return UserError(
            f"--data {self._folder} has {counted(len(folders), 'class folder')}{named}{where} but needs at least 2, "
            f"one a class with its images inside{loose}{_table(files)}"
        )

    def _no_images(self, place: Path) -> UserError:
        there = files_below(place) if place.is_dir() else []
        kinds = sorted({file.suffix.lower() or file.name for file in there})
        has = f", only {', '.join(kinds[:5])}" if kinds else ""
        return UserError(
            f"class {place.name!r} has no images in {place}{has}; accepted are {ACCEPTED}. Add images, or leave it out "
            f"with {_option([place])}"
        )


def _may_be_classes(folders: Sequence[Path]) -> bool:
    """Whether folders beside a flat `train` are classes: at least two, none of which is called such as `test1`."""
    return len(folders) > 1 and not any(re.match("train|test|val", one.name.casefold()) for one in folders)


def _words(name: str) -> list[str]:
    return re.split(r"[\W_]+", name.casefold())


def split_of(name: str) -> str | None:
    """Which split a folder's name means, if any."""
    stem = re.sub(r"[ _.-]*(set|split|data|dataset|images|imgs)$", "", name.strip().casefold())
    return next((split for split, names in SPLITS.items() if stem in names), None)


def _images(place: Path) -> list[Path]:
    """Directly in it."""
    return [file for file in files_in(place) if is_image(file)]


def _table(files: Sequence[Path]) -> str:
    tables = sorted(file.name for file in files if file.suffix.lower() in _TABLES)
    return f" ({tables[0]} is not read: an image's class is the name of its folder)" if tables else ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name)).strip().casefold()


def _shown(place: Path) -> str:
    return f"{place.name}/"


def _list(places: Collection[Path]) -> str:
    shown = [_shown(place) for place in places]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")


def _option(places: Sequence[Path]) -> str:
    return f"--leave-out {shlex.quote(','.join(place.name for place in places))}"
