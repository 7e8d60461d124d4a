"""An exported model that classifies image files."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import numpy as np

from results.formats import in_float32, probabilities
from results.image_files import ACCEPTED, images_below
from results.images import Undecodable, decode
from results.labels import labels_path, read_labels, read_levels
from results.levels import Levels
from search_spaces.errors import UserError

BATCH = 256


@dataclass(frozen=True)
class Guess:
    """One class and its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What is said of one image."""

    image: Path
    guesses: tuple[Guess, ...] = ()
    """Best first."""
    refused: str | None = None
    """Why it was not classified."""


class Predictor:
    """A model on disk, loaded.

    Args:
        model: the .keras file.
        labels: the classes; by default those that lie beside it, or numbers where there are none.
        levels: of images of more than 8 bits; by default those that lie beside it, or each image's own.

    Raises:
        UserError: no such file, one that Keras cannot load, or labels that do not fit it.
    """

    def __init__(self, model: Path, labels: Sequence[str] = (), levels: Levels | None = None) -> None:
        self._model = in_float32(model)
        self.image_size = int(self._model.input_shape[1])
        self.levels = levels or read_levels(model)
        classes = int(self._model.output_shape[-1])
        self.labels = tuple(labels or read_labels(model)) or tuple(str(number) for number in range(classes))
        if len(self.labels) != classes:
            raise UserError(
                f"{labels_path(model)} names {len(self.labels)} classes but the model has {classes}: export it again"
            )

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(n, classes) of images of shape (n, image_size, image_size, 3)."""
        return probabilities(self._model, images)

    def classify(self, images: Sequence[Path], top: int, batch: int = BATCH) -> Iterator[Answer]:
        """Of each image in turn the `top` likeliest classes, best first; one that does not decode is told as such."""
        for begin in range(0, len(images), batch):
            files = images[begin : begin + batch]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                decoded = list(pool.map(self._decoded, files))
            pixels = [one for one in decoded if isinstance(one, np.ndarray)]
            rows = iter(self.probabilities(np.stack(pixels)) if pixels else ())
            for file, one in zip(files, decoded, strict=True):
                if isinstance(one, Undecodable):
                    yield Answer(file, refused=str(one))
                else:
                    yield Answer(file, self.best(next(rows), top))

    def best(self, probabilities: np.ndarray, top: int) -> tuple[Guess, ...]:
        """The `top` likeliest classes of an image's probabilities (classes,), best first."""
        order = np.argsort(-probabilities, kind="stable")[:top]
        return tuple(Guess(self.labels[place], float(probabilities[place])) for place in order)

    def _decoded(self, image: Path) -> np.ndarray | Undecodable:
        try:
            return decode(image, self.image_size, self.levels)
        except Undecodable as error:
            return error


def found_images(patterns: Sequence[str]) -> list[Path]:
    """The image files that are meant: files themselves, folders with all images that lie in them, and globs.

    Raises:
        UserError: a pattern that nothing matches.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        place = Path(pattern).expanduser()
        places = [place] if place.exists() else [Path(match) for match in sorted(glob(str(place), recursive=True))]
        matches = [file for one in places for file in (images_below(one) if one.is_dir() else [one])]
        if not matches:
            raise UserError(f"{pattern}: no such file, and no image there; accepted are {ACCEPTED}")
        found |= dict.fromkeys(matches)
    return list(found)
