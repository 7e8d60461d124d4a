"""The hyperparameters of a space that declares them, as plain data."""

from collections.abc import Collection

import keras_tuner
from keras_tuner.engine import hyperparameters as kinds

from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range


def declared(space: keras_tuner.HyperModel) -> list[Hyperparameter]:
    """What `space.declare(hp)` registers; builds nothing."""
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    return read(hp, getattr(space, "not_drawn", frozenset()))


def read(hp: keras_tuner.HyperParameters, not_drawn: Collection[str] = ()) -> list[Hyperparameter]:
    """What is registered on KerasTuner's container, in order, so that conditions name only what comes before."""
    return [
        Hyperparameter(
            one.name,
            _allowed(one),
            one.default,
            tuple(Condition(condition.name, tuple(condition.values)) for condition in one.conditions),
            one.name not in not_drawn,
        )
        for one in hp.space
    ]


def _allowed(one: kinds.HyperParameter) -> Choices | Range:
    if isinstance(one, kinds.Fixed):
        return Choices((one.value,))
    if isinstance(one, kinds.Boolean):
        return Choices((False, True))
    if isinstance(one, kinds.Choice):
        return Choices(tuple(one.values))
    whole = isinstance(one, kinds.Int)
    if one.step is None or one.sampling == "linear":
        return Range(one.min_value, one.max_value, one.step, one.sampling, whole)
    as_type = int if whole else float
    return Choices(tuple(sorted(as_type(value) for value in one.values)))
