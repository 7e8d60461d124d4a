"""Pre-trained networks of keras.applications: one row a backbone, and where its weights come from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_spaces.errors import Unavailable, UserError

if TYPE_CHECKING:
    import keras

LEAST_SIZE = 32
"""Smallest side of images that these networks take."""


@dataclass(frozen=True)
class Backbone:
    """One row: how a network is built and what it takes.

    `layers` counts its layers after the input, as in `keras_model.layers[1:]`: the most that `unfrozen_layers` can be.
    """

    name: str
    module: str
    constructor: str
    layers: int
    batch_norm: bool

    def build(self, pixels: Any, weights: str | None) -> keras.Model:
        """The network without its top on raw pixels (0..255), its own preprocessing in front, as one flat graph."""
        import keras

        module = getattr(keras.applications, self.module)
        scaled = module.preprocess_input(pixels)
        return getattr(module, self.constructor)(include_top=False, weights=weights, input_tensor=scaled)


BACKBONES = {
    row.name: row
    for row in (
        Backbone("mobilenet", "mobilenet", "MobileNet", layers=85, batch_norm=True),
        Backbone("mobilenet_v2", "mobilenet_v2", "MobileNetV2", layers=153, batch_norm=True),
        Backbone("resnet50", "resnet50", "ResNet50", layers=174, batch_norm=True),
        Backbone("vgg16", "vgg16", "VGG16", layers=18, batch_norm=False),
    )
}


def check_names(names: Sequence[str]) -> None:
    """Raise UserError when a name is not in the table."""
    unknown = [name for name in names if name not in BACKBONES]
    if unknown or not names:
        raise UserError(
            f"--backbones {','.join(names)}: {', '.join(unknown) or 'nothing'} is not among the "
            f"available ones: {', '.join(BACKBONES)}"
        )


def find_weights(weights: str, names: Sequence[str]) -> dict[str, str | None]:
    """For each backbone what its constructor takes as `weights`: "imagenet", a file's path, or None.

    `weights` is imagenet, none, a file for the one backbone that is searched, or a folder of
    `<backbone>.weights.h5`.

    Raises:
        UserError: no such file, a folder without a backbone's file, or one file for several backbones.
    """
    if weights in ("imagenet", "none"):
        return dict.fromkeys(names, "imagenet" if weights == "imagenet" else None)
    path = Path(weights).expanduser()
    if path.is_dir():
        return {name: str(_in_folder(path, name)) for name in names}
    if not path.is_file():
        raise UserError(f"--weights {weights}: no such file or folder; use imagenet, none, a file or a folder")
    if len(names) != 1:
        raise UserError(
            f"--weights {weights} is one file but {len(names)} backbones are searched ({', '.join(names)}): "
            "name the one that it belongs to with --backbones, or give a folder"
        )
    return {names[0]: str(path.resolve())}


def _in_folder(folder: Path, name: str) -> Path:
    file = folder / f"{name}.weights.h5"
    if not file.is_file():
        raise UserError(f"--weights {folder} has no {file.name}: add it, or leave {name} out with --backbones")
    return file.resolve()


def check_weights(weights: dict[str, str | None]) -> None:
    """Load every backbone's weights once, so that a wrong or missing file ends the study before its first trial.

    Raises:
        Unavailable: ImageNet weights that are neither in Keras's cache nor downloadable.
        UserError: a file that does not fit its backbone.
    """
    import keras

    missing: list[str] = []
    for name, source in weights.items():
        if source is None:
            continue
        try:
            BACKBONES[name].build(keras.Input((LEAST_SIZE, LEAST_SIZE, 3)), source)
        except Exception as error:  # Keras raises ValueError, KeyError, OSError or bare Exception, by cause
            if source != "imagenet":
                reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
                raise UserError(f"--weights {source} does not hold the weights of {name}: {reason}") from error
            missing.append(name)
    if missing:
        raise Unavailable(
            f"the ImageNet weights of {', '.join(missing)} are neither in {keras_cache('models')} nor downloadable; "
            "give files with --weights FOLDER, or start from nothing with --weights none"
        )


def keras_cache(kind: str) -> Path:
    """Where Keras keeps downloads of that kind ("models", "datasets"): under KERAS_HOME, else `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / kind
