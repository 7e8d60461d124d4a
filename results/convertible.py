"""A model made ready for converters to other formats: what they do not know is replaced by what computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def convertible(model: keras.Model) -> keras.Model:
    """Return a model that answers the same, in layers that tf2onnx (1.16) converts from TensorFlow's graph.

    Replaced are convolutions of one group a channel, which TensorFlow compiles on a processor; the exact GELU, for
    which it uses `erfc`; and the means and variances of `Normalization`, which would become inputs. Keras's ConvNeXt
    has all three.
    """
    import keras

    found = keras.models.clone_model(model, clone_function=_substitute, recursive=True)
    for layer, own in zip(found._flatten_layers(), model._flatten_layers(), strict=True):
        if layer._layers or isinstance(own, keras.Model):
            continue  # its parts come one by one
        weights = own.get_weights()
        if type(own) is not type(layer) and weights:
            weights = [weights[0].transpose(0, 1, 3, 2), *weights[1:]]
        layer.set_weights(weights)
        if isinstance(layer, keras.layers.Normalization):
            layer.mean, layer.variance = np.asarray(own.mean), np.asarray(own.variance)
    return found


def _substitute(layer: keras.layers.Layer) -> keras.layers.Layer:
    import keras

    config = layer.get_config()
    if (
        type(layer) is keras.layers.Conv2D
        and layer.groups == layer.filters
        and layer.kernel.shape[-2] == 1 < layer.groups
    ):
        kept = ("name", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias")
        return keras.layers.DepthwiseConv2D(**{name: config[name] for name in kept})
    if type(layer) is keras.layers.Activation and layer.activation is keras.activations.gelu:
        return _gelu()(name=layer.name)
    return type(layer).from_config(config)


def _gelu() -> Any:
    import keras

    class ExactGelu(keras.layers.Layer):
        """As `keras.activations.gelu(x, approximate=False)`."""

        def call(self, x: Any) -> Any:
            return 0.5 * x * (1 + keras.ops.erf(x / np.sqrt(2).astype(np.float32)))

    return ExactGelu
