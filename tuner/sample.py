"""Images of a finished study, to compare exported models on."""

import numpy as np
from PIL import Image

from results.export import Sample
from results.paths import RunPaths
from results.records import read_study, read_test
from search_spaces.errors import UserError
from tuner.trial.datasets import load

NOISE = 32
"""Random images, where there are none."""


def sample(paths: RunPaths) -> Sample:
    """Its validation and training images; where they are gone, those kept of its test split, or random ones."""
    study, test = read_study(paths), read_test(paths)
    side = study.data.image_size
    try:
        leave_out = study.options.get("leave_out", ())
        data = load(paths.source(study.data.source), side, study.options["seed"], leave_out=leave_out)
        if data.fingerprint() == study.data.fingerprint:
            return Sample("validation images", data.validation_images, data.validation_labels, data.train_images)
    except UserError:
        pass
    gone = np.empty((0, side, side, 3), np.uint8)
    if test is not None and test.examples:
        pictures = [Image.open(paths.examples / example.file).resize((side, side)) for example in test.examples]
        images = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
        return Sample("images that the report shows, because the study's are not at hand", images, None, gone)
    noise = np.random.default_rng(0).integers(0, 256, (NOISE, side, side, 3), np.uint8)
    return Sample("random pixels, because the study's images are not at hand", noise, None, gone)
