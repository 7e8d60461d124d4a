"""Pre-trained networks: one row a backbone, and where its weights come from."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces import cifar_cnn
from search_spaces.errors import Unavailable, UserError, like

if TYPE_CHECKING:
    import keras

IMAGE_SIZES = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224)
LARGEST_ENLARGEMENT = 3
"""Images are enlarged at most this much: pre-trained filters want larger objects, but no detail comes with size."""
DOWNLOAD_TIMEOUT = 20.0
"""Seconds of silence after which a download has failed; Keras itself would wait for ever."""


@dataclass(frozen=True)
class Backbone:
    """One row: how a network is built and what it takes.

    `blocks` are its block boundaries, as numbers of layers counted from the output end: only one tensor crosses each.
    The last one is the number of all layers after the input, which is the most that can thaw.
    """

    name: str
    module: str
    """In `keras.applications`, with its own `preprocess_input`; empty for the one that comes with the package."""
    constructor: str
    blocks: tuple[int, ...]
    batch_norm: bool
    memory: int
    """MB that training all of it takes at its preferred size, batch 32, float32: see benchmarks/backbone_memory.py."""
    multiply_adds: float
    """Billions, for one image of 224x224 pixels, as `frozen_prefix` counts them."""
    licence: str
    """Of the ImageNet weights that Keras downloads: as its documentation says, or their authors' repository."""
    least_size: int = 32
    largest_size: int = 224
    preferred_size: int = 96

    @property
    def layers(self) -> int:
        """The most layers that can thaw."""
        return self.blocks[-1]

    def image_sizes(self, own: int) -> list[int]:
        """Sizes at which it may see images of side `own`: from about their own to three times it, as it accepts."""
        accepted = [size for size in IMAGE_SIZES if self.least_size <= size <= self.largest_size]
        sizes = [size for size in accepted if own <= size <= own * LARGEST_ENLARGEMENT]
        return sizes or [accepted[0] if own < accepted[0] else accepted[-1]]

    def build(self, pixels: Any, weights: str | None, scaling: str = "own") -> keras.Model:
        """The network without its top on raw pixels (0..255), its own preprocessing in front, as one flat graph.

        Under `scaling` "unit" pixels are scaled to 0..1 instead, which pre-trained weights do not expect (networks that
        scale inside do that as well).
        """
        import keras

        if scaling == "unit":
            pixels = keras.layers.Rescaling(1 / 255, dtype="float32")(pixels)
        if not self.module:
            return cifar_cnn.build(pixels, weights)
        module = getattr(keras.applications, self.module)
        scaled = pixels if scaling == "unit" else module.preprocess_input(pixels)
        constructor = getattr(keras.applications, self.constructor)
        return constructor(include_top=False, weights=weights, input_tensor=scaled)


BACKBONES = {
    row.name: row
    for row in (
        Backbone(
            "mobilenet",
            "mobilenet",
            "MobileNet",
            (13, 50, 63, 76, 85),
            True,
            memory=402,
            multiply_adds=0.64,
            licence="Apache 2.0",
        ),
        Backbone(
            "mobilenet_v2",
            "mobilenet_v2",
            "MobileNetV2",
            (38, 100, 127, 145, 153),
            True,
            memory=481,
            multiply_adds=0.39,
            licence="Apache 2.0",
        ),
        Backbone(
            "mobilenet_v3_small",
            "mobilenet_v3",
            "MobileNetV3Small",
            (48, 122, 140, 152, 156),
            True,
            memory=403,
            multiply_adds=0.08,
            licence="Apache 2.0",
        ),
        Backbone(
            "efficientnet_v2_b0",
            "efficientnet_v2",
            "EfficientNetV2B0",
            (121, 194, 237, 249, 261, 264, 269),
            True,
            memory=796,
            multiply_adds=0.78,
            licence="Apache 2.0",
        ),
        Backbone(
            "resnet50",
            "resnet50",
            "ResNet50",
            (32, 94, 136, 168, 174),
            True,
            memory=975,
            multiply_adds=4.0,
            licence="MIT",
        ),
        Backbone(
            "densenet121",
            "densenet",
            "DenseNet121",
            (114, 286, 374, 420, 426),
            True,
            memory=1100,
            multiply_adds=3.0,
            licence="BSD 3-clause",
        ),
        Backbone(
            "vgg16", "vgg16", "VGG16", (4, 8, 12, 15, 18), False, memory=733, multiply_adds=15.4, licence="CC BY 4.0"
        ),
        Backbone(
            "convnext_tiny",
            "convnext",
            "ConvNeXtTiny",
            (23, 87, 109, 130, 132),
            False,
            memory=2796,
            multiply_adds=4.6,
            licence="MIT",
        ),
        Backbone(
            "cifar_cnn",
            "",
            "",
            (9, 18, 28),
            True,
            memory=126,
            multiply_adds=2.0,
            licence="MIT",
            least_size=16,
            largest_size=96,
            preferred_size=32,
        ),
    )
}


