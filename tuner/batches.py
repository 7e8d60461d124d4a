"""What training reads, a batch at a time, in an order that the seed alone decides."""

from collections.abc import Callable

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Batches of inputs and targets: in a new order each epoch, or as they come.

    The order does not depend on what the inputs are, so that a model sees the same images in the same batches whether
    it is given their pixels or features of them.

    Args:
        inputs: from the epoch to that epoch's inputs, [n, ...]; a memory map is read a batch at a time.
        targets: [n, ...].
        size: rows in a batch; the last one may have fewer.
        seed: None keeps the order.
    """

    def __init__(
        self, inputs: Callable[[int], np.ndarray], targets: np.ndarray, size: int, seed: int | None, epoch: int = 0
    ) -> None:
        super().__init__()
        self._inputs, self._targets, self._size, self._seed = inputs, targets, size, seed
        self.begin(epoch)

    def begin(self, epoch: int) -> None:
        """Go to the inputs and the order of that epoch."""
        self._values = self._inputs(epoch)
        if self._seed is not None:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._targets))

    def __len__(self) -> int:
        return -(-len(self._targets) // self._size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(index * self._size, (index + 1) * self._size)
        if self._seed is None:
            return np.asarray(self._values[rows]), self._targets[rows]
        drawn = self._order[rows]
        return self._values[drawn], self._targets[drawn]
