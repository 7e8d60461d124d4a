"""What of a model cannot change in training, and where it may be cut off."""

from typing import Any

import keras
import numpy as np
import pytest

from tuner.trial import frozen_prefix
from tuner.trial.frozen_prefix import FrozenPrefix
from tuner.trial.model_graph import ModelGraph


def frozen(layer: keras.layers.Layer) -> keras.layers.Layer:
    layer.trainable = False
    return layer


def model(*layers: keras.layers.Layer, side: int = 8) -> keras.Model:
    """A stack with a head that trains."""
    x = pixels = keras.Input((side, side, 3))
    for layer in layers:
        x = layer(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(pixels, keras.layers.Dense(2)(x))


def end(whole: keras.Model, views: bool = False) -> str | None:
    """The layer that the last cut lies behind."""
    prefix = frozen_prefix.find(whole, views)
    return prefix and prefix.cuts[-1].tensor._keras_history.operation.name


def conv(name: str = "conv", filters: int = 4) -> keras.layers.Layer:
    return keras.layers.Conv2D(filters, 3, padding="same", name=name)


def test_it_ends_where_the_first_weight_trains() -> None:
    assert end(model(frozen(conv("a")), keras.layers.ReLU(name="b"), conv("c"))) == "b"
    assert end(model(conv("a"))) is None


def test_a_head_on_frozen_features_is_cut_off_behind_their_pooling() -> None:
    prefix = frozen_prefix.find(model(frozen(conv(filters=16))))
    assert prefix is not None
    assert prefix.choices()[0].shape == (16,)


@pytest.mark.parametrize(
    ("layer", "is_in_front"),
    [
        (frozen(keras.layers.BatchNormalization(name="x")), True),
        (keras.layers.BatchNormalization(name="x"), False),
        (keras.layers.BatchNormalization(name="x", scale=False, center=False), False),  # no weight, but statistics
        (keras.layers.Dropout(0.5, name="x"), False),
        (frozen(keras.layers.Dropout(0.5, name="x")), False),  # drops all the same
        (keras.layers.Dropout(0.0, name="x"), True),
        (keras.layers.GaussianNoise(0.1, name="x"), False),
        (keras.layers.RandomFlip(name="x"), False),
        (frozen(keras.layers.Conv2D(3, 1, activity_regularizer="l2", name="x")), False),  # part of the loss
        (frozen(keras.layers.SpectralNormalization(keras.layers.Conv2D(3, 1), name="x")), False),
        (keras.layers.Resizing(4, 4, name="x"), True),
    ],
)
def test_what_can_change_is_not_in_it(layer: keras.layers.Layer, is_in_front: bool) -> None:
    whole = model(frozen(conv("before")), layer, conv("after"))
    assert end(whole) == ("x" if is_in_front else "before")


def test_augmentation_at_the_input_is_in_it_when_its_views_are_kept() -> None:
    whole = model(keras.layers.RandomFlip(name="flip"), frozen(conv("a")), conv("b"))
    assert end(whole) is None
    assert end(whole, views=True) == "a"
    prefix = frozen_prefix.find(whole, views=True)
    assert prefix is not None
    assert prefix.is_augmented
    dropping = model(keras.layers.Dropout(0.5), frozen(conv("a")), conv("b"))
    assert end(dropping, views=True) is None


def test_a_residual_block_is_not_cut_in_the_middle() -> None:
    pixels = keras.Input((8, 8, 3))
    inner = frozen(conv("second"))(frozen(conv("first", 3))(pixels))
    total = keras.layers.Add(name="sum")([keras.layers.Conv2D(4, 1, trainable=False, name="short")(pixels), inner])
    whole = keras.Model(pixels, keras.layers.Dense(2)(total))
    prefix = frozen_prefix.find(whole)
    assert prefix is not None
    assert [cut.tensor._keras_history.operation.name for cut in prefix.cuts] == ["sum"]


def nested(thawed: bool) -> keras.Model:
    base_input = keras.Input((8, 8, 3))
    base = keras.Model(base_input, conv("inner2")(conv("inner1")(base_input)), name="base")
    base.trainable = False
    if thawed:
        base.get_layer("inner2").trainable = base.trainable = True
        base.get_layer("inner1").trainable = False
    stack = keras.Sequential([keras.Input((8, 8, 4)), frozen(conv("in_sequence"))])
    return model(base, stack, conv("outer"))


def test_models_inside_the_model_count() -> None:
    assert end(nested(thawed=False)) == "in_sequence"
    assert end(nested(thawed=True)) == "inner1"


class Counting(keras.layers.Layer):
    """Says that nothing of it trains, and counts its calls all the same."""

    def build(self, shape: Any) -> None:
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        return x * self.calls


class Noisy(keras.layers.Layer):
    """Random without any of Keras's generators."""

    def call(self, x: Any) -> Any:
        return x + float(np.random.default_rng().normal())


class Wrapping(keras.layers.Layer):
    """Its `call` knows nothing of training; the dropout inside does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dropout = keras.layers.Dropout(0.5)

    def call(self, x: Any) -> Any:
        return self.dropout(x)


class Doubling(keras.layers.Layer):
    """Honest."""

    def call(self, x: Any) -> Any:
        return 2 * x


@pytest.mark.parametrize(
    ("kind", "is_in_front"), [(Counting, False), (Noisy, False), (Wrapping, False), (Doubling, True)]
)
def test_a_layer_of_the_users_own_is_tried_and_not_believed(kind: type[keras.layers.Layer], is_in_front: bool) -> None:
    layer = kind(name="x")
    assert end(model(frozen(conv("before")), layer, conv("after"))) == ("x" if is_in_front else "before")
    if kind is Counting:
        assert float(layer.calls.numpy()) == 0.0


def test_a_model_that_trains_in_its_own_way_is_left_alone() -> None:
    class Own(keras.Model):
        """A functional model whose class may override anything."""

    pixels = keras.Input((8, 8, 3))
    assert frozen_prefix.find(Own(pixels, keras.layers.Dense(2)(frozen(conv())(pixels)))) is None


def last_key(whole: keras.Model) -> str:
    prefix = frozen_prefix.find(whole)
    assert prefix is not None
    return prefix.cuts[-1].key


def with_ones(layer: keras.layers.Layer) -> keras.Model:
    whole = model(frozen(layer), conv("head"))
    layer.set_weights([np.ones_like(weight) for weight in layer.get_weights()])
    return whole


def test_equal_prefixes_have_one_key_whatever_their_names_and_heads() -> None:
    assert last_key(with_ones(conv("a"))) == last_key(with_ones(conv("b")))
    assert last_key(with_ones(conv())) == last_key(model(with_ones(conv()).layers[1], conv("x", 9), conv("y")))


def test_another_weight_setting_or_precision_is_another_key() -> None:
    known = last_key(with_ones(conv()))
    other = with_ones(conv())
    weights = other.layers[1].get_weights()
    weights[0][0, 0, 0, 0] = 1.001
    other.layers[1].set_weights(weights)
    assert last_key(other) != known
    assert last_key(with_ones(keras.layers.Conv2D(4, 3, padding="same", activation="relu"))) != known
    assert last_key(with_ones(keras.layers.Conv2D(4, 3, padding="same", dtype="mixed_bfloat16"))) != known


def test_functions_of_one_name_are_told_apart() -> None:
    def scaled(by: float) -> str:
        def scale(x: Any) -> Any:
            return x * by

        pixels = keras.Input((8, 8, 3))
        return last_key(keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Activation(scale)(pixels))))

    assert scaled(2.0) == scaled(2.0)
    assert scaled(2.0) != scaled(3.0)


def test_constants_among_the_arguments_are_part_of_the_key() -> None:
    def shifted(by: float) -> str:
        pixels = keras.Input((8, 8, 3))
        return last_key(keras.Model(pixels, keras.layers.Dense(2)(pixels * by - np.full(2000, by)[:3])))

    assert shifted(1.0) == shifted(1.0)
    assert shifted(1.0) != shifted(1.5)


def deep(thawed: int) -> FrozenPrefix:
    layers = [conv(f"c{number}", 8) for number in range(10)]
    for layer in layers[: 10 - thawed]:
        layer.trainable = False
    return FrozenPrefix(ModelGraph(model(*layers)))


def test_waypoints_are_the_same_whatever_thaws_behind_them() -> None:
    shallow, all_frozen = deep(thawed=6).waypoints(), deep(thawed=0).waypoints()
    assert len(all_frozen) >= 3
    assert [cut.cost for cut in shallow] == [cut.cost for cut in all_frozen][: len(shallow)]
    assert 1 <= len(shallow) < len(all_frozen)


def test_a_part_gives_what_the_model_gives() -> None:
    whole = nested(thawed=True)
    graph = ModelGraph(whole)
    cut = FrozenPrefix(graph).cuts[-1]
    pixels = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("float32")
    features = graph.part(graph.input, [cut.tensor]).predict(pixels, verbose=0)
    outcome = graph.part(cut.tensor).predict(features, verbose=0)
    np.testing.assert_allclose(outcome, whole.predict(pixels, verbose=0), rtol=1e-5, atol=1e-6)
