"""How far an epoch is, told while it runs."""

from collections.abc import Callable
from typing import Any

import keras


class Steps(keras.callbacks.Callback):
    """Tells the share of an epoch's training steps that are done.

    Args:
        tell: called after each step, so it has to be quick.
    """

    def __init__(self, tell: Callable[[float], None]) -> None:
        super().__init__()
        self._tell = tell

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Tell that none is done."""
        self._tell(0.0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tell how many are done, if it is known how many there are."""
        if steps := self.params.get("steps"):
            self._tell((batch + 1) / steps)
