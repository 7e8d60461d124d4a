"""What of a model Keras cannot load without somebody's code is named before the first trial."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import pytest

from search_spaces.first_model import check_first
from search_spaces.task import Task
from tests.search_spaces.test_discovery import OneFunction

TASK = Task(image_size=8, classes=2, training_images=16, max_epochs=1)


def swish(x: Any) -> Any:
    return x * keras.ops.sigmoid(x)


class Twice(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


class Registered(Twice):
    pass


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """As Keras's decorator does it, and undone: it holds for the process, whose other models would not be known."""
    keras.saving.register_keras_serializable("tests")(Registered)
    yield
    keras.saving.get_custom_objects().pop("tests>Registered")


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: keras.layers.Dense(4, activation=swish), ("swish()",)),
        (lambda: keras.layers.Dense(4, activation=lambda x: x), ("<lambda>()",)),
        (lambda: keras.layers.Lambda(lambda x: x, name="same"), ("same (Lambda)",)),
        (lambda: Twice(name="own"), ("own (Twice)",)),
        (lambda: Registered(name="own"), ("own (Registered)",)),
        (lambda: keras.Sequential([Twice(name="own")]), ("own (Twice)",)),
        (lambda: keras.layers.Dense(4, activation=keras.layers.PReLU()), ()),
        (lambda: keras.layers.Dense(4, activation="gelu", kernel_initializer=keras.initializers.HeNormal()), ()),
    ],
)
def test_what_needs_code_is_named(layer: Callable[[], keras.layers.Layer], named: tuple[str, ...]) -> None:
    class Space(OneFunction):
        def build(self, hp: Any) -> keras.Model:
            hp.Boolean("any")
            inputs = keras.Input((8, 8, 3))
            x = layer()(keras.layers.Flatten()(inputs))
            model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

    assert check_first(Space(lambda hp: None), TASK, {}) == named
