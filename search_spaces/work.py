"""What a configuration computes to its first rung, relative to others of its space, before any model is built.

Roughly: it says whether one takes as long as another or a hundred times as long. Seconds are measured.
"""

from collections.abc import Callable

from search_spaces.backbones import BACKBONES
from search_spaces.configuration import Configuration

BACKWARD = 2.0
"""What the way back costs, in forward passes."""


def first_rung_work(space: str, epochs: int) -> Callable[[Configuration], float]:
    """Return the work of a configuration; equal for all in a space of which nothing is known.

    Args:
        space: its name.
        epochs: to the first rung.
    """
    return (
        (lambda configuration: _finetune(configuration, epochs)) if space == "finetune" else lambda configuration: 1.0
    )


def _finetune(configuration: Configuration, epochs: int) -> float:
    """Frozen layers compute once where their features can be kept, thawed ones in each epoch, there and back."""
    backbone = BACKBONES[str(configuration["backbone"])]
    image = backbone.multiply_adds * (float(configuration["image_size"]) / 224) ** 2
    warmup = min(epochs, int(configuration.get("warmup_epochs", 0)))
    is_kept = configuration["augmentation"] == configuration["mix"] == "none"
    frozen_passes, warmup_passes = (1, min(warmup, 1)) if is_kept else (epochs, warmup)
    thawed_passes = warmup_passes + (epochs - warmup) * (1 + BACKWARD)
    thawed = float(configuration["unfrozen_layers"]) / backbone.layers
    return image * (frozen_passes * (1 - thawed) + thawed_passes * thawed)
