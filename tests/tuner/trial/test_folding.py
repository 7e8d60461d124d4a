"""Frozen batch normalization folded into convolutions computes the same, forwards and backwards."""

from typing import Any

import keras
import numpy as np
import pytest

from tuner.trial.folding import FoldedConvolution, folded
from tuner.trial.model_graph import ModelGraph

RANDOM = np.random.default_rng(0)


def stack(convolution: keras.layers.Layer, activation: str = "tanh", **norm: Any) -> keras.Model:
    """A convolution, a frozen normalization with live statistics, and an activation."""
    pixels = keras.Input((9, 9, 4))
    normalization = keras.layers.BatchNormalization(**norm)
    normalization.trainable = False
    model = keras.Model(pixels, keras.layers.Activation(activation)(normalization(convolution(pixels))))
    for variable in normalization.variables:
        variable.assign(RANDOM.uniform(0.5, 1.5, variable.shape))
    return model


def part(model: keras.Model) -> keras.Model:
    graph = ModelGraph(model)
    return graph.part(graph.input, substitutes=folded)


def has_folded(model: keras.Model) -> bool:
    return any(isinstance(layer, FoldedConvolution) for layer in part(model).layers)


@pytest.mark.parametrize("norm", [{}, {"scale": False}, {"center": False}], ids=["both", "no scale", "no shift"])
@pytest.mark.parametrize(
    "convolution",
    [
        keras.layers.Conv2D(6, 3, padding="same"),
        keras.layers.Conv2D(6, 1, use_bias=False),
        keras.layers.Conv2D(8, 3, strides=2, groups=2),
        keras.layers.Conv2D(6, 3, dilation_rate=2),
        keras.layers.DepthwiseConv2D(3, strides=2, use_bias=False),
        keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
    ],
    ids=["same", "1x1", "groups", "dilated", "depthwise", "multiplied"],
)
def test_folded_trains_as_apart(convolution: keras.layers.Layer, norm: dict[str, Any]) -> None:
    model = stack(type(convolution).from_config(convolution.get_config()), **norm)
    pixels = RANDOM.normal(size=(8, 9, 9, 4)).astype("float32")
    targets = RANDOM.normal(size=(8, *model.output_shape[1:])).astype("float32")
    start, outcomes = model.get_weights(), []
    for one in (model, part(model)):
        model.set_weights(start)
        one.compile(keras.optimizers.SGD(0.1), "mse")
        losses = one.fit(pixels, targets, epochs=3, shuffle=False, verbose=0).history["loss"]
        outcomes.append([*losses, *model.get_weights()])
    assert has_folded(model)
    for apart, together in zip(*outcomes, strict=True):
        np.testing.assert_allclose(apart, together, rtol=1e-4, atol=1e-5)
    assert not np.allclose(start[0], model.get_weights()[0], atol=1e-4)


@pytest.mark.parametrize("size", [1, 3])
def test_in_bfloat16_the_kernel_is_rounded_once(size: int) -> None:
    convolution = keras.layers.Conv2D(512, size, dtype="mixed_bfloat16")
    model = stack(convolution, activation="linear", dtype="mixed_bfloat16")
    exact = stack(keras.layers.Conv2D(512, size), activation="linear")
    exact.set_weights(model.get_weights())
    pixels = RANDOM.normal(size=(8, 9, 9, 4)).astype("float32")
    truth = exact.predict(pixels, verbose=0)
    error = [np.abs(one.predict(pixels, verbose=0).astype("float32") - truth).mean() for one in (model, part(model))]
    assert error[1] <= 1.1 * error[0]


def test_what_is_not_the_same_function_stays_apart() -> None:
    assert not has_folded(stack(keras.layers.Conv2D(6, 3, activation="relu")))
    assert not has_folded(stack(keras.layers.SeparableConv2D(6, 3)))
    training = stack(keras.layers.Conv2D(6, 3))
    training.layers[2].trainable = True
    assert not has_folded(training)
    along_rows = stack(keras.layers.Conv2D(6, 3), axis=1)
    assert not has_folded(along_rows)


def test_a_convolution_that_is_wanted_itself_stays() -> None:
    """By a second layer, or as the end of a part."""
    pixels = keras.Input((9, 9, 4))
    outcome = keras.layers.Conv2D(6, 3)(pixels)
    norm = keras.layers.BatchNormalization(trainable=False)
    assert not has_folded(keras.Model(pixels, keras.layers.Add()([norm(outcome), outcome])))
    model = stack(keras.layers.Conv2D(6, 3))
    graph = ModelGraph(model)
    ends = [call.outputs[0] for call in graph.calls[:2]]
    values = graph.part(graph.input, ends, folded).predict(np.ones((1, 9, 9, 4)), verbose=0)
    convolved = model.layers[1](np.ones((1, 9, 9, 4)))
    np.testing.assert_allclose(values[0], convolved, rtol=1e-5)
