"""A pre-trained backbone, a new head, and how many of the backbone's layers thaw."""

from collections.abc import Mapping

import keras
import keras_tuner

from search_spaces import augmentation, heads, optimization
from search_spaces.backbones import BACKBONES, Backbone
from search_spaces.space import SearchSpace
from search_spaces.task import Task

IMAGE_SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
LARGEST_ENLARGEMENT = 3
"""Images are enlarged at most this much: pre-trained filters want larger objects, but no detail comes with size."""
PREFERRED_SIZE = 96


class FineTune(SearchSpace):
    """Transfer from the backbones named in `weights` (backbone -> "imagenet", a weights file, or None)."""

    def __init__(self, task: Task, weights: Mapping[str, str | None]) -> None:
        super().__init__(task)
        self.weights = dict(weights)

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        names = list(self.weights)
        sizes = image_sizes(self.task.image_size)
        hp.Choice("backbone", names, default=names[0])
        hp.Choice(
            "image_size", sizes, default=max(size for size in sizes if size <= PREFERRED_SIZE or size == sizes[0])
        )
        for name in names:
            with hp.conditional_scope("backbone", [name]):
                self._declare_thaw(hp, BACKBONES[name])
        heads.declare_dropout(hp)
        augmentation.declare(hp)
        optimization.declare(hp, self.task)

    def _declare_thaw(self, hp: keras_tuner.HyperParameters, backbone: Backbone) -> None:
        hp.Int("unfrozen_layers", 0, backbone.layers, default=0)
        hp.Choice("dense_units", [0, 64, 128, 256, 512, 1024], default=128)
        with hp.conditional_scope("unfrozen_layers", list(range(1, backbone.layers + 1))):
            hp.Float("backbone_lr_ratio", 0.01, 1.0, sampling="log", default=0.1)
            if backbone.batch_norm:
                hp.Boolean("freeze_batch_norm", default=True)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self.declare(hp)
        backbone = BACKBONES[hp.get("backbone")]
        pixels = keras.Input(self.task.input_shape, name="pixels")
        x = augmentation.apply(hp, pixels)
        if hp.get("image_size") != self.task.image_size:
            x = keras.layers.Resizing(hp.get("image_size"), hp.get("image_size"), dtype="float32")(x)
        network = backbone.build(x, self.weights[backbone.name])
        thawed = thaw(
            network.layers[-backbone.layers :],
            hp.get("unfrozen_layers"),
            "freeze_batch_norm" in hp and hp.get("freeze_batch_norm"),
        )
        units = [hp.get("dense_units")] if hp.get("dense_units") else []
        features = heads.pool(network.output, "average")
        model = keras.Model(pixels, heads.classify(features, units, hp.get("dropout"), self.task.classes))
        slow = [variable for layer in thawed for variable in layer.trainable_variables]
        optimization.compile_model(hp, model, self.task, slow, hp.get("backbone_lr_ratio") if slow else 1.0)
        return model


def image_sizes(own: int) -> list[int]:
    """Sizes at which backbones may see images of side `own`: from about their own to three times it, 32 to 224."""
    sizes = [size for size in IMAGE_SIZES if own <= size <= own * LARGEST_ENLARGEMENT]
    return sizes or [IMAGE_SIZES[0] if own < IMAGE_SIZES[0] else IMAGE_SIZES[-1]]


def thaw(layers: list[keras.layers.Layer], count: int, freeze_batch_norm: bool) -> list[keras.layers.Layer]:
    """Freeze all but the last `count` of a backbone's layers and return those that train.

    A frozen batch normalization uses its stored statistics; `freeze_batch_norm` keeps it so among the thawed ones.
    """
    thawed = []
    for position, layer in enumerate(reversed(layers)):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position < count and not (freeze_batch_norm and is_norm)
        if layer.trainable:
            thawed.append(layer)
    return thawed
