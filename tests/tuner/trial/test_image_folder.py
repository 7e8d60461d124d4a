"""Folders of images as people have them: any format, size and mode, with and without splits, with broken files."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search_spaces.errors import UserError
from tuner.test_split import load_test_split
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


def test_test_images_that_decode_are_known_by_their_files(folder: Path) -> None:
    whole = load_test_split(str(folder), 20, 0).files
    (folder / whole[0]).write_bytes(b"broken")
    found = load_test_split(str(folder), 20, 0)
    assert found.files == whole[1:]
    assert len(found.images) == len(found.labels) == 3
    assert found.skipped[0].startswith(str(folder / whole[0]))
    for file, pixels, label in zip(found.files, found.images, found.labels, strict=True):
        assert (file.startswith("dogs/"), pixels[0, 0, 0]) == (bool(label), 20 * int(Path(file).stem) + label)


def test_under_strict_a_file_that_is_not_used_is_an_error(folder: Path) -> None:
    (folder / "labels.csv").write_text("1.png,cats")
    data = datasets.load(str(folder), None, seed=0)
    assert data.unused == (str(folder / "labels.csv"),)
    assert data.record().unused == data.unused
    assert f"Not used, since they are no images of a class: {folder / 'labels.csv'}" in data.summary()
    with pytest.raises(
        UserError, match=r"--strict: 1 file in .* would not be used, such as .*labels.csv: move it away"
    ):
        datasets.load(str(folder), None, seed=0, strict=True)


def test_what_is_taken_for_other_splits_and_the_images_of_each_class_are_told(tmp_path: Path, folder: Path) -> None:
    told = datasets.load(str(folder), None, seed=0).summary()
    assert "Images a class, training/validation/test: cats 8/2/2, dogs 8/2/2" in told
    assert f"Drawn from the 24 images in {folder}: 4 for validation and 4 for test (15% each), by --seed" in told
    shutil.copytree(folder, tmp_path / "split" / "Train")
    shutil.copytree(folder, tmp_path / "split" / "valid")
    told = datasets.load(str(tmp_path / "split"), None, seed=0).summary()
    assert f"Drawn from the 24 images in {tmp_path / 'split' / 'Train'}: 4 for test (15%), by --seed" in told
    assert "Splits: train is Train/, val is valid/" in told
    shutil.copytree(folder, tmp_path / "split" / "test")
    assert "Drawn" not in datasets.load(str(tmp_path / "split"), None, seed=0).summary()


def test_of_many_classes_the_smallest_and_the_largest_are_told(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}").mkdir()
        for image in range(8 + number):
            Image.new("L", (8, 8)).save(tmp_path / f"{number:02}" / f"{image}.png")
    told = datasets.load(str(tmp_path), None, seed=0).summary()
    line = next(line for line in told.splitlines() if line.startswith("Images a class"))
    assert line.startswith("Images a class, training/validation/test: fewest 00 6/1/1, 01 ")
    assert "; most 19 " in line
    assert len(line) < 200


def test_a_class_of_three_images_is_left_out_by_name(folder: Path) -> None:
    whole = datasets.load(str(folder), None, seed=0)
    (folder / "rare").mkdir()
    for number in range(3):
        Image.new("RGB", (20, 20)).save(folder / "rare" / f"{number}.png")
    with pytest.raises(UserError, match=r"class 'rare' has 3 images to draw .* leave it out with --leave-out rare$"):
        datasets.load(str(folder), None, seed=0)
    data = datasets.load(str(folder), None, seed=0, leave_out=("rare",))
    assert data.fingerprint() == whole.fingerprint()
    assert f"Left out: {folder / 'rare'}, with 3 images" in data.summary()
    assert len(load_test_split(str(folder), 20, 0, ("rare",)).labels) == whole.test_count
    datasets.load(str(folder), None, seed=0, strict=True, leave_out=("rare",))


def test_several_small_classes_are_left_out_at_once(folder: Path) -> None:
    for name in ("a b", "c"):
        (folder / name).mkdir()
        Image.new("RGB", (20, 20)).save(folder / name / "1.png")
    with pytest.raises(UserError, match=r"class 'a b' has 1 image, class 'c' has 1 image .* --leave-out 'a b,c'$"):
        datasets.load(str(folder), None, seed=0)
    assert datasets.load(str(folder), None, seed=0, leave_out=("a b", "c")).class_names == ("cats", "dogs")


@pytest.mark.parametrize("source", ["digits", "cifar10", "own.npz"])
def test_only_folders_have_classes_to_leave_out(source: str) -> None:
    with pytest.raises(UserError, match=f"--leave-out rare: is for --data FOLDER, and this is {source}"):
        datasets.load(source, None, seed=0, leave_out=("rare",))


def test_an_archive_has_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "photos.zip").touch()
    with pytest.raises(UserError, match=r"photos.zip: is a file, but must be a folder or an .npz file; unpack"):
        datasets.load(str(tmp_path / "photos.zip"), None, seed=0)


def test_names_that_are_no_text_are_told_and_written_down(folder: Path) -> None:
    """As an archive from a system with another encoding leaves them."""
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("")
    (folder / "cats" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"broken")
    data = datasets.load(str(folder), None, seed=0)
    assert r"caf\udce9.txt" in data.summary().encode().decode()
    assert any(r"caf\udce9.png" in name for name in (*data.skipped, *load_test_split(str(folder), 20, 0).skipped))
