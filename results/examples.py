"""A few images of the test split for people to look at: right and wrong ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from results.records import Example

EACH = 12
"""Right ones and wrong ones, at most."""
LARGEST = 160
"""Side in pixels that larger images are reduced to."""


def save_examples(
    folder: Path, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, sources: Sequence[str] = ()
) -> tuple[Example, ...]:
    """Write the mistakes that the model is surest of, and right answers of all degrees of confidence, as PNG files.

    Args:
        folder: to be made; what lies there is written over.
        images: uint8 (n, side, side, 3).
        labels: (n,).
        probabilities: (n, classes).
        sources: the n images' own files; empty where they have none.
    """
    called, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    falling = np.argsort(-sure, kind="stable")
    wrong = falling[called[falling] != labels[falling]][:EACH]
    right = falling[called[falling] == labels[falling]]
    right = right[np.linspace(0, len(right) - 1, min(EACH, len(right))).astype(int)]
    folder.mkdir(exist_ok=True)
    found = []
    for number in [*wrong.tolist(), *right.tolist()]:
        picture = Image.fromarray(images[number])
        picture.thumbnail((LARGEST, LARGEST))
        file = f"{number:05d}.png"
        picture.save(folder / file)
        source = sources[number] if sources else ""
        found.append(Example(file, int(labels[number]), int(called[number]), float(sure[number]), source))
    return tuple(found)
