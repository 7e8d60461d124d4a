"""The same seed gives the same numbers again, whoever draws them."""

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tuner.trial.seeding import set_random_seed


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


def test_the_same_seed_again_keeps_what_tensorflow_has_made_ready() -> None:
    if keras.backend.backend() != "tensorflow":
        pytest.skip("JAX has nothing to lose")
    from tensorflow.python.eager import context

    set_random_seed(5)
    before = context.context()._rng  # made anew whenever the kernels are thrown away
    set_random_seed(5)
    assert context.context()._rng is before
    set_random_seed(6)
    assert context.context()._rng is not before
