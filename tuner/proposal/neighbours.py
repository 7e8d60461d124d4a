"""Configurations that differ a little from a given one, and configurations at random."""

import random
from collections.abc import Sequence

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter, Range, Value

MOVED = 0.5
"""Share of the numbers that move."""
TO_AN_END = 1 / 3
"""Share of those that move to an end of their range: the best value is often there, and a draw at random never."""
WIDTH = 0.2
"""Standard deviation of the others' steps, as a share of the range on its scale."""
REDRAWN = 1.5
"""A choice is drawn anew with this chance, divided by the number of active hyperparameters."""


def neighbour(space: Sequence[Hyperparameter], configuration: Configuration, rng: random.Random) -> Configuration:
    """The configuration with half of its numbers moved, and few of its choices made anew.

    What becomes active by that is drawn at random.
    """
    chance = REDRAWN / len(configuration)
    found: Configuration = {}
    for one in space:
        if not one.is_active(found):
            continue
        value = configuration.get(one.name)
        if value is None or one.allowed.nearest(value) is None:
            found[one.name] = _drawn(one, rng)
        else:
            found[one.name] = _moved(one.allowed, value, chance, rng) if one.drawn else value
    return found


def at_random(space: Sequence[Hyperparameter], rng: random.Random) -> Configuration:
    """A configuration with each value drawn at random, numbers on their scale."""
    found: Configuration = {}
    for one in space:
        if one.is_active(found):
            found[one.name] = _drawn(one, rng)
    return found


def _drawn(one: Hyperparameter, rng: random.Random) -> Value:
    if not one.drawn:
        return one.default
    return rng.choice(one.allowed.values) if isinstance(one.allowed, Choices) else one.allowed.at(rng.random())


def _moved(allowed: Choices | Range, value: Value, chance: float, rng: random.Random) -> Value:
    if isinstance(allowed, Choices):
        return rng.choice(allowed.values) if rng.random() < chance else value
    if rng.random() >= MOVED:
        return value
    if rng.random() < TO_AN_END:
        return allowed.at(rng.choice((0.0, 1.0)))
    return allowed.at(allowed.place(float(value)) + rng.gauss(0, WIDTH))
