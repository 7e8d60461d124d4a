"""A user's own arrays: whatever form they come in, the same pixels and labels; what cannot be meant is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from sklearn.datasets import load_digits

from search_spaces.errors import UserError
from tuner.test_split import load_test_split
from tuner.trial import datasets
from tuner.trial.image_archive import Archive, load_archive
from tuner.trial.image_arrays import Labelled, TrainScale, labelled, numbers, pixels, shaped
from tuner.trial.pixel_scale import BYTES, PixelScale, given_scale

RNG = np.random.default_rng(0)


def taken(images: Any, scale: PixelScale | None = None) -> np.ndarray:
    """Training images as uint8."""
    return pixels(shaped(images, "data"), TrainScale.of(images, "data", scale).scale)


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """uint8, grey or RGB, of any size; one value is 255, so that a scale can be told."""
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3)) + draw(st.sampled_from([(), (1,), (3,)]))
    found = draw(arrays.arrays(np.uint8, shape))
    found.flat[0] = 255
    return found


@settings(max_examples=100, deadline=None)
@given(pictures(), st.sampled_from(["uint8", "int64", "float16", "float32", "float64", "unit", "list"]))
def test_the_same_pixels_whatever_form_they_come_in(images: np.ndarray, form: str) -> None:
    forms: dict[str, Any] = {"unit": images.astype(np.float32) / 255, "list": images.tolist()}
    found = taken(forms[form] if form in forms else images.astype(form))
    grey = images if images.ndim == 4 else images[..., np.newaxis]
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.broadcast_to(grey, found.shape))
    assert found.shape == (*images.shape[:3], 3)


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)))
def test_any_array_is_pixels_or_is_refused_in_words(array: np.ndarray) -> None:
    try:
        found = taken(array)
    except UserError as error:
        found = str(error)
    assert found.startswith("data: ") if isinstance(found, str) else (found.dtype, found.shape[3:]) == (np.uint8, (3,))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 4, 4), np.nan), "values from nan to nan, but pixels are 0..255, or floats of 0..1"),
        (np.linspace(-1, 1, 32).reshape(2, 4, 4), "values from -1 to 1, .* before any preprocessing"),
        (np.full((2, 4, 4), 70_000), "values from 70000 to 70000, .* scale="),
        (np.ones((2, 4, 4), np.uint8), "none is above 1, but pixels are 0..255: multiply by 255, or say scale=1"),
        (np.zeros((2, 3, 4, 4)), r"shape \(2, 3, 4, 4\) but must be .* the channels last"),
        (np.zeros((4, 4)), r"shape \(4, 4\) but must be"),
        (np.zeros((0, 4, 4)), "no images"),
        (np.zeros((2, 4, 4), bool), "images are bool but must be uint8"),
        ([[[1, 2]], [[1]]], "is no array"),
    ],
)
def test_what_is_no_images_is_refused(images: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"data: .*{message}"):
        taken(images)


DIGITS = load_digits().images[:300] / 16


def with_one(value: float) -> np.ndarray:
    images = DIGITS.copy()
    images[0, 0, 0] = value
    return images


def enlarged() -> np.ndarray:
    """Lanczos goes beyond black and white at edges."""
    return np.stack([np.asarray(Image.fromarray(one.astype(np.float32)).resize((32, 32), 1)) for one in DIGITS])


@pytest.mark.parametrize("value", [1.02, -0.1, 2.0, 255.0])
def test_one_odd_value_does_not_decide_the_scale_of_all(value: float) -> None:
    found, expected = taken(with_one(value)), taken(DIGITS)
    np.testing.assert_array_equal(found[1:], expected[1:])
    assert found[0, 0, 0, 0] == (0 if value < 0 else 255)


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("rounds", [False, True])
def test_overshoot_of_resizing_is_cut_off(white: int, rounds: bool) -> None:
    images = enlarged() * white
    assert images.min() < -0.2 * white
    assert images.max() > 1.2 * white
    found = taken(np.rint(images).astype(np.int16) if rounds and white == 255 else images)
    assert np.abs(found[..., 0] - 255.0 * np.clip(enlarged(), 0, 1)).max() <= 1


@pytest.mark.parametrize(
    ("images", "white"),
    [
        ((DIGITS * 1023).astype(np.uint16), 1023),
        ((DIGITS * 4095).astype(np.uint16), 4095),
        ((DIGITS * 65535).astype(np.uint16), 65535),
        ((DIGITS * 65535).astype(np.int32), 65535),
        ((DIGITS * 4095).astype(np.uint16).astype(np.float32), 4095),
        ((DIGITS * 255).astype(np.uint16), 255),
    ],
)
def test_a_camera_with_more_than_8_bits_keeps_all_grey_levels(images: np.ndarray, white: int) -> None:
    assert np.abs(taken(images)[..., 0] - images * 255.0 / white).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(
    ("images", "scale"),
    [
        (DIGITS * 16, "say scale=16, else scale=255"),
        ((DIGITS * 16).astype(np.uint8), "say scale=16, else scale=255"),
        (DIGITS * 100, "say scale=100, else scale=255"),
        (DIGITS * 16 / 255, "say scale=0.0627451, else scale=1"),
        ((DIGITS > 0.5).astype(np.uint8), "multiply by 255, or say scale=1"),
        (DIGITS.astype(np.uint8), "multiply by 255, or say scale=1"),
        (DIGITS * 0, "every value of the images is 0"),
        (DIGITS * 2 - 1, r"or say scale=\(-1, 1\)"),
        (DIGITS - 0.5, r"or say scale=\(-0.5, 0.5\)"),
        ((DIGITS - DIGITS.mean()) / DIGITS.std(), "they are standardised.*as they were before any preprocessing"),
        (DIGITS * 255 - 110, "as they were before any preprocessing"),
        ((DIGITS * 255 - 128).astype(np.int8), "values from -128 to 127"),
        (DIGITS * 1.3, "values from 0 to 1.3"),
        (DIGITS * 3000.5, "values from 0 to 3000.5"),
        (np.concatenate([DIGITS[:40] * 255, DIGITS[40:]]), "260 of 300 images, the first is 40, have no value above"),
        (np.concatenate([DIGITS[:299], DIGITS[299:] * 255]), "image 299 has values from 0 to 2[0-9.]*, but the others"),
        (np.where(DIGITS[7] == DIGITS, np.inf, DIGITS), "leave out image 0 and its like"),
    ],
)
def test_a_scale_that_cannot_be_told_is_refused_with_what_to_say(images: np.ndarray, scale: str) -> None:
    with pytest.raises(UserError, match=f"^data: .*{scale}"):
        taken(images)


@pytest.mark.parametrize(
    ("images", "scale"),
    [
        ((DIGITS * 16).astype(np.uint8), 16),
        (DIGITS * 2 - 1, (-1, 1)),
        (DIGITS * 0.4, 1.0),
        ((DIGITS * 100).astype(np.uint8), [0, 100]),
        ((DIGITS * 255 - 128).astype(np.int16), np.array([-128, 127])),
    ],
)
def test_a_scale_that_is_given_is_taken(images: np.ndarray, scale: Any) -> None:
    told = given_scale(scale, "data")
    expected = (images.astype(float) - told.black) / (told.white - told.black) * 255
    assert np.abs(taken(images, told)[..., 0] - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("scale", [0, -1, (1, 0), (0, 1, 2), "unit", (0, np.nan), (), None])
def test_what_is_no_scale_is_refused(scale: Any) -> None:
    with pytest.raises(UserError, match=r"^data: scale .* must be the values of black and white"):
        given_scale(scale, "data")


def test_a_scale_that_the_images_are_not_on_is_refused() -> None:
    with pytest.raises(UserError, match=r"data: images have values from 0 to 255, but the scale is \(0, 1\)"):
        taken(DIGITS * 255, given_scale(1, "data"))


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (DIGITS, "validation_data: images have values from 0 to 1, but the training images go up to 255"),
        ((DIGITS > 0.5).astype(np.uint8), "but the training images go up to 255"),
        (DIGITS * 4095, r"but the scale is \(0, 255\) for all splits"),
        (DIGITS * 510 - 255, r"but the scale is \(0, 255\) for all splits"),
    ],
)
def test_a_split_on_another_scale_than_training_is_refused(validation: np.ndarray, message: str) -> None:
    told = TrainScale.of((DIGITS * 255).astype(np.uint8), "data", None)
    with pytest.raises(UserError, match=message):
        told.labelled(validation, np.zeros(len(validation), int), "validation_data")


def test_validation_follows_the_scale_of_training() -> None:
    """Alone, a few dark images of 0..255 would be taken for something else."""
    told = TrainScale.of(DIGITS * 255, "data", None)
    found = told.labelled(DIGITS[:5] * 60.5, np.zeros(5, int), "validation_data")
    assert found.images.max() == np.rint(60.5 * DIGITS[:5].max())


def test_what_was_decided_is_said() -> None:
    assert TrainScale.of(with_one(1.02), "data", None).notes == (
        "data: float64 values from 0 to 1.02, taken as 0 for black and 1 for white (what is beyond is cut off); "
        "scale=(BLACK, WHITE) says otherwise",
    )
    assert not TrainScale.of((DIGITS * 255).astype(np.uint8), "data", None).notes


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1), st.sampled_from(["plain", "float", "column", "one-hot", "one-hot float"])
)
def test_the_same_labels_whatever_form_they_come_in(labels: list[int], form: str) -> None:
    plain = np.array(labels, np.uint8)
    forms = {
        "plain": plain,
        "float": plain.astype(np.float32)[:, np.newaxis],
        "column": plain[:, np.newaxis],
        "one-hot": np.eye(6, dtype=bool)[plain],
        "one-hot float": np.eye(6, dtype=np.float32)[plain],
    }
    found = numbers(forms[form], "data")
    assert found.dtype == np.int64
    assert found.tolist() == labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5, 1.0], "labels are float64 of shape"),
        ([0.0, np.nan], "labels are float64 of shape"),
        ([-1, 0], "labels are from -1 to 0, but count classes from 0"),
        ([0, 10**15], "labels are from 0 to 1000000000000000, but count classes from 0"),
        ([0, np.inf], "labels are from 0.0 to inf, but count classes from 0"),
        ([[1, 1], [1, 0]], "must be one-hot: a single 1 in each row"),
        ([[0.5, 0.5], [1, 0]], "must be one-hot"),
        (["cat", "dog"], "must be whole numbers"),
    ],
)
def test_what_is_no_labels_is_refused(labels: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"data: .*{message}"):
        numbers(np.array(labels), "data")


def test_each_image_has_a_label() -> None:
    with pytest.raises(UserError, match="data: 3 images but 2 labels"):
        labelled(RNG.integers(0, 255, (3, 4, 4)), [0, 1], "data", BYTES)


def split(count: int, height: int = 8, width: int = 8) -> Labelled:
    images = RNG.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return Labelled(images, np.arange(count) % 2)


def test_an_archive_is_read_as_it_was_written(tmp_path: Path) -> None:
    train, validation, test = split(10), split(6), split(4)
    Archive(train, validation, test, ("cat", "dog")).write(tmp_path / "own.npz")
    data = datasets.load(str(tmp_path / "own.npz"), None, seed=0)
    np.testing.assert_array_equal(data.train_images, train.images)
    np.testing.assert_array_equal(data.validation_labels, validation.labels)
    assert (data.class_names, data.test_count, data.image_size) == (("cat", "dog"), 4, 8)
    found = load_test_split(data.source, 8, 0)
    images, labels = found.images, found.labels
    np.testing.assert_array_equal(images, test.images)
    np.testing.assert_array_equal(labels, test.labels)


@pytest.mark.parametrize("given_splits", [(False, False), (True, False), (False, True)])
def test_missing_splits_share_no_image(tmp_path: Path, given_splits: tuple[bool, bool]) -> None:
    whole, (has_validation, has_test) = split(60), given_splits
    whole.images[:, 0, 0, 0] = np.arange(60)  # tells them apart
    own = split(20)
    own.images[:, 0, 0, 0] = 100 + np.arange(20)
    file = tmp_path / "own.npz"
    Archive(whole, own if has_validation else None, own if has_test else None, ("a", "b")).write(file)
    data = load_archive(file, None, seed=3)
    found = load_test_split(str(file), 8, 3)
    test, labels = found.images, found.labels
    parts = [images[:, 0, 0, 0].tolist() for images in (data.train_images, data.validation_images, test)]
    assert sorted([*parts[0], *parts[1], *parts[2]]) == sorted(
        [*range(60), *(range(100, 120) if any(given_splits) else ())]
    )
    assert data.test_count == len(labels) == (20 if has_test else 9)
    assert labels.tolist() == (own.labels if has_test else whole.labels[parts[2]]).tolist()


def test_keras_own_files_are_read_and_their_test_images_are_not(tmp_path: Path) -> None:
    """Grey images without class names, as in mnist.npz; what cannot be read of the test images hurts no trial."""
    file = tmp_path / "mnist.npz"
    labels = np.arange(40) % 2
    images = RNG.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    np.savez(file, x_train=images, y_train=labels, x_test=np.full((4, 28, 28), np.nan), y_test=labels[:4])
    data = datasets.load(str(file), None, seed=0)
    assert (data.train_images.shape, data.class_names, data.test_count) == ((34, 28, 28, 3), ("0", "1"), 4)
    with pytest.raises(UserError, match="mnist.npz: test: images have values from nan"):
        load_test_split(str(file), 28, 0)


def test_a_file_says_its_scale(tmp_path: Path) -> None:
    file, images, labels = tmp_path / "digits.npz", (DIGITS * 16).astype(np.uint8), load_digits().target[:300]
    own = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(file, **own)
    with pytest.raises(UserError, match=r"digits.npz: train: images have values from 0 to 16: .* say scale=16"):
        load_archive(file, None, 0)
    np.savez(file, **own, scale=16)
    assert load_archive(file, None, 0).train_images.max() == 255
    assert load_test_split(str(file), 8, 0).images.max() == 255


def test_test_images_follow_the_scale_of_training(tmp_path: Path) -> None:
    file, labels = tmp_path / "digits.npz", load_digits().target[:300]
    np.savez(file, x_train=with_one(1.02), y_train=labels, x_test=DIGITS * 0.6, y_test=labels)
    assert load_test_split(str(file), 8, 0).images.max() == 153
    data = load_archive(file, None, 0)
    assert data.notes[0].startswith(f"--data {file}: train: float64 values from 0 to 1.02, taken as 0 for black")


def test_images_that_are_no_squares_of_one_size_are_resized(tmp_path: Path) -> None:
    Archive(split(20, 8, 12), split(4, 8, 12), split(4), ("a", "b")).write(tmp_path / "own.npz")
    assert load_archive(tmp_path / "own.npz", None, 0).image_size == 96
    data = load_archive(tmp_path / "own.npz", 16, 0)
    assert data.train_images.shape == (20, 16, 16, 3)
    assert data.validation_images.shape == (4, 16, 16, 3)


@pytest.mark.parametrize(
    ("arrays_of_it", "message"),
    [
        ({"a": np.zeros(3)}, "has no x_train and y_train; it has nothing of it"),
        ({"x_train": np.zeros((4, 8, 8))}, "has only one of x_train and y_train"),
        ({"x_test": np.zeros((4, 8, 8))}, "has only one of x_test and y_test"),
        ({"y_train": np.zeros(4, int)}, "needs at least 2"),
        ({"y_train": np.array([0, 0, 2, 2] * 5)}, r"class '1' \(label 1\) has no training image"),
        ({"y_train": np.array([0, 10**9] * 10)}, "a label is 1000000000, but 20 images are not enough"),
        ({"class_names": np.array(["a"])}, "has 1 classes but needs at least 2"),
        ({"class_names": np.array(["a", "a"])}, "a class name is there twice among a, a"),
        ({"class_names": np.array([1, 2])}, "class_names must be a list of texts"),
        ({"x_val": np.zeros((2, 8, 8)), "y_val": np.array([0, 2])}, "a validation label is 2, a class that training"),
        ({"x_test": np.zeros((1, 8, 8)), "y_test": np.array([0])}, r"class '1' \(label 1\) has no test image"),
        ({"x_train": np.array([{}] * 20), "y_train": np.arange(20) % 2}, "holds Python objects, which may be code"),
    ],
)
def test_an_archive_that_cannot_be_used_says_why(
    tmp_path: Path, arrays_of_it: dict[str, np.ndarray], message: str
) -> None:
    whole = {"x_train": np.full((20, 8, 8), 0.5), "y_train": np.arange(20) % 2}
    chosen = arrays_of_it if {"a", "x_train"} & arrays_of_it.keys() else whole | arrays_of_it
    if "y_train" in arrays_of_it and "x_train" not in arrays_of_it:
        count = len(arrays_of_it["y_train"])
        chosen["x_train"] = np.full((count, 8, 8), 0.5)
    np.savez(tmp_path / "bad.npz", **chosen)
    with pytest.raises(UserError, match=f"--data .*bad.npz: .*{message}"):
        load_archive(tmp_path / "bad.npz", None, 0)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"--data nowhere.npz: is no .npz file of arrays, .*No such file"):
        datasets.load("nowhere.npz", None, 0)
