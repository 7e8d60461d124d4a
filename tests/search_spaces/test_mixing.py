"""Batches whose images are mixed, and their labels likewise."""

from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from search_spaces import mixing, optimization
from search_spaces.configuration import complete
from search_spaces.declaration import read
from search_spaces.mixing import MixedBatches
from search_spaces.space import populated
from search_spaces.task import Task


def batches(count: int = 40, **given: Any) -> MixedBatches:
    """Images that are all of one grey: 10 of class 0, 20 of class 1, and so on."""
    hp = keras_tuner.HyperParameters()
    mixing.declare(hp)
    optimization.declare(hp, Task(32, 4, 1000, 5))
    labels = np.arange(count) % 4
    images = np.broadcast_to(((labels + 1) * 10).astype("uint8")[:, None, None, None], (count, 32, 32, 3))
    keras.utils.set_random_seed(0)
    return MixedBatches(populated(complete(read(hp), given | {"batch_size": 16})), images, np.eye(4)[labels])


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_labels_say_what_images_are_made_of(mix: str) -> None:
    images, labels = batches(mix=mix, mix_alpha=1.0)[0]
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
    assert ((labels > 0.01).sum(axis=1) > 1).any()
    expected = (labels * [10, 20, 30, 40]).sum(axis=1)
    # CutMix's labels know its box before it is rounded to pixels: up to two rows and columns of 32, at 30 levels.
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), expected, atol=2 if mix == "cutmix" else 1e-3)


def test_an_epoch_has_every_image_once_in_an_order_of_its_own() -> None:
    one = batches(mix="mixup", mix_alpha=0.1)
    assert [len(one[index][0]) for index in range(len(one))] == [16, 16, 8]
    first = one[0][1]
    one.epoch = 1
    assert not np.array_equal(first, one[0][1])
    seen = [batches(mix="mixup", mix_alpha=0.1, count=40)._drawn(index) for index in range(3)]
    assert sorted(np.concatenate(seen)) == list(range(40))


def test_an_epoch_is_the_same_whether_others_came_before_it() -> None:
    one, other = batches(mix="cutmix", mix_alpha=0.4), batches(mix="cutmix", mix_alpha=0.4)
    one[0]
    one.epoch = other.epoch = 2
    np.testing.assert_array_equal(one[1][0], other[1][0])


def test_a_seed_repeats_the_batches() -> None:
    first, second = (batches(mix="mixup", mix_alpha=0.4)[0] for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
