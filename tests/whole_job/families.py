"""Small models of each kind of graph that people bring, as spaces: how a backbone prepares pixels, what it is made of.

All take 32x32 pixels of 0..255 and tell two classes apart; `frozen` freezes all but the head.
"""

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np

Tensor = Any
Features = Callable[[Tensor], Tensor]


def _space(hp: keras_tuner.HyperParameters, features: Features) -> keras.Model:
    pixels = keras.Input((32, 32, 3))
    backbone = keras.Model(pixels, features(pixels))
    if hp.Boolean("frozen", default=True):
        for layer in backbone.layers:
            layer.trainable = False
    x = keras.layers.BatchNormalization(momentum=0.0, epsilon=1e-4)(
        keras.layers.GlobalAveragePooling2D()(backbone.output)
    )
    x = keras.layers.Dropout(0.1)(x)
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax", dtype="float32")(x))
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _convolutions(x: Tensor) -> Tensor:
    x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same")(keras.layers.ReLU(6.0)(x))
    return keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x)


def _prepared(mode: str) -> Features:
    from keras.src.applications.imagenet_utils import preprocess_input

    return lambda pixels: _convolutions(preprocess_input(pixels, mode=mode))


def tf_operations(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Operations for layers: MobileNet scales pixels to -1..1 by a division and a subtraction."""

    def mobilenet(pixels: Tensor) -> Tensor:
        scaled = keras.applications.mobilenet.preprocess_input(pixels)
        return keras.applications.MobileNet(
            alpha=0.25, include_top=False, weights=None, input_tensor=scaled
        ).get_layer("conv_pw_1_relu").output  # fmt: skip

    return _space(hp, mobilenet)


def caffe_operations(hp: keras_tuner.HyperParameters) -> keras.Model:
    """As ResNet and VGG: channels turned around and means subtracted."""
    return _space(hp, _prepared("caffe"))


def torch_operations(hp: keras_tuner.HyperParameters) -> keras.Model:
    """As DenseNet: divided by standard deviations too; and an addition and products of tensors on the way."""

    def gated(pixels: Tensor) -> Tensor:
        x = _prepared("torch")(pixels)
        return x * keras.ops.sigmoid(x) + 0.5 * x

    return _space(hp, gated)


def preprocessing_layers(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Layers, with augmentation among them, and a residual connection."""

    def features(pixels: Tensor) -> Tensor:
        x = keras.layers.RandomFlip("horizontal")(pixels)
        x = _convolutions(keras.layers.Rescaling(1 / 127.5, offset=-1)(keras.layers.Resizing(24, 24)(x)))
        return keras.layers.Add()([x, keras.layers.Conv2D(16, 3, padding="same")(x)])

    return _space(hp, features)


def no_preprocessing(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Raw pixels, in a Sequential model within a functional one, with a layer as an activation, and the exact GELU."""

    def features(pixels: Tensor) -> Tensor:
        first = keras.layers.Conv2D(8, 5, strides=4, activation=keras.layers.PReLU(), name="inner")
        inner = keras.Sequential([first, keras.layers.Dense(8, activation="gelu")])
        return inner(pixels)

    return _space(hp, features)


def normalization(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Means and variances inside: given ones, as EfficientNetV2 has them, and those of a layer that was adapted."""
    adapted = keras.layers.Normalization()
    adapted.adapt(np.random.default_rng(0).normal([100, 60, 100], [60, 30, 60], (8, 32, 32, 3)).astype(np.float32))

    def features(pixels: Tensor) -> Tensor:
        given = keras.layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.9, 1.1, 1.2])
        return _convolutions(given(adapted(pixels)))

    return _space(hp, features)


def layers_of_keras_applications(hp: keras_tuner.HyperParameters) -> keras.Model:
    """Layers that only `keras.applications` has: ConvNeXt's scale and stochastic depth, and a normalization inside."""
    from keras.src.applications.convnext import ConvNeXt

    def features(pixels: Tensor) -> Tensor:
        return ConvNeXt(
            depths=[1, 1, 1, 1], projection_dims=[8, 8, 16, 16], include_top=False, weights=None,
            input_tensor=pixels, name="convnext_tiny",
        ).output  # fmt: skip

    return _space(hp, features)


FAMILIES = (
    tf_operations,
    caffe_operations,
    torch_operations,
    preprocessing_layers,
    no_preprocessing,
    normalization,
    layers_of_keras_applications,
)
