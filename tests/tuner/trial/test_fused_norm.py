"""The fused kernel computes what Keras's batch normalization computes."""

from typing import Any

import keras
import numpy as np
import pytest

from tuner.trial.fused_norm import FusedNorm, fused
from tuner.trial.model_graph import ModelGraph

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it is a kernel of TensorFlow's")

MAPS = np.random.default_rng(0).normal(2.0, 3.0, (6, 5, 4, 8)).astype("float32")


def norm(policy: str = "float32", **given: Any) -> keras.layers.BatchNormalization:
    """A normalization whose weights and statistics all say something."""
    layer = keras.layers.BatchNormalization(dtype=policy, **given)
    layer.build(MAPS.shape)
    random = np.random.default_rng(1)
    for variable in layer.variables:
        variable.assign(random.uniform(0.5, 2.0, variable.shape))
    return layer


def gradients(layer: keras.layers.Layer, weights: list[keras.Variable]) -> tuple[Any, list[Any]]:
    import tensorflow as tf

    maps = tf.constant(MAPS)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        outputs = layer(maps, training=True)
        loss = tf.reduce_sum(tf.cast(outputs, "float32") * np.cos(np.arange(MAPS.size)).reshape(MAPS.shape))
    return outputs, tape.gradient(loss, [maps, *(weight.value for weight in weights)])


@pytest.mark.parametrize("given", [{}, {"scale": False}, {"center": False}, {"momentum": 0.5, "epsilon": 1e-5}])
def test_outputs_gradients_and_moving_statistics_are_keras_s(given: dict[str, Any]) -> None:
    plain, other = norm(**given), norm(**given)
    expected, slopes = gradients(plain, plain.trainable_variables)
    found, own = gradients(FusedNorm(other), other.trainable_variables)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    for one, two in zip(own, slopes, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)
    for one, two in zip(other.variables, plain.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-5)
    np.testing.assert_allclose(FusedNorm(other)(MAPS, training=False), plain(MAPS, training=False), atol=1e-4)


def test_bfloat16_keeps_statistics_in_float32() -> None:
    plain, other = norm("mixed_bfloat16"), norm("mixed_bfloat16")
    expected, found = plain(MAPS, training=True), FusedNorm(other)(MAPS, training=True)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    np.testing.assert_allclose(np.asarray(found, "float32"), np.asarray(expected, "float32"), atol=0.05)
    np.testing.assert_allclose(other.moving_variance.numpy(), plain.moving_variance.numpy(), rtol=1e-3)


def test_frozen_it_uses_and_keeps_what_is_stored() -> None:
    plain, other = norm(), norm()
    plain.trainable = other.trainable = False
    before = other.moving_mean.numpy().copy()
    np.testing.assert_allclose(FusedNorm(other)(MAPS, training=True), plain(MAPS, training=True), atol=1e-4)
    np.testing.assert_array_equal(other.moving_mean.numpy(), before)


def test_one_value_a_channel_has_no_variance() -> None:
    plain, other = norm(), norm()
    one = MAPS[:1, :1, :1]
    np.testing.assert_allclose(FusedNorm(other)(one, training=True), plain(one, training=True), atol=1e-4)
    np.testing.assert_allclose(other.moving_variance.numpy(), plain.moving_variance.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "layer", "count"),
    [
        ((8, 8, 3), keras.layers.BatchNormalization(), 1),
        ((8, 8, 3), keras.layers.BatchNormalization(axis=1), 0),
        ((8, 3), keras.layers.BatchNormalization(), 0),
        ((8, 8, 3), keras.layers.BatchNormalization(renorm=True), 0),
        ((8, 8, 3), keras.layers.BatchNormalization(dtype="float64"), 0),
        ((8, 8, 3), keras.layers.LayerNormalization(), 0),
    ],
)
def test_what_the_kernel_does_not_do_stays_keras_s(
    shape: tuple[int, ...], layer: keras.layers.Layer, count: int
) -> None:
    inputs = keras.Input(shape)
    graph = ModelGraph(keras.Model(inputs, keras.layers.ReLU()(layer(inputs))))
    assert len(fused(graph.calls)) == count


def test_a_masked_normalization_stays_keras_s() -> None:
    inputs = keras.Input((4, 4, 3))
    mask = keras.Input((4, 4), dtype="bool")
    model = keras.Model([inputs, mask], keras.layers.BatchNormalization()(inputs, mask=mask))
    calls = [node for nodes in model._nodes_by_depth.values() for node in nodes if not node.is_input]
    assert not fused(calls)
