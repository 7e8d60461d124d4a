"""A model in float32, whatever it was trained in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

FLOAT32 = "float32"
POLICIES = ("DTypePolicy", "DTypePolicyMap")
"""Keras's classes, as the config of a layer names them."""


def computing_in_float32(model: keras.Model) -> keras.Model:
    """Return a functional or sequential model of Keras that computes in float32, with the same weights.

    It is built anew from its config, in which every dtype policy is replaced, also those of layers within layers. The
    operations of a functional graph, such as the division in MobileNet's preprocessing, have no policy: they compute in
    the type that they are given.
    """
    if all(layer.compute_dtype == FLOAT32 for layer in model._flatten_layers()):
        return model
    found = type(model).from_config(_with_float32_policies(model.get_config()))
    found.set_weights(model.get_weights())
    return found


@contextmanager
def float32_policy() -> Iterator[None]:
    """Let the layers that are made in the block compute in float32, whatever the caller has set for the process."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(FLOAT32)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _with_float32_policies(config: Any) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") in POLICIES and "config" in config:
            return FLOAT32
        return {name: _with_float32_policies(value) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(map(_with_float32_policies, config))
    return config
