"""All images and labels of a `tf.data.Dataset`, read once through; one that never ends is noticed."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces.errors import UserError
from tuner.trial.shared_images import digests_of

INFINITE, UNKNOWN = -1, -2
"""As TensorFlow counts what repeats for ever, and what it cannot count, such as a generator."""
AGAIN, LEAST = 3, 1000
"""How often all images have come, and how many these are, when a data set is taken for one that never ends."""
MEMORY_SHARE = 0.5
"""Of the memory that is free: at the end all are copied once."""
PERIOD = 10.0
"""Seconds between two lines that say how far it is."""


def gathered(dataset: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """All of a data set of pairs of image and label, batched or not.

    Raises:
        UserError: it has no such pairs, is empty, or does not end.
    """
    cardinality = int(dataset.cardinality())
    if cardinality == INFINITE:
        raise UserError(f"{name}: the data set never ends: give it without repeat()")
    images, labels = [], []
    reading = _Reading(name, may_be_endless=cardinality == UNKNOWN)
    for element in dataset.as_numpy_iterator():
        if not (isinstance(element, tuple) and len(element) == 2):
            raise UserError(f"{name}: the data set must give pairs, (image, label)")
        image, label = np.asarray(element[0]), np.asarray(element[1])
        is_single = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (1, 3))
        images.append(image[np.newaxis] if is_single else image)
        labels.append(label[np.newaxis] if is_single else label)
        reading.see(images[-1])
    if len({image.shape[1:] for image in images}) > 1:
        raise UserError(f"{name}: its images have several shapes: resize them in the data set, or give an image folder")
    if not images:
        raise UserError(f"{name}: the data set is empty")
    return np.concatenate(images), np.concatenate(labels)


class _Reading:
    """How much of a data set has been read.

    Args:
        name: of it.
        may_be_endless: whether to look for images that come again.
    """

    def __init__(self, name: str, may_be_endless: bool) -> None:
        self._name, self._may_be_endless = name, may_be_endless
        self._seen: set[bytes] = set()
        self._count = self._bytes = 0
        self._most, self._told = MEMORY_SHARE * free_memory(), time.monotonic()

    def see(self, images: np.ndarray) -> None:
        """Count a batch of images, and every few seconds say how many there were.

        Raises:
            UserError: they come again and again, or are too many.
        """
        self._count += len(images)
        self._bytes += images.nbytes
        read = f"{self._name}: {self._count:,} images read ({self._bytes / 1e9:.1f} GB)"
        if self._may_be_endless:
            self._seen.update(digests_of(images))
            if self._count >= max(LEAST, AGAIN * len(self._seen)):
                raise UserError(
                    f"{read}, and they are the same {len(self._seen):,} again and again: give each once, without "
                    f"repeat() or an endless loop, such as by take({len(self._seen)})"
                )
        if self._bytes > self._most:
            raise UserError(
                f"{read}, more than half of the memory that is free, without an end: bound the data set by "
                "take(COUNT), or give an image folder"
            )
        if time.monotonic() - self._told > PERIOD:
            self._told = time.monotonic()
            print(f"{read} so far", flush=True)


def free_memory() -> float:
    """Bytes that this process may take, where Linux tells it; else half of the machine's."""
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    group = Path("/sys/fs/cgroup")  # of a container or a batch job; "max" says that it has no limit
    with suppress(OSError, ValueError):
        most, now = (int((group / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        free = min(free, most - now)
    return free
