"""Image folders as people lay them out: each is understood, or refused with what was found and what to rename."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from search_spaces.errors import UserError
from tests.tuner.trial.image_folders import laid_out
from tuner.trial.folder_layout import Layout, read_layout

CLASSES = ("cats", "dogs")


def read(root: Path, leave_out: Iterable[str] = ()) -> Layout:
    return read_layout(root, tuple(leave_out))


def classed(*splits: str, classes: Iterable[str] = CLASSES) -> list[str]:
    """Two images for each class of each split."""
    return [f"{split}/{name}/{number}.png" for split in splits for name in classes for number in range(2)]


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING", "training_set", "train-images"])
@pytest.mark.parametrize("validation", ["val", "Valid", "validation", "dev", "validation_set"])
@pytest.mark.parametrize("test", ["test", "Test", "testing", "test_images"])
def test_splits_are_known_by_their_common_names(tmp_path: Path, train: str, validation: str, test: str) -> None:
    found = read(laid_out(tmp_path, classed(train, validation, test)))
    assert found.class_names == CLASSES
    assert {name: place.name for name, place in found.folders.items()} == {
        "train": train, "val": validation, "test": test
    }  # fmt: skip
    assert found.validation is not None
    assert {path.relative_to(tmp_path).parts[0] for path in found.validation.paths} == {validation}
    assert not found.unused


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (classed("train", "val", "valid"), "val/, valid/ are all names of the val split: keep one, or rename"),
        (classed("train", "holdout"), "holdout/ beside train/ is neither train, val nor test: rename it or move it"),
        (
            [*classed("."), "test/1.png"],
            "test/ beside cats/, dogs/ has the name of a split and 1 image but no class fo",
        ),
        (
            [*classed("train"), "test/1.png"],
            "test/ has the name of a split and 1 image .* ignore it with --leave-out t",
        ),
        (["train/1.png", "test1/1.png"], "train/ beside test1/ has the name of a split and 1 image but no class"),
        (["train/1.png", "train/2.png", "train.csv"], "train/ has the name of a split and 2 images but no class"),
        (["valid/1.png", "invalid/1.png"], "valid/ beside invalid/ has the name of a split .* rename it if it is a cl"),
        (["OK/1.png", "train/1.png"], "train/ beside OK/ has the name of a split"),
        (classed(".", "test"), r"there is no folder train beside test/: move .* \(cats/, dogs/\) into .*train"),
        (classed("val", "test"), "there is no folder train beside val/, test/"),
        (["train/roses/1.png", "train/lilies/1.png", "val/Roses/1.png"], "val/Roses is a class .* Rename it to roses"),
        (["train/a b/1.png", "train/c/1.png", "val/a_b/1.png"], "val/a_b is a class that training .*Rename it to a b"),
        ([*classed("train", "val"), "val/cows/1.png"], "val/cows .* leave it out with --leave-out cows"),
        ([*classed("train"), "val/cats/1.png"], "class 'dogs' has no images in .*val/dogs; accepted are JPEG"),
        ([*classed("train"), "val/cats/more/1.png"], "class 'dogs' has no images in .*val/dogs; accepted are JPEG"),
        (classed("site1", "site2"), r"site1/, site2/ all have the same folders inside \(cats, dogs\), so either"),
        (classed("cats", "dogs", classes=("train", "test")), "cats/ has test/, train/ inside, the name of a split"),
        (classed("seg_train", "seg_test", "more", classes=("a", "b")), "seg_test/ has the folders a/, b/ inside and m"),
        (
            ["images/1.png", "images/2.png", "labels.csv"],
            r"1 class folder \(images/\) .* \(labels.csv is not read: an",
        ),
        (["1.png", "2.png"], "has 0 class folders but needs at least 2, .*; 2 images in .* itself, without a class"),
        (["cats/1.png"], r"has 1 class folder \(cats/\) but needs at least 2"),
        (["cats/1.heic", "dogs/1.png"], "class 'cats' has no images in .*cats, only .heic; accepted are JPEG"),
        (["README.md"], "has 0 class folders"),
    ],
)
def test_what_cannot_be_understood_says_what_was_found(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path))}.*{message}|{message}") as refusal:
        read(laid_out(tmp_path, files))
    assert len(re.findall(r"[.:] [A-Z]", str(refusal.value))) <= 1, "two sentences at most"


def test_train_may_be_a_class_among_others(tmp_path: Path) -> None:
    assert read(laid_out(tmp_path, ["bus/1.png", "car/1.png", "train/1.png"])).class_names == ("bus", "car", "train")


@pytest.mark.parametrize("wrapping", ["photos", "a/b/c", "images", "train", "data"])
@pytest.mark.parametrize("splits", [["."], ["train", "val"]])
def test_folders_around_it_are_looked_into_and_told(tmp_path: Path, wrapping: str, splits: list[str]) -> None:
    found = read(laid_out(tmp_path, [f"{wrapping}/{file}" for file in classed(*splits)]))
    assert found.class_names == CLASSES
    assert any(str(found.folders["train"]) in note for note in found.notes) or wrapping == "train"


def test_a_split_may_be_wrapped_once_more(tmp_path: Path) -> None:
    found = read(laid_out(tmp_path, [*classed("train/train", "test/test")]))
    assert (found.class_names, len(found.train.paths)) == (CLASSES, 4)
    assert found.test is not None
    assert len(found.test.paths) == 4


def test_images_in_subfolders_of_a_class_belong_to_it_and_that_is_told(tmp_path: Path) -> None:
    found = read(laid_out(tmp_path, [*classed("."), "cats/old/3.png", "dogs/a/b/4.png"]))
    assert len(found.train.paths) == 6
    assert not found.unused
    assert any(note.startswith("2 images in subfolders of a class, such as ") for note in found.notes)


def test_every_suffix_is_used_and_what_is_no_image_is_named(tmp_path: Path) -> None:
    more = ["cats/3.TIF", "cats/4.tiff", "cats/5.jfif", "cats/6.JPG", "dogs/7.avif", "dogs/8.jp2"]
    others = ["labels.csv", "cats/1.txt", "dogs/2.heic", "cats/noSuffix"]
    litter = ["cats/._1.jpg", ".DS_Store", "Thumbs.db", "dogs/desktop.ini", "__MACOSX/cats/1.jpg", "@eaDir/1.jpg"]
    found = read(laid_out(tmp_path, [*classed("."), *more, *others, *litter]))
    assert found.class_names == CLASSES
    assert len(found.train.paths) == 4 + len(more)
    assert {str(file.relative_to(tmp_path)) for file in found.unused} == set(others)


def test_loose_images_beside_classes_are_named(tmp_path: Path) -> None:
    found = read(laid_out(tmp_path, [*classed("train"), "train/loose.png", "loose.jpg", "train/notes/a.md"][:-1]))
    assert [file.name for file in found.unused] == ["loose.jpg", "loose.png"]


def test_folders_without_images_beside_splits_are_no_obstacle(tmp_path: Path) -> None:
    found = read(laid_out(tmp_path, [*classed("train", "val"), "annotations/1.xml"]))
    assert [file.name for file in found.unused] == ["1.xml"]


def test_linked_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    laid_out(tmp_path / "elsewhere", ["1.png", "deep/2.png"])
    root = laid_out(tmp_path / "data", ["cats/1.png", "dogs/1.png"])
    (root / "cows").symlink_to(tmp_path / "elsewhere")
    (root / "cats" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "dogs" / "circle").symlink_to(root / "dogs")
    found = read(root)
    assert found.class_names == ("cats", "cows", "dogs")
    assert len(found.train.paths) == 3 + 2 + 1
    assert not found.unused


def test_a_class_is_left_out_by_name_in_all_splits(tmp_path: Path) -> None:
    root = laid_out(tmp_path, [*classed("train", "val"), "train/rare/1.png", "train/rare/1.txt", "val/rare/1.png"])
    found = read(root, ["rare"])
    assert found.class_names == CLASSES
    assert not found.unused
    assert [note for note in found.notes if "Left out" in note] == [
        f"Left out: {root / 'train' / 'rare'}, with 1 image", f"Left out: {root / 'val' / 'rare'}, with 1 image"
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"--leave-out rar: no class .* of that name in .* \(did you mean rare\?\)"):
        read(root, ["rar"])


def test_other_folders_are_left_out_too_and_those_inside_classes_are_not_meant(tmp_path: Path) -> None:
    root = laid_out(tmp_path, [*classed("."), "test/1.png", "cats/test2/1.png", "test2/1.png"])
    found = read(root, ["test", "test2"])
    assert found.class_names == CLASSES
    assert len(found.train.paths) == 5


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = laid_out(tmp_path, classed("."))

    def refuse(self: Path) -> Iterable[Path]:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match=r"cannot be read: Permission denied"):
        read(root)


def test_no_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("opened")

    root = laid_out(tmp_path, classed("train", "test"))
    monkeypatch.setattr(Image, "open", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    assert read(root).class_names == CLASSES
