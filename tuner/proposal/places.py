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
        self._space: list[tuple[Hyperparameter, int, bool]] = []
        """Each with its first coordinate, and whether its values are labels."""
        owners: list[int] = []
        for one in space:
            if one.drawn and _varies(one.allowed):
                is_label = _has_labels(one.allowed)
                self._space.append((one, len(owners), is_label))
                count = len(one.allowed.values) + 1 if is_label and isinstance(one.allowed, Choices) else 1
                owners += [len(self._space) - 1] * count
        self.owners = np.array(owners, int)
        """(coordinates,): the hyperparameter of each, counted from 0."""

    def __len__(self) -> int:
        """How many hyperparameters there are."""
        return len(self._space)

    def of(self, configuration: Configuration) -> np.ndarray:
        """(coordinates,)."""
        point = np.zeros(len(self.owners))
        for one, first, is_label in self._space:
            is_active = one.is_active(configuration)
            if isinstance(one.allowed, Range):
                point[first] = one.allowed.place(float(configuration[one.name])) if is_active else MIDDLE
            elif is_label:
                values = one.allowed.values
                point[first + (values.index(configuration[one.name]) if is_active else len(values))] = CORNER
            else:
                point[first] = _position(one.allowed, configuration[one.name]) if is_active else MIDDLE
        return point


def _varies(allowed: Choices | Range) -> bool:
    return len(allowed.values) > 1 if isinstance(allowed, Choices) else allowed.low < allowed.high


def _has_labels(allowed: Choices | Range) -> bool:
    """Of two values one cannot lie between others."""
    return (
        isinstance(allowed, Choices)
        and len(allowed.values) > 2
        and any(isinstance(value, str) for value in allowed.values)
    )


def _position(allowed: Choices, value: Value) -> float:
    """Among the values by size, from 0 to 1."""
    values = allowed.values if len(allowed.values) == 2 else sorted(allowed.values, key=float)
    return values.index(value) / (len(values) - 1)
