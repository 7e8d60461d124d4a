"""A convolutional network from scratch: blocks of convolutions, each half the size of the one before, and a head."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from search_spaces import augmentation, heads, mixing, optimization
from search_spaces.heads import NORM_MOMENTUM
from search_spaces.space import SearchSpace

MAX_BLOCKS = 5
MAX_FILTERS = 512
"""Growth stops here: five blocks from 64 would end at 1,024 filters and 9 million weights a layer."""

SQUEEZE = 16
"""How much narrower a squeeze-and-excite's middle is than its ends (Hu et al. 2018, arXiv:1709.01507)."""


class CustomCNN(SearchSpace):
    """`blocks` x (`convs_per_block` convolutions, 2x2 max-pooling, dropout), then a head.

    With a `second_stage`, the last epochs train the last block and the head alone, at a lower rate.
    """

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        # Every block halves the image; the last one must leave at least one pixel.
        limit = max(1, min(MAX_BLOCKS, self.task.image_size.bit_length() - 1))
        hp.Int("blocks", 1, limit, default=min(3, limit))
        declare_trunk(hp)
        hp.Choice("pooling", ["flatten", "average"], default="average")
        heads.declare(hp)
        if limit > 1:
            with hp.conditional_scope("blocks", list(range(2, limit + 1))):
                self._declare_second_stage(hp)
        augmentation.declare(hp)
        mixing.declare(hp)
        optimization.declare(hp, self.task)

    def _declare_second_stage(self, hp: keras_tuner.HyperParameters) -> None:
        hp.Boolean("second_stage", default=False)
        with hp.conditional_scope("second_stage", [True]):
            hp.Float("second_stage_share", 0.2, 0.5, step=0.1, default=0.3)
            hp.Float("second_stage_lr_ratio", 0.01, 1.0, sampling="log", default=0.1)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self.declare(hp)
        pixels = keras.Input(self.task.input_shape, name="pixels")
        x = heads.pool(trunk(hp, augmentation.apply(hp, pixels)), hp.get("pooling"))
        model = keras.Model(pixels, heads.classify(hp, x, self.task.classes))
        self.begin_stage(hp, model, 0)
        return model

    def stages(self, hp: keras_tuner.HyperParameters) -> Sequence[int]:
        if hp.get("blocks") < 2 or not hp.get("second_stage") or self.task.max_epochs < 2:
            return (0,)
        epochs = max(1, round(hp.get("second_stage_share") * self.task.max_epochs))
        return (0, self.task.max_epochs - epochs)

    def begin_stage(self, hp: keras_tuner.HyperParameters, model: keras.Model, stage: int) -> None:
        frozen = tuple(f"block{number}_" for number in range(1, hp.get("blocks"))) if stage else ()
        for layer in model.layers:
            layer.trainable = not layer.name.startswith(frozen) if frozen else True
        slow = model.trainable_variables if stage else ()
        ratio = hp.get("second_stage_lr_ratio") if stage else 1.0
        optimization.compile_model(hp, model, self.task, self.stages(hp)[stage], slow, ratio)


def declare_trunk(hp: keras_tuner.HyperParameters) -> None:
    """What the blocks are made of.

    `layer_order` says in which order a unit's parts come; norm-relu-conv is pre-activation (He et al. 2016,
    arXiv:1603.05027). `batch_norm` normalizes after each convolution, once after each block's pooling, or nowhere.
    """
    hp.Int("convs_per_block", 1, 3, default=2)
    hp.Choice("filters", [16, 32, 64], default=32)
    hp.Choice("width_growth", [1.0, 1.5, 2.0], default=2.0)
    hp.Choice("kernel_size", [3, 5], default=3)
    hp.Boolean("residual", default=False)
    hp.Boolean("squeeze_excite", default=False)
    hp.Choice("batch_norm", ["convolution", "block", "none"], default="convolution")
    with hp.conditional_scope("batch_norm", ["convolution"]):
        hp.Choice("layer_order", ["conv-relu-norm", "conv-norm-relu", "norm-relu-conv"], default="conv-norm-relu")
    hp.Float("conv_dropout", 0.0, 0.4, step=0.05, default=0.0)


def trunk(hp: keras_tuner.HyperParameters, pixels: Any) -> Any:
    """All blocks on raw pixels (0..255): feature maps of the side of `pixels` / 2**blocks."""
    x = keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name="scaled_pixels")(pixels)
    for number in range(1, hp.get("blocks") + 1):
        filters = round(hp.get("filters") * hp.get("width_growth") ** (number - 1) / 8) * 8
        x = _block(hp, x, min(filters, MAX_FILTERS), f"block{number}")
    return x


def _block(hp: keras_tuner.HyperParameters, x: Any, filters: int, name: str) -> Any:
    order = hp.get("layer_order").split("-") if hp.get("batch_norm") == "convolution" else ["conv", "relu"]
    is_pre = order[-1] == "conv"
    shortcut, convolutions = x, hp.get("convs_per_block")
    for number in range(1, convolutions + 1):
        # Pixels are convolved as they are; and a ReLU before the sum would let residuals only grow.
        is_first, is_last = is_pre and name == "block1" and number == 1, number == convolutions
        left_out = {"norm", "relu"} if is_first else {"relu"} if hp.get("residual") and is_last and not is_pre else ()
        parts = [part for part in order if part not in left_out]
        x = _unit(hp, x, filters, parts, f"{name}_{{}}{number}")
    if hp.get("squeeze_excite"):
        x = _squeeze_excite(x, filters, name)
    if hp.get("residual"):
        if shortcut.shape[-1] != filters:
            shortcut = keras.layers.Conv2D(filters, 1, name=f"{name}_shortcut")(shortcut)
        x = keras.layers.Add(name=f"{name}_sum")([shortcut, x])
        x = x if is_pre else keras.layers.ReLU(name=f"{name}_sum_relu")(x)
    if is_pre and name == f"block{hp.get('blocks')}":
        x = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_last_norm")(x)
        x = keras.layers.ReLU(name=f"{name}_last_relu")(x)
    x = keras.layers.MaxPooling2D(name=f"{name}_pool")(x)
    if hp.get("batch_norm") == "block":
        x = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm")(x)
    return keras.layers.Dropout(hp.get("conv_dropout"), name=f"{name}_dropout")(x) if hp.get("conv_dropout") else x


def _unit(hp: keras_tuner.HyperParameters, x: Any, filters: int, parts: Sequence[str], name: str) -> Any:
    for part in parts:
        if part == "conv":
            size = hp.get("kernel_size")
            layer = keras.layers.Conv2D(
                filters, size, padding="same", kernel_initializer="he_normal", name=name.format("conv")
            )
        elif part == "norm":
            layer = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, name=name.format("norm"))
        else:
            layer = keras.layers.ReLU(name=name.format("relu"))
        x = layer(x)
    return x


def _squeeze_excite(x: Any, filters: int, name: str) -> Any:
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    gate = keras.layers.Dense(max(4, filters // SQUEEZE), activation="relu", name=f"{name}_excite1")(gate)
    gate = keras.layers.Dense(filters, activation="sigmoid", name=f"{name}_excite2")(gate)
    return keras.layers.Multiply(name=f"{name}_gated")([x, gate])
