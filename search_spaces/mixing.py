"""Training images mixed with one another, labels likewise: MixUp and CutMix, by Keras's own layers."""

from typing import Any

import keras
import keras_tuner
import numpy as np


def declare(hp: keras_tuner.HyperParameters) -> None:
    """`mix`, and `mix_alpha`, the parameter of the beta distribution that says how evenly two images share.

    mixup blends two images (Zhang et al. 2018, arXiv:1710.09412), cutmix puts a piece of one into the other (Yun et al.
    2019, arXiv:1905.04899).
    """
    hp.Choice("mix", ["none", "mixup", "cutmix"], default="none")
    with hp.conditional_scope("mix", ["mixup", "cutmix"]):
        hp.Choice("mix_alpha", [0.1, 0.2, 0.4, 1.0], default=0.2)


class MixedBatches(keras.utils.PyDataset):
    """Batches in a new order each epoch, mixed as `hp` asks for.

    Args:
        images: [n, side, side, 3].
        labels: one-hot, [n, classes].
    """

    epoch: int = 0
    """Order and mixture follow from it and from NumPy's global seed. Keras says when an epoch ends, but not which."""

    def __init__(self, hp: keras_tuner.HyperParameters, images: np.ndarray, labels: np.ndarray) -> None:
        super().__init__()
        alpha = hp.get("mix_alpha")
        is_mixup = hp.get("mix") == "mixup"  # Keras's CutMix draws its alpha from a range
        self._mix = (
            keras.layers.MixUp(alpha, dtype="float32")
            if is_mixup
            else keras.layers.CutMix((alpha, alpha), dtype="float32")
        )
        self._images, self._labels, self._size = images, labels, hp.get("batch_size")
        # A seed from NumPy's global generator, so that `keras.utils.set_random_seed` makes it repeat.
        self._seed = np.random.randint(2**31)

    def __len__(self) -> int:
        return -(-len(self._images) // self._size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        drawn = self._drawn(index)
        self._mix.generator.state.assign([self._seed, self.epoch * len(self) + index])
        # As NumPy arrays: what trains is Keras's business, and its backends take these alike.
        batch = {"images": self._images[drawn].astype("float32"), "labels": self._labels[drawn].astype("float32")}
        mixed = self._mix(batch, training=True)
        return keras.ops.convert_to_numpy(mixed["images"]), keras.ops.convert_to_numpy(mixed["labels"])

    def _drawn(self, index: int) -> np.ndarray:
        """Positions of the images of a batch."""
        order = np.random.default_rng((self._seed, self.epoch)).permutation(len(self._images))
        return order[index * self._size : (index + 1) * self._size]


class Follow(keras.callbacks.Callback):
    """Tells such batches which epoch begins."""

    def __init__(self, batches: MixedBatches) -> None:
        super().__init__()
        self._batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches.epoch = epoch
