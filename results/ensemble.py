"""Several models as one, whose probabilities are the mean of theirs."""

from collections.abc import Sequence
from pathlib import Path

import keras

from results.formats import in_float32
from results.inference import float32_policy


def save_average(files: Sequence[Path], out: Path) -> None:
    """Write the average of .keras models for images of one size as a .keras model.

    Lakshminarayanan, Pritzel and Blundell (2017), "Simple and Scalable Predictive Uncertainty Estimation using Deep
    Ensembles": the probabilities of several trainings are averaged with equal weights.
    """
    with float32_policy():
        _average([in_float32(file) for file in files]).save(out)


def _average(members: Sequence[keras.Model]) -> keras.Model:
    pixels = keras.Input(members[0].input_shape[1:], name="pixels")
    # Each in a model of its own, because their layers have the same names.
    answers = [
        keras.Model(member.input, member.output, name=f"member_{number}")(pixels)
        for number, member in enumerate(members)
    ]
    return keras.Model(pixels, keras.layers.Average(name="mean")(answers), name="ensemble")
