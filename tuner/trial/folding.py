"""Frozen batch normalization folded into the convolution in front of it: the same function in fewer passes.

y = (x * k + b - mean) / std * gamma + beta is one convolution with another kernel and bias. The kernel may train: its
gradient goes through the scale. What is saved are passes over the feature maps, which processors spend more time on
than on the scale's few numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras

from tuner.trial.model_graph import Call, Tensor


class FoldedConvolution(keras.layers.Layer):
    """A convolution and the frozen batch normalization behind it, at once; it shares their weights.

    Args:
        convolution: a built Conv2D or DepthwiseConv2D without activation.
        norm: a built BatchNormalization over its channels.
    """

    def __init__(self, convolution: keras.layers.Layer, norm: keras.layers.BatchNormalization) -> None:
        # The kernel is scaled in float32 and rounded once; Keras would round both factors before.
        super().__init__(dtype=convolution.dtype_policy, autocast=False)
        self.convolution, self.norm = convolution, norm
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The convolution's."""
        return self.convolution.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        """The normalized feature maps."""
        convolution, norm = self.convolution, self.norm
        scale = keras.ops.rsqrt(norm.moving_variance + norm.epsilon)
        scale = scale * norm.gamma if norm.gamma is not None else scale
        shift = -norm.moving_mean * scale
        if convolution.use_bias:
            shift = shift + convolution.bias * scale
        if norm.beta is not None:
            shift = shift + norm.beta
        is_depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
        dtype = self.compute_dtype
        if is_depthwise:
            dtype = _depthwise_dtype(convolution)
            kernel = convolution.kernel * keras.ops.reshape(scale, convolution.kernel.shape[-2:])
        else:
            kernel = convolution.kernel * scale
        if not is_depthwise and _multiplies(convolution):
            rows = keras.ops.reshape(keras.ops.cast(inputs, dtype), (-1, inputs.shape[-1]))
            outputs = _shifted(keras.ops.matmul(rows, keras.ops.cast(kernel[0, 0], dtype)), shift, dtype)
            return keras.ops.reshape(outputs, (-1, *inputs.shape[1:-1], convolution.filters))
        convolve = keras.ops.depthwise_conv if is_depthwise else keras.ops.conv
        outputs = convolve(
            keras.ops.cast(inputs, dtype),
            keras.ops.cast(kernel, dtype),
            strides=convolution.strides,
            padding=convolution.padding,
            data_format=convolution.data_format,
            dilation_rate=convolution.dilation_rate,
        )
        return _shifted(outputs, shift, self.compute_dtype)


def _shifted(outputs: Any, shift: Any, dtype: str) -> Any:
    """The sum in float32: a shift rounded to bfloat16 would be a mistake that is the same at every position."""
    return keras.ops.cast(keras.ops.cast(outputs, "float32") + shift, dtype)


def _depthwise_dtype(convolution: keras.layers.Layer) -> str:
    """What a depthwise convolution computes in. TensorFlow's gradient of one with strides takes 100 times as long in
    bfloat16 as in float32 on CPUs (a generic kernel of oneDNN); measured with 2.21."""
    is_strided = set(convolution.strides) != {1}
    return "float32" if is_strided and keras.backend.backend() == "tensorflow" else str(convolution.compute_dtype)


def _multiplies(convolution: keras.layers.Layer) -> bool:
    """Whether to compute it as a product of matrices, which a 1x1 convolution is.

    In bfloat16 TensorFlow's gradient by the kernel takes twice as long as a convolution (6.8 and 3.5 ms for 576 rows of
    1,024 to 1,024, one thread, 2.21); in float32 its product by a transposed matrix is the slow one.
    """
    is_product = {*convolution.kernel_size, *convolution.strides, convolution.groups} == {1}
    is_slow = convolution.compute_dtype == "bfloat16" and keras.backend.backend() == "tensorflow"
    return is_product and is_slow


def folded(calls: Sequence[Call], ends: Sequence[Tensor]) -> dict[int, Any]:
    """What to call instead, by the call's id: a folded convolution, and nothing for its normalization.

    A convolution whose own outcome is wanted too, by another call or as one of `ends`, stays as it is.
    """
    uses = Counter(id(tensor) for call in calls for tensor in call.input_tensors)
    uses.update(map(id, ends))
    by_output = {id(tensor): call for call in calls for tensor in call.outputs}
    instead: dict[int, Any] = {}
    for call in calls:
        source = by_output.get(id(call.input_tensors[0])) if call.input_tensors else None
        if source is None or uses[id(call.input_tensors[0])] != 1 or not _folds(source.operation, call):
            continue
        instead[id(source)] = FoldedConvolution(source.operation, call.operation)
        instead[id(call)] = None
    return instead


def _folds(convolution: Any, call: Call) -> bool:
    norm = call.operation
    if type(norm) is not keras.layers.BatchNormalization or not _is_plain(convolution):
        return False
    return not norm.trainable and norm.axis in (3, -1)


def _is_plain(layer: Any) -> bool:
    """Whether it is a plain convolution without activation, channels last."""
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and not getattr(layer, "lora_enabled", False)
        and getattr(layer, "quantization_mode", None) is None
        and layer.activity_regularizer is None
    )
