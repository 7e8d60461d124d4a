"""A finite table of configurations with their learning curves, as benchmarks such as NAS-Bench-201 come.

A JSON file: `{"columns": [names], "max_epochs": n, "rows": [{"configuration": [values], "accuracy": [percent after each
epoch], "seconds": [of all epochs up to each]}, ...]}`. A proposal is answered with the row that is nearest to it: the
most equal choices, then the nearest numbers, each on its column's scale.
"""

import json
from pathlib import Path

import numpy as np

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter, Range, Value


class Table:
    """The table as `Curves`."""

    grace_epochs = 1

    def __init__(self, path: Path) -> None:
        stored = json.loads(path.read_text())
        self.max_epochs: int = stored["max_epochs"]
        self._names: list[str] = stored["columns"]
        self._accuracy = np.array([row["accuracy"] for row in stored["rows"]])
        self._seconds = np.array([row["seconds"] for row in stored["rows"]])
        columns = list(zip(*(row["configuration"] for row in stored["rows"]), strict=True))
        self.space = [
            Hyperparameter(name, _allowed(column), column[0]) for name, column in zip(self._names, columns, strict=True)
        ]
        self._columns = [_placed(column) for column in columns]

    def at(self, configuration: Configuration, epoch: int) -> tuple[float, float]:
        """As `Curves` says."""
        distance = np.zeros(len(self._accuracy))
        for name, (places, spread) in zip(self._names, self._columns, strict=True):
            value = configuration[name]
            if spread:
                distance += np.abs(places - float(value)) / spread
            else:
                distance += places != str(value)
        row = int(distance.argmin())
        return float(self._accuracy[row, epoch - 1]), float(self._seconds[row, epoch - 1])


def _is_number(column: tuple[Value, ...]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in column)


def _allowed(column: tuple[Value, ...]) -> Choices | Range:
    values = tuple(dict.fromkeys(column))
    if not _is_number(column) or len(values) <= 10:
        return Choices(values)
    whole = all(isinstance(value, int) for value in values)
    low, high = min(values), max(values)
    return Range(low, high, None, "log" if low > 0 and high / low >= 100 else "linear", whole)


def _placed(column: tuple[Value, ...]) -> tuple[np.ndarray, float]:
    """The column as numbers and their spread, or as texts and 0."""
    if not _is_number(column):
        return np.array([str(value) for value in column]), 0.0
    numbers = np.array(column, "float64")
    return numbers, float(np.ptp(numbers)) or 1.0
