"""Data sources and their splits: stratified, drawn once from the seed, and the test split stays shut."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.errors import Unavailable, UserError
from tuner.trial import datasets


def test_digits_are_what_scikit_learn_ships() -> None:
    data = datasets.load("digits", None, seed=0)
    assert len(data.train_labels) + len(data.validation_labels) + data.test_count == 1797
    assert data.train_images.shape[1:] == (32, 32, 3)
    assert data.train_images.dtype == np.uint8
    assert data.train_images.max() == 255
    assert data.class_names == tuple("0123456789")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(datasets.LEAST_PER_CLASS, 60), min_size=2, max_size=6), st.integers(0, 2**31))
def test_three_splits_share_no_image_and_each_has_every_class(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    names = tuple(map(str, range(len(sizes))))
    splits = datasets.three_way(labels, seed, names)
    assert sorted(np.concatenate(splits).tolist()) == list(range(len(labels)))
    for split in splits:
        assert set(labels[split].tolist()) == set(range(len(sizes)))
    for held_out in splits[1:]:  # stratified: no class is off its share by more than rounding allows
        for label, size in enumerate(sizes):
            assert abs((labels[held_out] == label).sum() - size * datasets.HELD_OUT_SHARE) < 2


def test_a_seed_draws_the_same_splits_and_another_draws_others() -> None:
    first, same, other = (datasets.load("digits", 8, seed=seed) for seed in (3, 3, 4))
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()
    np.testing.assert_array_equal(first.validation_images, same.validation_images)
    assert not np.array_equal(first.validation_images, other.validation_images)


def test_training_code_gets_no_way_to_test_images() -> None:
    data = datasets.load("digits", 8, seed=0)
    held = {name: getattr(data, name) for name in vars(data)}
    images = sum(len(value) for name, value in held.items() if name.endswith("_images"))
    assert images == 1797 - data.test_count
    assert data.test_count == 270


def test_a_small_class_is_named_with_the_rule() -> None:
    labels = np.array([0] * 20 + [1] * 7)
    with pytest.raises(UserError, match="class 'rare' has 7 images to draw a split from but needs at least 8"):
        datasets.three_way(labels, 0, ("common", "rare"))


def test_cifar10_that_is_not_there_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    def offline() -> None:
        raise Exception("URL fetch failure on https://example.invalid: None -- no route")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", offline)
    with pytest.raises(Unavailable, match=r"neither in .*cifar-10-batches-py.* --data digits .* or --data FOLDER"):
        datasets.load("cifar10", None, seed=0)


def test_cifar10_comes_through_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    images = np.arange(200 * 32 * 32 * 3, dtype=np.uint32).reshape(200, 32, 32, 3).astype(np.uint8)
    labels = (np.arange(200) % 10).reshape(-1, 1).astype(np.uint8)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: ((images, labels), (images[:30], labels[:30])))
    data = datasets.load("cifar10", None, seed=0)
    assert (len(data.train_labels), len(data.validation_labels), data.test_count) == (170, 30, 30)
    assert data.class_names[3] == "cat"


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--data .*nothing: no such folder; give cifar10, digits, or a folder"):
        datasets.load(str(tmp_path / "nothing"), None, seed=0)


def test_a_name_that_is_too_long_for_a_folder_is_no_folder() -> None:
    with pytest.raises(UserError, match="no such folder; give cifar10, digits, or a folder with a subfolder a class"):
        datasets.load("n" * 300, None, seed=0)