def check_names(names: Sequence[str]) -> None:
    """Raise UserError when a name is not in the table."""
    unknown = [name for name in names if name not in BACKBONES]
    if unknown or not names:
        raise UserError(
            f"--backbones {','.join(names)}: {', '.join(unknown) or 'nothing'} is not among the available ones"
            f"{like(unknown[0], BACKBONES) if unknown else ''}: {', '.join(BACKBONES)}"
        )


def unseen(names: Sequence[str] | None, class_names: Iterable[str], weights: str) -> tuple[str, ...]:
    """The named backbones, or all: those that have not been trained on the very images of these classes.

    Raises:
        UserError: cifar_cnn is named for CIFAR-10.
    """
    is_bundled = find_weights(weights, ["cifar_cnn"], needs_all=False)["cifar_cnn"] == "bundled"
    has_seen = is_bundled and set(class_names) == cifar_cnn.CLASSES
    if names is None:
        return tuple(name for name in BACKBONES if not (has_seen and name == "cifar_cnn"))
    if has_seen and "cifar_cnn" in names:
        raise UserError(
            "--backbones cifar_cnn: it was trained on CIFAR-10, which would make its validation untrue; leave it out"
        )
    return tuple(names)


def find_weights(weights: str, names: Sequence[str], needs_all: bool = True) -> dict[str, str | None]:
    """For each backbone what its constructor takes as `weights`: "imagenet", "bundled", a file's path, or None.

    `weights` is imagenet, none, a file for the one backbone that is searched, or a folder of `<backbone>.weights.h5`,
    where a backbone without a file is left out unless `needs_all`. cifar_cnn has the weights that come with the package
    unless they are none, a file, or a folder with a cifar_cnn.npz.

    Raises:
        UserError: no such file, a folder without a backbone's file, or one file for several backbones.
    """
    if weights == "none":
        return dict.fromkeys(names)
    bundled = {"cifar_cnn": "bundled"}
    path = Path(weights).expanduser()
    if (own := path / "cifar_cnn.npz").is_file():
        bundled = {"cifar_cnn": str(own.resolve())}
    if weights == "imagenet":
        return {name: bundled.get(name, "imagenet") for name in names}
    if path.is_dir():
        files = {name: path / f"{name}.weights.h5" for name in names if name not in bundled}
        for name, file in files.items():
            if needs_all and not file.is_file():
                raise UserError(f"--weights {path} has no {file.name}: add it, or leave {name} out with --backbones")
        had: dict[str, str | None] = {name: str(file.resolve()) for name, file in files.items() if file.is_file()}
        return {name: had.get(name) or bundled[name] for name in names if name in had or name in bundled}
    if not path.is_file():
        raise UserError(f"--weights {weights}: no such file or folder; use imagenet, none, a file or a folder")
    if len(names) != 1:
        raise UserError(
            f"--weights {weights} is one file but {len(names)} backbones are searched ({', '.join(names)}): "
            "name the one that it belongs to with --backbones, or give a folder"
        )
    return {names[0]: str(path.resolve())}


def without_weights(weights: dict[str, str | None]) -> tuple[str, ...]:
    """Load every backbone's weights once, so that a wrong file ends the study before its first trial.

    Returns:
        The backbones whose ImageNet weights are neither in Keras's cache nor downloadable.

    Raises:
        UserError: a file that does not fit its backbone.
    """
    missing: list[str] = []
    for name, source in weights.items():
        if source is not None and not _loads(BACKBONES[name], source):
            missing.append(name)
    return tuple(missing)


def _loads(row: Backbone, source: str) -> bool:
    import keras

    try:
        with _impatient():
            row.build(keras.Input((row.least_size, row.least_size, 3)), source)
    except UserError:
        raise
    except Exception as error:  # Keras raises ValueError, KeyError, OSError or bare Exception, by cause
        if source == "imagenet":
            return False
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"--weights {source} does not hold the weights of {row.name}: {reason}") from error
    return True


@contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def unavailable(names: Iterable[str]) -> Unavailable:
    """The error when these backbones' ImageNet weights cannot be had."""
    return Unavailable(
        f"the ImageNet weights of {', '.join(names)} are neither in {keras_cache('models')} nor downloadable; "
        "give files with --weights FOLDER, or start from nothing with --weights none"
    )


def keras_cache(kind: str) -> Path:
    """Where Keras keeps downloads of that kind ("models", "datasets"): under KERAS_HOME, else `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / kind
