"""A trial that trains nothing: it reports four times, and is over. For both sides."""

import time
from typing import Any

from ray import tune

REPORTS = 4


def accuracy(x: float, epoch: int) -> float:
    """What a configuration would reach."""
    return float((1 - (x - 0.3) ** 2) * (1 - 0.5**epoch))


class Noop(tune.Trainable):
    """As `WarmTrial` reports, whose place it takes; `pause` seconds an epoch."""

    pause = 0.0
    reports = REPORTS

    def setup(self, config: dict[str, Any], settings: Any = None, data: Any = None) -> None:  # type: ignore[override]
        self._epoch = 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial."""
        self._epoch = 0
        return True

    def step(self) -> dict[str, Any]:
        """One epoch."""
        time.sleep(self.pause)
        self._epoch += 1
        value = accuracy(self.config["configuration"]["x"], self._epoch)
        return {
            "epoch": self._epoch, "loss": 1.0, "accuracy": value, "val_loss": 1.0, "val_accuracy": value,
            "seconds": 0.0, "parameters": 1, "file_bytes": 1, "latency": 0.1, "sent": time.time(),
            "done": self._epoch == self.reports,
        }  # fmt: skip


class Paced(Noop):
    """A second an epoch, for half a minute."""

    pause = 1.0
    reports = 30
