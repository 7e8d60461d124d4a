"""Learning curves that are known beforehand, from a surrogate or a table, instead of trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range


class Curves(Protocol):
    """What a simulated study trains on."""

    space: Sequence[Hyperparameter]
    max_epochs: int
    grace_epochs: int
    """The first rung that makes sense; one of the questions is what happens at others."""

    def at(self, configuration: Configuration, epoch: int) -> tuple[float, float]:
        """Validation accuracy after that epoch, in percent, and the seconds that all epochs up to it have taken."""


@dataclass(frozen=True)
class Scale:
    """What makes results of several tasks comparable; from random configurations trained to the end."""

    best: float
    median: float
    seconds: float
    """Mean of a full training."""

    def regret(self, accuracy: float) -> float:
        """0 for the best of the random configurations, 1 for their median, below 0 for what beats them all."""
        return (self.best - accuracy) / (self.best - self.median)


def read_space(stored: Mapping[str, Any], prefix: str = "", without: Sequence[str] = ()) -> list[Hyperparameter]:
    """A space of ConfigSpace's JSON format (0.2), what others depend on first."""
    conditions: dict[str, list[Condition]] = {}
    for one in stored["conditions"]:
        if one["type"] != "IN":
            raise ValueError(f"a condition of type {one['type']}: only IN is read")
        parent = Condition(one["parent"].removeprefix(prefix), tuple(one["values"]))
        conditions.setdefault(one["child"].removeprefix(prefix), []).append(parent)
    found = []
    for one in stored["hyperparameters"]:
        name = one["name"].removeprefix(prefix)
        if name not in without:
            found.append(Hyperparameter(name, _allowed(one), one["default"], tuple(conditions.get(name, ()))))
    return sorted(found, key=lambda hyperparameter: len(hyperparameter.conditions))


def _allowed(stored: Mapping[str, Any]) -> Choices | Range:
    if stored["type"] == "categorical":
        return Choices(tuple(stored["choices"]))
    is_whole = stored["type"] == "uniform_int"
    return Range(stored["lower"], stored["upper"], None, "log" if stored["log"] else "linear", is_whole)
