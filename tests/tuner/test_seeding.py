"""The same seed gives the same numbers again, whoever draws them."""

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tuner.seeding import set_random_seed


def keras_numbers() -> Any:
    return keras.ops.convert_to_numpy(keras.random.uniform((4,)))


def tensorflow_numbers() -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.random.uniform((4,)).numpy()


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        np.random.random,
        keras_numbers,
        tensorflow_numbers,
    ],
    ids=["python", "numpy", "keras", "tensorflow"],
)
def test_the_same_seed_draws_the_same(draw: Callable[[], Any]) -> None:
    set_random_seed(3)
    first, second = draw(), draw()
    set_random_seed(3)
    np.testing.assert_array_equal(draw(), first)
    np.testing.assert_array_equal(draw(), second)
    set_random_seed(4)
    assert np.any(draw() != first)
