"""Folders of images as people have them: any format, size and mode, with and without splits, with broken files."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search_spaces.errors import UserError
from tuner.trial import datasets


def test_a_folder_a_class(folder: Path) -> None:
    data = datasets.load(str(folder), None, seed=0)
    assert data.class_names == ("cats", "dogs")
    assert data.image_size == 20
    assert (len(data.train_labels), len(data.validation_labels), data.test_count) == (16, 4, 4)


def test_given_splits_are_kept_and_test_images_are_not_opened(tmp_path: Path, folder: Path) -> None:
    for split, numbers in {"train": range(8), "val": range(8, 10), "test": range(10, 12)}.items():
        for name in ("cats", "dogs"):
            (tmp_path / "split" / split / name).mkdir(parents=True)
            for number in numbers:
                shutil.copy(folder / name / f"{number:02}.png", tmp_path / "split" / split / name)
    for file in (tmp_path / "split" / "test").rglob("*.png"):
        file.write_bytes(b"would not decode")
    data = datasets.load(str(tmp_path / "split"), None, seed=0, strict=True)
    assert (len(data.train_labels), len(data.validation_labels), data.test_count) == (16, 4, 4)
    assert sorted(set(data.validation_images[:, 0, 0, 0].tolist())) == [160, 161, 180, 181]


def test_missing_splits_are_drawn_from_training(tmp_path: Path, folder: Path) -> None:
    shutil.copytree(folder, tmp_path / "split" / "train")
    data = datasets.load(str(tmp_path / "split"), None, seed=0)
    without = datasets.load(str(folder), None, seed=0)
    assert data.fingerprint() == without.fingerprint()


def test_a_class_that_training_does_not_have_is_an_error(tmp_path: Path, folder: Path) -> None:
    shutil.copytree(folder, tmp_path / "split" / "train")
    shutil.copytree(folder, tmp_path / "split" / "val")
    (tmp_path / "split" / "val" / "birds").mkdir()
    with pytest.raises(UserError, match="birds is a class that training does not have; training has cats, dogs"):
        datasets.load(str(tmp_path / "split"), None, seed=0)


def test_images_of_several_sizes_become_the_default_or_the_asked_size(folder: Path) -> None:
    Image.new("RGB", (50, 30)).save(folder / "cats" / "wide.jpg")
    assert datasets.load(str(folder), None, seed=0).image_size == 96
    assert datasets.load(str(folder), 24, seed=0).image_size == 24


def test_what_is_no_image_file_is_no_image(folder: Path) -> None:
    (folder / "cats" / "notes.txt").write_text("about cats")
    (folder / "cats" / ".hidden").mkdir()
    (folder / ".cache").mkdir()
    assert len(datasets.load(str(folder), None, seed=0).train_labels) == 16


def test_broken_images_are_skipped_and_named_without_moving_the_others(folder: Path) -> None:
    whole = datasets.load(str(folder), None, seed=0)
    broken = next(file for file in sorted(folder.rglob("*.png")) if _in(whole.train_images, file))
    broken.write_bytes(broken.read_bytes()[:60])
    data = datasets.load(str(folder), None, seed=0)
    assert len(data.skipped) == 1
    assert str(broken) in data.skipped[0]
    assert len(data.train_labels) == len(whole.train_labels) - 1
    np.testing.assert_array_equal(data.validation_images, whole.validation_images)
    with pytest.raises(UserError, match=rf"--strict: an image does not decode: .*{broken.name}"):
        datasets.load(str(folder), None, seed=0, strict=True)


def _in(images: np.ndarray, file: Path) -> bool:
    return bool((images == np.asarray(Image.open(file))).all(axis=(1, 2, 3)).any())


def test_a_class_of_broken_images_alone_is_an_error(folder: Path) -> None:
    for file in (folder / "dogs").iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(UserError, match="class 'dogs' has no usable training image"):
        datasets.load(str(folder), None, seed=0)


def test_empty_and_lonely_classes_are_errors(folder: Path) -> None:
    (folder / "birds").mkdir()
    with pytest.raises(
        UserError,
        match="class 'birds' has no images in .*birds; accepted are JPEG.* leave it out with --leave-out birds",
    ):
        datasets.load(str(folder), None, seed=0)
    with pytest.raises(UserError, match="has 0 class folders but needs at least 2"):
        datasets.load(str(folder / "cats"), None, seed=0)
