"""What it takes to train a configuration, from the trainings of it that were measured."""

from collections.abc import Iterable
from dataclasses import dataclass

from results.records import TrialRecord, TrialState
from search_spaces.configuration import Configuration, configuration_key

MARGIN = 1.1
"""A training is expected to take so many times what was measured: another seed may end later."""


@dataclass(frozen=True)
class _Measured:
    start: float
    """Seconds before the first epoch: the worker's start and the model's building."""
    epoch: float
    """Seconds."""
    epochs: int
    """After which its `fit` ended by itself, or the most there are."""


class TrainingCost:
    """Seconds that trainings take; those of one configuration are alike, whatever their seed.

    Args:
        trials: that were measured.
        max_epochs: of a training.
    """

    def __init__(self, trials: Iterable[TrialRecord], max_epochs: int) -> None:
        self._max_epochs = max_epochs
        self._measured: dict[tuple[object, ...], _Measured] = {}
        for trial in trials:
            self.observe(trial)

    def observe(self, trial: TrialRecord) -> None:
        """A training began, finished an epoch, or ended; the latest measurement of a configuration counts."""
        seconds = trial.seconds_an_epoch
        if seconds is None:
            return
        key, first = configuration_key(trial.configuration), trial.epochs[0]
        known = self._measured.get(key)
        epochs = len(trial.epochs) if trial.state is TrialState.DONE else known.epochs if known else self._max_epochs
        epochs = min(epochs, self._max_epochs)
        self._measured[key] = _Measured(max(0.0, first.ended - trial.started - first.seconds), seconds, epochs)

    def of(self, configuration: Configuration, done: int = 0) -> float:
        """Return the seconds of a training of which so many epochs are done; 0 of a configuration never measured."""
        found = self._measured.get(configuration_key(configuration))
        return MARGIN * (found.start + found.epoch * max(1, found.epochs - done)) if found else 0.0
