"""What a configuration costs, guessed from what others cost."""

from collections.abc import Sequence

import numpy as np

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter

ENOUGH = 5
"""Configurations to know before a guess is believed."""
LATEST = 200
"""Configurations that a guess is made from."""
RIDGE = 0.1


class LogLinear:
    """A linear model of the logarithm of a positive quantity: costs multiply with depth, width and image size."""

    def __init__(self, space: Sequence[Hyperparameter]) -> None:
        self._space = space
        self._rows: list[np.ndarray] = []
        self._logs: list[float] = []
        self._weights: np.ndarray | None = None

    def __len__(self) -> int:
        """How many configurations it knows, up to `LATEST`."""
        return len(self._logs)

    @property
    def least(self) -> float:
        """The smallest quantity that it knows."""
        return float(np.exp(min(self._logs)))

    def observe(self, configuration: Configuration, quantity: float) -> None:
        """This one cost so much."""
        self._rows = [*self._rows[1 - LATEST :], self._row(configuration)]
        self._logs = [*self._logs[1 - LATEST :], float(np.log(max(quantity, 1e-3)))]
        self._weights = None

    def predicted(self, configuration: Configuration) -> float:
        """What it would cost; at least one must be known."""
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
