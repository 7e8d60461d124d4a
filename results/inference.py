"""A model as it is used: in float32 and in inference mode, whatever it was trained in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

FLOAT32 = "float32"
POLICIES = ("DTypePolicy", "DTypePolicyMap")
"""Keras's classes, as the config of a layer names them."""
HALVES = ("bfloat16", "float16")
"""Types of the inputs of models within a model that was trained in such a precision, and of casts in its graph."""


def for_inference(model: keras.Model) -> keras.Model:
    """Return a functional or sequential model of Keras that computes in float32 in inference mode, with equal weights.

    Where that takes it, the model is built anew from its config. There every dtype policy is replaced, also those of
    layers within layers, and the types that models within the model take. The operations of a functional graph, such as
    the division in MobileNet's preprocessing, have no policy: they compute in the type that they are given. Calls of
    layers in training mode are replaced too: a `Resizing` is called with `training=True` by default, and Keras (3.15)
    then calls all layers behind it so, unless the caller says otherwise.
    """
    config = model.get_config()
    used = rewritten(config, _used)
    if used == config:
        return model
    found = type(model).from_config(used)
    found.set_weights(model.get_weights())
    for layer in found._flatten_layers():
        if hasattr(layer, "finalize_state"):  # a Normalization computes with what it derives from its weights
            layer.finalize_state()
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


def rewritten(config: Any, change: Callable[[dict[str, Any]], Any]) -> Any:
    """Return a config of Keras's with each dictionary in it changed, those within others first."""
    if isinstance(config, list | tuple):
        return type(config)(rewritten(one, change) for one in config)
    if not isinstance(config, dict):
        return config
    return change({name: rewritten(value, change) for name, value in config.items()})


def _used(config: dict[str, Any]) -> Any:
    """A part of a model's config in float32 and in inference mode."""
    if config.get("class_name") in POLICIES and "config" in config:
        return config if config["config"].get("name") == FLOAT32 else FLOAT32
    found = dict(config)
    if found.get("dtype") in HALVES:
        found["dtype"] = FLOAT32
    if isinstance(called := found.get("kwargs"), dict) and called.get("training"):
        found["kwargs"] = called | {"training": False}
    return found
