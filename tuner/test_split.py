"""The images that nothing was chosen by. Training code cannot reach them: only `tuner.finalists` asks for them."""

from pathlib import Path

import numpy as np

from tuner.trial.datasets import digits, resize_all, three_way
from tuner.trial.image_folder import decode_all, splits


def open_test_split(source: str, image_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The images as uint8 (n, image_size, image_size, 3), and labels as int64 (n,), of a source that `load` has loaded.

    Files that do not decode are left out.

    Raises:
        UserError: a folder that is no longer there, or is another one.
    """
    if source == "cifar10":
        import keras

        _, (images, labels) = keras.datasets.cifar10.load_data()
        return resize_all(images, image_size), labels.reshape(-1).astype(np.int64)
    if source == "digits":
        images, labels, names = digits(image_size)
        *_, test = three_way(labels, seed, names)
        return images[test], labels[test]
    *_, files = splits(Path(source).expanduser(), seed)
    return decode_all(files, image_size, strict=False, skipped=[])
