"""An exported model that classifies image files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from results.export import labels_path
from results.images import decode
from search_spaces.errors import UserError

BATCH = 256


@dataclass(frozen=True)
class Guess:
    """One class and its probability."""

    label: str
    probability: float


class Predictor:
    """A model on disk, loaded. The file runs no code of its own: Keras's safe mode stays on.

    Raises:
        UserError: no such file, one that Keras cannot load, or labels that do not fit it.
    """

    def __init__(self, model: Path) -> None:
        if not model.is_file():
            raise UserError(f"{model}: no such file; scripts/export.py writes a model")
        try:
            self._model = keras.models.load_model(model, compile=False)
        except Exception as error:  # Keras raises ValueError, OSError, KeyError and more for a file that is no model
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise UserError(f"{model} is not a model that Keras can load: {reason}") from error
        self.image_size = int(self._model.input_shape[1])
        self.labels = _labels(model, int(self._model.output_shape[-1]))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(n, classes) of images of shape (n, image_size, image_size, 3)."""
        return np.asarray(self._model.predict(images, batch_size=BATCH, verbose=0))

    def classify(self, image: Path, top: int) -> list[Guess]:
        """The `top` likeliest classes, best first.

        Raises:
            results.images.Undecodable: the file is no image.
        """
        probabilities = self.probabilities(decode(image, self.image_size)[np.newaxis])[0]
        order = np.argsort(-probabilities)[:top]
        return [Guess(self.labels[position], float(probabilities[position])) for position in order]


def _labels(model: Path, classes: int) -> Sequence[str]:
    file = labels_path(model)
    if not file.is_file():
        return [str(number) for number in range(classes)]
    labels = json.loads(file.read_text(encoding="utf-8"))
    if len(labels) != classes:
        raise UserError(f"{file} names {len(labels)} classes but the model has {classes}: export the model again")
    return [str(label) for label in labels]
