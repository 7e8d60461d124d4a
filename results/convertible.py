"""A model made ready for converters to other formats: what they do not know is replaced by what computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from results.inference import rewritten

if TYPE_CHECKING:
    import keras


def convertible(model: keras.Model) -> keras.Model:
    """Return a model that answers the same, in layers that tf2onnx (1.16) converts from TensorFlow's graph.

    Replaced are convolutions of one group a channel, which TensorFlow compiles on a processor; the exact GELU, for
    which it uses `erfc`; and constants of the graph and the means and variances of `Normalization`, which would become
    inputs. Keras's ConvNeXt has all of these.
    """
    import keras

    plain = type(model).from_config(rewritten(model.get_config(), _as_array))
    found = keras.models.clone_model(plain, clone_function=_substitute, recursive=True)
    for layer, own in zip(found._flatten_layers(), model._flatten_layers(), strict=True):
        values = [np.asarray(variable) for variable in _variables(own)]
        if type(layer) is keras.layers.DepthwiseConv2D and type(own) is not type(layer):
            values[0] = values[0].transpose(0, 1, 3, 2)
        for variable, value in zip(_variables(layer), values, strict=True):
            variable.assign(value)
        if getattr(layer, "activation", None) is keras.activations.gelu:
            layer.activation = _exact_gelu
        if isinstance(layer, keras.layers.Normalization):
            layer.mean, layer.variance = np.asarray(own.mean), np.asarray(own.variance)
    return found


def _variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Its own ones, without those of the layers in it, which come one by one."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _as_array(config: dict[str, Any]) -> dict[str, Any]:
    """A tensor of a config as NumPy's, which becomes a constant when a graph is traced."""
    return config | {"class_name": "__numpy__"} if config.get("class_name") == "__tensor__" else config


def _substitute(layer: keras.layers.Layer) -> keras.layers.Layer:
    import keras

    config = layer.get_config()
    is_conv = type(layer) is keras.layers.Conv2D
    if is_conv and layer.groups == layer.filters and layer.kernel.shape[-2] == 1 < layer.groups:
        kept = ("name", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation", "use_bias")
        return keras.layers.DepthwiseConv2D(**{name: config[name] for name in kept})
    return type(layer).from_config(config)


def _exact_gelu(x: Any) -> Any:
    """As `keras.activations.gelu(x, approximate=False)`."""
    import keras

    return 0.5 * x * (1 + keras.ops.erf(x / np.sqrt(2).astype(np.float32)))
