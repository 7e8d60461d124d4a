"""Images of a finished study, to compare exported models on."""

import numpy as np
from PIL import Image

from results.export import Sample
from results.paths import RunPaths
from results.records import read_study, read_test
from search_spaces.errors import UserError
from tuner.trial.datasets import load


def sample(paths: RunPaths) -> Sample:
    """Its validation and training images; the few that it keeps of its test split where the source is gone.

    Raises:
        UserError: neither is there.
    """
    study, test = read_study(paths), read_test(paths)
    try:
        data = load(study.data.source, study.data.image_size, study.options["seed"])
        return Sample(data.validation_images, data.validation_labels, data.train_images)
    except UserError:
        if test is None or not test.examples:
            raise
    side = study.data.image_size
    pictures = [Image.open(paths.examples / example.file).resize((side, side)) for example in test.examples]
    images = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    return Sample(images, np.array([example.label for example in test.examples]), images)
