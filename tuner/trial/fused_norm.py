"""Batch normalization in TensorFlow's fused kernel: the same function in two passes over the feature maps, not ten.

Keras 3 composes it of elementary operations, which processors spend more time on than on the convolutions around it:
forward and backward with a ReLU behind it, 64 maps of 32x32x32 in bfloat16 take 9.0 ms composed, 1.9 ms fused (one
thread, TensorFlow 2.21, AMD EPYC with avx512_bf16).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import keras

from tuner.trial.model_graph import Call


class FusedNorm(keras.layers.Layer):
    """What a batch normalization computes, in training and in inference; it shares its weights and moving statistics.

    Args:
        norm: a built BatchNormalization over the last of four dimensions.
    """

    def __init__(self, norm: keras.layers.BatchNormalization) -> None:
        super().__init__(dtype=norm.dtype_policy, autocast=False)
        self.norm = norm
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's."""
        return input_shape

    def call(self, inputs: Any, training: bool | None = None, mask: None = None) -> Any:
        """The normalized feature maps; in training by their own statistics, which the moving ones then follow."""
        import tensorflow as tf

        norm = self.norm
        from_batch = bool(training) and norm.trainable
        mean, variance = norm.moving_mean, norm.moving_variance
        channels = mean.shape[0]
        outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=tf.cast(inputs, self.compute_dtype),
            scale=tf.ones(channels) if norm.gamma is None else tf.convert_to_tensor(norm.gamma),
            offset=tf.zeros(channels) if norm.beta is None else tf.convert_to_tensor(norm.beta),
            mean=tf.constant([], "float32") if from_batch else tf.convert_to_tensor(mean),
            variance=tf.constant([], "float32") if from_batch else tf.convert_to_tensor(variance),
            epsilon=norm.epsilon,
            is_training=from_batch,
        )
        if from_batch:
            count = tf.cast(tf.size(inputs) // channels, "float32")
            # The kernel's variance is the unbiased estimate, Keras's is not.
            for moving, value in ((mean, batch_mean), (variance, batch_variance * (count - 1) / count)):
                moving.assign(moving * norm.momentum + tf.stop_gradient(value) * (1 - norm.momentum))
        return outputs


def fused(calls: Sequence[Call]) -> dict[int, Any]:
    """What to call instead of batch normalizations, by the call's id, where that is known to be faster."""
    if not _is_faster_here():
        return {}
    return {id(call): FusedNorm(call.operation) for call in calls if _fuses(call)}


@cache
def _is_faster_here() -> bool:
    """On TensorFlow and processors; on GPUs nobody has measured it."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def _fuses(call: Call) -> bool:
    norm = call.operation
    if type(norm) is not keras.layers.BatchNormalization or norm.renorm or norm.synchronized:
        return False
    inputs = call.input_tensors
    is_masked = len(inputs) != 1 or getattr(inputs[0], "_keras_mask", None) is not None
    is_known = norm.compute_dtype in ("float32", "bfloat16") and norm.variable_dtype == "float32"
    return is_known and not is_masked and len(inputs[0].shape) == 4 and norm.axis in (3, -1)
