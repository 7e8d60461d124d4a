"""What training reads, a batch at a time, in an order that the seed alone decides."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

IN_MEMORY = 256e6
"""Bytes of inputs that a worker keeps in its own memory: from there TensorFlow gathers a batch in a third of the time.

Larger ones are memory maps, whose pages all workers share.
"""


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
        self._values = np.empty(0)
        self._order = np.arange(len(targets))
        self._held: tuple[Any, Any] | None = None
        self.begin(epoch)

    def begin(self, epoch: int) -> None:
        """Go to the inputs and the order of that epoch."""
        values = self._inputs(epoch)
        if self._seed is not None:
            self._order = np.random.default_rng((self._seed, epoch)).permutation(len(self._targets))
        if self._held is not None:
            held_values, held_order = self._held
            held_order.assign(self._order)
            if values is not self._values:
                held_values.assign(values)
        self._values = values

    def __len__(self) -> int:
        return -(-len(self._targets) // self._size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(index * self._size, (index + 1) * self._size)
        if self._seed is None:
            return np.asarray(self._values[rows]), self._targets[rows]
        drawn = self._order[rows]
        return self._values[drawn], self._targets[drawn]

    def source(self) -> Any:
        """What to give to Keras: these very batches, where TensorFlow computes as a data set of its own."""
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        options = tf.data.Options()
        # There is nothing to tune, the thread that tunes computes too, and who ends a trial waits up to seconds for it.
        options.autotune.enabled = False
        batch = self._gathered() if self._values.nbytes <= IN_MEMORY else self._read
        return tf.data.Dataset.range(len(self)).map(batch).prefetch(1).with_options(options)

    def _gathered(self) -> Callable[[Any], tuple[Any, Any]]:
        """From the number of a batch, a tensor, to the batch: from a copy of the inputs that TensorFlow holds."""
        import tensorflow as tf

        with tf.device("cpu"):
            values, order = (tf.Variable(array, trainable=False) for array in (self._values, self._order))
            targets = tf.constant(self._targets)
        self._held = values, order

        def batch(index: Any) -> tuple[Any, Any]:
            rows = order[index * self._size : (index + 1) * self._size]
            return tf.gather(values, rows), tf.gather(targets, rows)

        return batch

    def _read(self, index: Any) -> tuple[Any, Any]:
        """The same by way of Python, from where the inputs are."""
        import tensorflow as tf

        arrays = self._values, self._targets
        tensors = tf.numpy_function(self.__getitem__, [index], [array.dtype for array in arrays])
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.set_shape((None, *array.shape[1:]))
        return tuple(tensors)
