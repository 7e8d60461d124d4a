"""Images that are in two splits: what a model is judged by must not be what it was trained on."""

import hashlib
import itertools
from collections.abc import Mapping

import numpy as np

from search_spaces.errors import UserError
from tuner.trial.image_arrays import Labelled

TOO_MANY = 0.5
"""Share of a split that is in another one by a mistake in how they were made, and not by chance."""


def shared_images(splits: Mapping[str, Labelled | None]) -> tuple[str, ...]:
    """What to tell a user of images that are in two splits, equal in each pixel and with the same label.

    Args:
        splits: by what to call them: training before validation before test.

    Raises:
        UserError: half of a split or more is in another one.
    """
    digests = {
        name: list(zip(digests_of(split.images), split.labels.tolist(), strict=True))
        for name, split in splits.items()
        if split is not None
    }
    notes = []
    for (first, known), (split, found) in itertools.combinations(digests.items(), 2):
        count = sum(map(set(known).__contains__, found))
        if count >= TOO_MANY * len(found):
            raise UserError(
                f"{count} of {len(found)} {split} images are in the {first} images too, so they tell nothing of new "
                "ones: give each image once, in one split. In tf.data leave out repeat(), and split by "
                "shuffle(..., reshuffle_each_iteration=False) before take() and skip()"
            )
        if count:
            notes.append(
                f"{count} of {len(found)} {split} images are in the {first} images too, equal in each pixel: the "
                "accuracy on them tells nothing of new ones"
            )
    return tuple(notes)


def digests_of(images: np.ndarray) -> list[bytes]:
    """A short hash of each image."""
    return [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images]
