"""Optimizer, schedule, decay and smoothing do what their names say."""

from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from search_spaces import augmentation, optimization
from search_spaces.configuration import complete
from search_spaces.declaration import read
from search_spaces.space import populated
from search_spaces.task import Task

TASK = Task(image_size=8, classes=2, training_images=640, max_epochs=10)


def compiled(slow: bool = False, ratio: float = 1.0, **given: Any) -> keras.Model:
    """A model of two dense layers, compiled; the first one is slow if asked."""
    hp = keras_tuner.HyperParameters()
    optimization.declare(hp, TASK)
    configuration = complete(read(hp), given)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.Dense(2, activation="softmax")])
    variables = model.layers[0].trainable_variables if slow else ()
    optimization.compile_model(populated(configuration), model, TASK, 0, variables, ratio)
    return model


def moved(model: keras.Model) -> list[float]:
    """How far each kernel went in one step."""
    before = [np.array(layer.kernel) for layer in model.layers]
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(32, 4)).astype("float32"), np.eye(2, dtype="float32")[rng.integers(0, 2, 32)])
    return [float(np.abs(np.array(layer.kernel) - old).max()) for layer, old in zip(model.layers, before, strict=True)]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_slow_variables_learn_at_their_share_of_the_rate(optimizer: str, schedule: str) -> None:
    plain = moved(compiled(optimizer=optimizer, schedule=schedule))
    slowed = moved(compiled(optimizer=optimizer, schedule=schedule, slow=True, ratio=0.1))
    assert slowed[0] == pytest.approx(plain[0] * 0.1, rel=0.02)
    assert slowed[1] == pytest.approx(plain[1], rel=0.02)


def test_sgd_has_nesterov_momentum() -> None:
    optimizer = compiled(optimizer="sgd").optimizer
    assert optimizer.nesterov
    assert optimizer.momentum == 0.9


def test_cosine_ends_at_zero_after_the_last_step_of_the_last_epoch() -> None:
    rate = compiled(schedule="cosine", batch_size=64, learning_rate=0.01).optimizer._learning_rate
    assert float(rate(0)) == pytest.approx(0.01)
    assert float(rate(50)) == pytest.approx(0.005)
    assert float(rate(100)) == pytest.approx(0.0, abs=1e-9)


def test_decay_is_a_penalty_for_adam_and_decoupled_for_adamw() -> None:
    model = compiled(optimizer="adam", weight_decay=1e-2)
    expected = sum(0.5e-2 * float(np.square(np.array(layer.kernel)).sum()) for layer in model.layers)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)
    decoupled = compiled(optimizer="adamw", weight_decay=1e-2)
    assert decoupled.losses == []
    assert decoupled.optimizer.weight_decay == 1e-2


def test_label_smoothing_keeps_a_sure_answer_from_being_free() -> None:
    truth, sure = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])
    assert float(compiled(label_smoothing=0.0).loss(truth, sure)) == pytest.approx(0, abs=1e-5)
    assert float(compiled(label_smoothing=0.2).loss(truth, sure)) > 0.5


@pytest.mark.parametrize(("images", "largest"), [(20, 16), (640, 64), (50_000, 512)])
def test_batches_leave_an_epoch_enough_steps(images: int, largest: int) -> None:
    hp = keras_tuner.HyperParameters()
    optimization.declare(hp, Task(8, 2, images, 10))
    assert largest == max(next(one.allowed.values for one in read(hp) if one.name == "batch_size"))


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    rate = compiled(schedule="one_cycle", batch_size=64, learning_rate=0.01).optimizer._learning_rate
    assert [float(rate(step)) for step in (0, 30, 100)] == pytest.approx([0.0004, 0.01, 0.0], abs=1e-8)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_later_stage_goes_on_with_the_schedule(schedule: str) -> None:
    hp = keras_tuner.HyperParameters()
    optimization.declare(hp, TASK)
    configuration = populated(complete(read(hp), {"schedule": schedule, "batch_size": 64}))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    optimization.compile_model(configuration, model, TASK)
    whole = [float(model.optimizer._learning_rate(step)) for step in (40, 75)]
    optimization.compile_model(configuration, model, TASK, first_epoch=4)
    assert [float(model.optimizer._learning_rate(step)) for step in (0, 35)] == pytest.approx(whole)


def test_gradients_are_clipped_to_the_norm() -> None:
    """Plain SGD at a rate of 0.03: no step is longer than 0.03 times the norm."""
    given = {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 0.03}
    free, clipped = compiled(**given), compiled(**given, clip_norm=0.5)
    lengths = []
    for model in (free, clipped):
        before = [np.array(weight) for weight in model.trainable_variables]
        model.train_on_batch(np.full((8, 4), 4.0), np.eye(2)[[0] * 7 + [1]])
        moves = [np.array(weight) - old for weight, old in zip(model.trainable_variables, before, strict=True)]
        lengths.append(np.sqrt(sum((move**2).sum() for move in moves)))
    assert lengths[1] == pytest.approx(0.015, rel=1e-3)
    assert lengths[0] > 2 * lengths[1]


def test_a_weak_randaugment_leaves_more_than_a_bit() -> None:
    """Keras's own posterization would leave two levels of grey at a strength below 0.25."""
    hp = keras_tuner.HyperParameters()
    augmentation.declare(hp)
    pixels = keras.Input((16, 16, 3))
    changed = augmentation.apply(populated(complete(read(hp), {"augmentation": "randaugment"})), pixels)
    layer = changed._keras_history.operation
    ramp = np.arange(256, dtype="float32").reshape(1, 16, 16, 1).repeat(3, axis=-1)
    assert len(np.unique(np.asarray(layer.random_posterization(ramp, training=True)))) >= 32
