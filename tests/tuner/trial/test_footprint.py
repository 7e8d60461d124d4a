"""What a model costs where it is used."""

import time
from pathlib import Path

import keras
import numpy as np
import pytest

from search_spaces.configuration import complete
from search_spaces.declaration import declared
from search_spaces.finetune import FineTune
from search_spaces.space import populated
from search_spaces.task import Task
from tuner.trial.errors import Infeasible
from tuner.trial.footprint import Footprints, _architecture
from tuner.trial.limits import Limits

IMAGE = np.zeros((1, 8, 8, 3), "uint8")


def model(units: int = 10, rate: float = 0.1) -> keras.Model:
    pixels = keras.Input((8, 8, 3))
    hidden = keras.layers.Dense(units)(keras.layers.Flatten()(pixels))
    return keras.Model(pixels, keras.layers.Dense(3, "softmax")(keras.layers.Dropout(rate)(hidden)))


class Slow(keras.layers.Layer):
    """Computes for 20 ms for each image, in whatever graph."""

    def call(self, images: object) -> object:
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            def wait(x: object) -> object:
                end = time.thread_time() + 0.02
                while time.thread_time() < end:
                    pass
                return x

            return tf.ensure_shape(tf.numpy_function(wait, [images], tf.float32), images.shape)  # type: ignore[attr-defined]
        return images


def test_parameters_and_bytes_are_those_of_the_saved_model(tmp_path: Path) -> None:
    one = model(units=500)
    found = Footprints(IMAGE, Limits()).of(one)
    one.save(tmp_path / "model.keras")
    assert found["parameters"] == one.count_params() == 192 * 500 + 500 + 500 * 3 + 3
    assert found["file_bytes"] == 4 * found["parameters"]
    assert (tmp_path / "model.keras").stat().st_size == pytest.approx(found["file_bytes"], rel=0.15)
    assert 0 < found["latency"] < 1000


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the slow layer is written in TensorFlow")
def test_the_latency_is_that_of_one_image_in_milliseconds() -> None:
    pixels = keras.Input((8, 8, 3))
    slow = keras.Model(pixels, keras.layers.Flatten()(Slow()(pixels)))
    assert 10 < Footprints(IMAGE, Limits()).of(slow)["latency"] < 200


def test_an_architecture_is_timed_once() -> None:
    footprints = Footprints(IMAGE, Limits())
    first, again, other = footprints.of(model()), footprints.of(model(rate=0.4)), footprints.of(model(units=11))
    assert first == again
    assert other["latency"] != first["latency"]


@pytest.mark.parametrize(
    ("limits", "message", "known"),
    [
        (Limits(parameters=1962), r"^more than --max-parameters 1,962$", {"parameters"}),
        (
            Limits(latency=1e-6),
            r"^more than --max-latency 1e-06 ms$",
            {"parameters", "file_bytes", "latency", "latency_spread"},
        ),
    ],
)
def test_a_model_beyond_a_limit_is_infeasible(limits: Limits, message: str, known: set[str]) -> None:
    with pytest.raises(Infeasible, match=message) as infeasible:
        Footprints(IMAGE, limits).of(model())
    assert set(infeasible.value.measured) == known


def test_a_model_at_its_limits_is_feasible() -> None:
    assert Footprints(IMAGE, Limits(parameters=1963, latency=1e6)).of(model())["parameters"] == 1963


def test_equal_models_of_our_spaces_are_one_architecture() -> None:
    """Thawed layers, rates and strengths change nothing of an inference; a backbone's operations are counted up."""
    space = FineTune(Task(32, 3, 100, 2), {"mobilenet": None})

    def built(**given: object) -> keras.Model:
        hp = populated(complete(declared(space), {"image_size": 32, "dense_layers": 1, **given}))
        space.declare_hyperparameters(hp)
        return space.build(hp)

    one = _architecture(built(augmentation="standard", augmentation_strength=0.1, dropout=0.2))
    other = built(augmentation="standard", augmentation_strength=0.2, unfrozen_layers=8, dropout=0.5)
    assert one == _architecture(other)
    assert one != _architecture(built(augmentation="standard", dropout=0.2, dense_units=77))
