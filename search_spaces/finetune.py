"""A pre-trained backbone, a new head, and how many of the backbone's layers thaw, and when."""

from collections.abc import Mapping, Sequence

import keras
import keras_tuner

from search_spaces import augmentation, heads, mixing, optimization
from search_spaces.backbones import BACKBONES, Backbone
from search_spaces.space import SearchSpace
from search_spaces.task import Task

MOST_WARMUP = 5


class FineTune(SearchSpace):
    """Transfer from the backbones named in `weights` (backbone -> "imagenet", a weights file, or None).

    The head alone trains for `warmup_epochs`; then the backbone's last `unfrozen_layers` thaw, at once or, under
    `gradual_thaw`, a block an epoch from the output end (Howard & Ruder 2018, arXiv:1801.06146).
    """

    not_drawn = SearchSpace.not_drawn | {"input_scaling"}

    def __init__(self, task: Task, weights: Mapping[str, str | None]) -> None:
        super().__init__(task)
        self.weights = dict(weights)

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        names = list(self.weights)
        hp.Choice("backbone", names, default=names[0])
        self._declare_image_size(hp, names)
        for name in names:
            with hp.conditional_scope("backbone", [name]):
                self._declare_thaw(hp, BACKBONES[name])
        hp.Choice("head", ["dense", "conv_stack"], default="dense")
        with hp.conditional_scope("head", ["conv_stack"]):
            heads.declare_conv_stack(hp)
            hp.Choice("pooling", ["flatten", "average"], default="average")
        heads.declare(hp)
        hp.Choice("input_scaling", ["own", "unit"], default="own")
        augmentation.declare(hp)
        mixing.declare(hp)
        optimization.declare(hp, self.task)

    def _declare_image_size(self, hp: keras_tuner.HyperParameters, names: Sequence[str]) -> None:
        """Backbones that take and prefer the same sizes share the hyperparameter, and so what is learnt of it."""
        alike: dict[tuple[int, tuple[int, ...]], list[str]] = {}
        for name in names:
            row = BACKBONES[name]
            alike.setdefault((row.preferred_size, tuple(row.image_sizes(self.task.image_size))), []).append(name)
        for (preferred, sizes), group in alike.items():
            default = max(size for size in sizes if size <= preferred or size == sizes[0])
            with hp.conditional_scope("backbone", group):
                hp.Choice("image_size", list(sizes), default=default)

    def _declare_thaw(self, hp: keras_tuner.HyperParameters, backbone: Backbone) -> None:
        hp.Int("unfrozen_layers", 0, backbone.layers, default=0)
        with hp.conditional_scope("unfrozen_layers", list(range(1, backbone.layers + 1))):
            hp.Float("backbone_lr_ratio", 0.01, 1.0, sampling="log", default=0.1)
            if backbone.batch_norm:
                hp.Boolean("freeze_batch_norm", default=True)
            hp.Int("warmup_epochs", 0, MOST_WARMUP, default=0)
            hp.Boolean("gradual_thaw", default=False)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        self.declare(hp)
        backbone = BACKBONES[hp.get("backbone")]
        pixels = keras.Input(self.task.input_shape, name="pixels")
        x = augmentation.apply(hp, pixels)
        if hp.get("image_size") != self.task.image_size:
            x = keras.layers.Resizing(hp.get("image_size"), hp.get("image_size"), dtype="float32")(x)
        features = backbone.build(x, self.weights[backbone.name], hp.get("input_scaling")).output
        has_stack = hp.get("head") == "conv_stack"
        pooled = heads.pool(
            heads.conv_stack(hp, features) if has_stack else features, hp.get("pooling") if has_stack else "average"
        )
        model = keras.Model(pixels, heads.classify(hp, pooled, self.task.classes))
        self.begin_stage(hp, model, 0)
        return model

    def stages(self, hp: keras_tuner.HyperParameters) -> Sequence[int]:
        return [epoch for epoch, _ in self._plan(hp)]

    def begin_stage(self, hp: keras_tuner.HyperParameters, model: keras.Model, stage: int) -> None:
        epoch, count = self._plan(hp)[stage]
        freeze_batch_norm = count > 0 and BACKBONES[hp.get("backbone")].batch_norm and hp.get("freeze_batch_norm")
        thawed = thaw(backbone_layers(model, BACKBONES[hp.get("backbone")]), count, freeze_batch_norm)
        slow = [variable for layer in thawed for variable in layer.trainable_variables]
        ratio = hp.get("backbone_lr_ratio") if slow else 1.0
        optimization.compile_model(hp, model, self.task, epoch, slow, ratio)

    def _plan(self, hp: keras_tuner.HyperParameters) -> list[tuple[int, int]]:
        """Each stage's first epoch, and how many layers of the backbone train from then on."""
        unfrozen = hp.get("unfrozen_layers")
        if not unfrozen:
            return [(0, 0)]
        counts = [unfrozen]
        if hp.get("gradual_thaw"):
            counts = [count for count in BACKBONES[hp.get("backbone")].blocks if count < unfrozen] + counts
        warmup = hp.get("warmup_epochs")
        if warmup >= self.task.max_epochs:
            return [(0, 0)]
        counts = counts[-(self.task.max_epochs - warmup) :]  # all are thawed in the last epoch at the latest
        return [(0, 0)] * (warmup > 0) + [(warmup + number, count) for number, count in enumerate(counts)]


def backbone_layers(model: keras.Model, backbone: Backbone) -> list[keras.layers.Layer]:
    """The layers of a built model that are its backbone's: those in front of the head."""
    end = next(index for index, layer in enumerate(model.layers) if layer.name in ("features", "stack1_conv1"))
    return model.layers[end - backbone.layers : end]


def thaw(layers: list[keras.layers.Layer], count: int, freeze_batch_norm: bool) -> list[keras.layers.Layer]:
    """Freeze all but the last `count` of a backbone's layers and return those that train.

    What is frozen acts as in inference: batch normalization uses its stored statistics (`freeze_batch_norm` keeps it so
    among the thawed layers too), and dropout, which EfficientNet has between its blocks, drops nothing.
    """
    thawed = []
    for position, layer in enumerate(reversed(layers)):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position < count and not (freeze_batch_norm and is_norm)
        if isinstance(layer, keras.layers.Dropout):
            layer.thawed_rate = getattr(layer, "thawed_rate", layer.rate)
            layer.rate = layer.thawed_rate if position < count else 0.0
        if layer.trainable:
            thawed.append(layer)
    return thawed
