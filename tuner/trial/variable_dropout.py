"""Dropout whose rate is a variable, so that models that differ in it have one graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tuner.trial.model_graph import Call


class VariableDropout(keras.layers.Layer):
    """What a dropout layer does, by the same random numbers (and each backend's way of looking at them).

    They are drawn in float32: TensorFlow's dropout draws in the precision of its inputs, and in bfloat16, where a
    number below 1 has eight bits, it rounds a rate to a multiple of 1/256.

    Args:
        dropout: a Dropout with a rate above 0, without a noise shape.
    """

    def __init__(self, dropout: keras.layers.Dropout) -> None:
        super().__init__(dtype=dropout.dtype_policy)
        self.seed_generator = dropout.seed_generator
        self.rate = self.add_weight(shape=(), dtype="float32", autocast=False, trainable=False, name="rate")
        self.rate.assign(dropout.rate)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """In training, a share of the inputs replaced by 0 and the others scaled up."""
        if not training:
            return inputs
        drawn = keras.random.uniform(keras.ops.shape(inputs), dtype="float32", seed=self.seed_generator)
        is_kept = drawn >= self.rate if keras.backend.backend() == "tensorflow" else drawn < 1 - self.rate
        scale = keras.ops.where(is_kept, 1 / (1 - self.rate), 0.0)
        return inputs * keras.ops.cast(scale, inputs.dtype)


def variable_dropouts(calls: Sequence[Call]) -> dict[int, Any]:
    """What to call instead of dropout layers, by the call's id."""
    return {id(call): VariableDropout(call.operation) for call in calls if _is_plain(call.operation)}


def _is_plain(layer: Any) -> bool:
    return type(layer) is keras.layers.Dropout and 0 < layer.rate < 1 and layer.noise_shape is None
