"""Keeps the log of a search from filling the disk."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

MOST_BYTES = 20_000_000


class LogKeeper(tune.Callback):
    """Moves what the log holds to `search.log.1` whenever it has grown too large; what was there goes.

    The file stays the same one, because this process and all of Ray's append to it.
    """

    def __init__(self, log: Path, most_bytes: int = MOST_BYTES) -> None:
        self._log, self._most_bytes = log, most_bytes

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Ray calls this after each epoch."""
        self.keep()

    def keep(self) -> None:
        """Look at its size. A disk that is full is told of by what matters more than a log."""
        with suppress(OSError):
            self._move()

    def _move(self) -> None:
        if self._log.is_file() and self._log.stat().st_size > self._most_bytes:
            shutil.copyfile(self._log, self._log.with_name(f"{self._log.name}.1"))
            os.truncate(self._log, 0)
