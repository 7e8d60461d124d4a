"""Configurations as points: where each value lies among what its hyperparameter allows."""

from collections.abc import Sequence

import numpy as np

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter, Range

MIDDLE = 0.5


class Places:
    """Points of one space, a coordinate for each hyperparameter that a search draws.

    A number is at its place on its scale, from 0 to 1, and so is the position of a choice between numbers; of any other
    choice the coordinate is a label. What is not active stands in the middle: the hyperparameter that it depends on
    tells the branches apart.
    """

    def __init__(self, space: Sequence[Hyperparameter]) -> None:
        self._space = [one for one in space if one.drawn]
        self.is_label = np.array([_is_unordered(one.allowed) for one in self._space], bool)
        """(hyperparameters,): which coordinates are labels: nothing counts but whether two are equal."""

    def of(self, configuration: Configuration) -> np.ndarray:
        """(hyperparameters,)."""
        return np.array([_place(one, configuration) for one in self._space])

    def squared_distances(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """(some, others, hyperparameters); 1 between two labels that differ."""
        apart = some[:, None, :] - others[None, :, :]
        return np.where(self.is_label, apart != 0, apart * apart)


def _place(one: Hyperparameter, configuration: Configuration) -> float:
    if not one.is_active(configuration):
        return MIDDLE
    value, allowed = configuration[one.name], one.allowed
    if isinstance(allowed, Range):
        return allowed.place(float(value))
    position = allowed.values.index(value)
    return float(position) if _is_unordered(allowed) else position / max(1, len(allowed.values) - 1)


def _is_unordered(allowed: Choices | Range) -> bool:
    """Of two values one cannot lie between others."""
    return (
        isinstance(allowed, Choices)
        and len(allowed.values) > 2
        and any(isinstance(value, str) for value in allowed.values)
    )
