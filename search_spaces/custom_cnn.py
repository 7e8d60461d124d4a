"""A convolutional network from scratch: blocks of convolutions, each half the size and twice as wide, and a head."""

from typing import Any

import keras
import keras_tuner

from search_spaces import augmentation, heads, optimization
from search_spaces.space import SearchSpace

MAX_BLOCKS = 5
MAX_FILTERS = 512
"""Doubling stops here: five blocks from 64 would end at 1,024 filters and 9 million weights a layer."""

NORM_MOMENTUM = 0.9
"""Keras's 0.99 needs some 500 steps before the moving statistics, which validation uses, mean anything."""


class CustomCNN(SearchSpace):
    """`blocks` x (`convs_per_block` x (3x3 convolution, ReLU, batch norm), 2x2 max-pooling, dropout), then a head."""

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        # Every block halves the image; the last one must leave at least one pixel.
        limit = max(1, min(MAX_BLOCKS, self.task.image_size.bit_length() - 1))
        hp.Int("blocks", 1, limit, default=min(3, limit))
        hp.Int("convs_per_block", 1, 3, default=2)
        hp.Choice("filters", [16, 32, 64], default=32)
        hp.Boolean("batch_norm", default=True)
        hp.Float("conv_dropout", 0.0, 0.4, step=0.05, default=0.0)
        hp.Choice("pooling", ["flatten", "average"], default="average")
        heads.declare_layers(hp)
        augmentation.declare(hp)
        optimization.declare(hp, self.task)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self.declare(hp)
        pixels = keras.Input(self.task.input_shape, name="pixels")
        x = augmentation.apply(hp, pixels)
        x = keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32")(x)
        for block in range(hp.get("blocks")):
            x = self._block(hp, x, min(hp.get("filters") * 2**block, MAX_FILTERS))
        x = heads.pool(x, hp.get("pooling"))
        units = [hp.get("dense_units")] * hp.get("dense_layers") if hp.get("dense_layers") else []
        model = keras.Model(pixels, heads.classify(x, units, hp.get("dropout"), self.task.classes))
        optimization.compile_model(hp, model, self.task)
        return model

    def _block(self, hp: keras_tuner.HyperParameters, x: Any, filters: int) -> Any:
        for _ in range(hp.get("convs_per_block")):
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
            if hp.get("batch_norm"):
                x = keras.layers.BatchNormalization(momentum=NORM_MOMENTUM)(x)
        x = keras.layers.MaxPooling2D()(x)
        return keras.layers.Dropout(hp.get("conv_dropout"))(x) if hp.get("conv_dropout") else x
