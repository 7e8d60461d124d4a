"""Configurations as points: where each value lies among what its hyperparameter allows."""

import math
from collections.abc import Sequence

import numpy as np

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter, Range, Value

MIDDLE = 0.5
CORNER = math.sqrt(0.5)
"""Of a label: two that differ are 1 apart."""


class Places:
    """Points of one space, from the hyperparameters that a search draws.

    A number has one coordinate, its place on its scale, from 0 to 1; so has a choice between numbers, or of two values.
    Any other choice has one for each of its values and another for not being active; what has one value has none. What
    has one coordinate is in the middle while it is not active; the hyperparameter that it depends on tells branches
    apart.
    """

    def __init__(self, space: Sequence[Hyperparameter]) -> None:
        self._space: list[tuple[Hyperparameter, int, int]] = []
        """Each with its first coordinate and how many it has."""
        owners: list[int] = []
        for one in space:
            count = _coordinates(one.allowed) if one.drawn else 0
            if count:
                self._space.append((one, len(owners), count))
                owners += [len(self._space) - 1] * count
        self.owners = np.array(owners, int)
        """(coordinates,): the hyperparameter of each, counted from 0."""

    def __len__(self) -> int:
        """How many hyperparameters there are."""
        return len(self._space)

    def of(self, configuration: Configuration) -> np.ndarray:
        """(coordinates,)."""
        point = np.zeros(len(self.owners))
        for one, first, count in self._space:
            value = configuration[one.name] if one.is_active(configuration) else None
            if count == 1:
                point[first] = MIDDLE if value is None else _place(one.allowed, value)
            elif isinstance(one.allowed, Choices):
                point[first + (count - 1 if value is None else one.allowed.values.index(value))] = CORNER
        return point


def _coordinates(allowed: Choices | Range) -> int:
    if isinstance(allowed, Range):
        return int(allowed.low < allowed.high)
    values = allowed.values
    has_labels = len(values) > 2 and any(isinstance(value, str) for value in values)
    return len(values) + 1 if has_labels else int(len(values) > 1)


def _place(allowed: Choices | Range, value: Value) -> float:
    """On the range's scale, or among the values by size, from 0 to 1."""
    if isinstance(allowed, Range):
        return allowed.place(float(value))
    values = allowed.values if len(allowed.values) == 2 else sorted(allowed.values, key=float)
    return values.index(value) / (len(values) - 1)
