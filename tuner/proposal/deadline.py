"""Which configurations can still reach their first rung before the study's time is up."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter

ENOUGH = 5
"""Trials before anything is predicted."""
LATEST = 200
"""Trials that a prediction is made from."""
RIDGE = 0.1


class Deadline:
    """Predicts how long a configuration takes to its first rung, from those that have reached it.

    A linear model of the logarithm of the seconds, because they multiply with depth, width and image size; the first
    trial of each worker does not count, which starts it.

    Args:
        space: whose configurations.
        first_rung: an epoch.
        seconds: until the study's time is up, from now on; None: never.
        workers: as many first trials do not count.
    """

    def __init__(
        self,
        space: Sequence[Hyperparameter],
        first_rung: int,
        seconds: float | None,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._space = space
        self._first_rung = first_rung
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds
        self._to_skip = workers
        self._rows: list[np.ndarray] = []
        self._logs: list[float] = []
        self._weights: np.ndarray | None = None

    def observe(self, configuration: Configuration, epoch: int, seconds: float) -> None:
        """A trial has trained for so many epochs, which took so long with all that came before the first."""
        if self._end is None or epoch != self._first_rung:
            return
        if self._to_skip:
            self._to_skip -= 1
            return
        self._rows = [*self._rows[1 - LATEST :], self._row(configuration)]
        self._logs = [*self._logs[1 - LATEST :], float(np.log(max(seconds, 1e-3)))]
        self._weights = None

    def allows(self, configuration: Configuration) -> bool:
        """Whether there is time for it, or too little is known to say."""
        if self._end is None or len(self._rows) < ENOUGH:
            return True
        return self._clock() + self._predicted(configuration) <= self._end

    def _predicted(self, configuration: Configuration) -> float:
        mean = float(np.mean(self._logs))
        if self._weights is None:
            rows = np.array(self._rows)
            penalty = RIDGE * np.eye(rows.shape[1])
            self._weights = np.linalg.solve(rows.T @ rows + penalty, rows.T @ (np.array(self._logs) - mean))
        return float(np.exp(mean + self._row(configuration) @ self._weights))

    def _row(self, configuration: Configuration) -> np.ndarray:
        """Choices as flags, numbers as their place in the range; what is not active is 0."""
        row = [1.0]
        values: Configuration = {}
        for one in self._space:
            is_active = one.is_active(values) and one.name in configuration
            if is_active:
                values[one.name] = configuration[one.name]
            if isinstance(one.allowed, Choices):
                row += [float(is_active and configuration[one.name] == value) for value in one.allowed.values]
            else:
                row.append(one.allowed.place(float(configuration[one.name])) if is_active else 0.0)
        return np.array(row)
