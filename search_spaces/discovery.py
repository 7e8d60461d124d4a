"""The hyperparameters of a space: declared, or found by building once a branch of its conditions."""

import copy
from collections.abc import Collection
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as kinds

from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range


def declared(space: keras_tuner.HyperModel) -> list[Hyperparameter]:
    """What `space.declare(hp)` registers; builds nothing."""
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    return read(hp, getattr(space, "not_drawn", frozenset()))


def discovered(space: keras_tuner.HyperModel) -> list[Hyperparameter]:
    """The hyperparameters of a space that has no `declare`: built with its defaults, then once a branch not seen yet.

    The way of KerasTuner's own tuners (`BaseTuner._activate_all_conditions`); it computes, so it belongs in a worker.
    A branch that cannot be built gives what it registered before it raised.

    Raises:
        Exception: what the first build raised, if none of them succeeds.
    """
    known = keras_tuner.HyperParameters()
    seen: list[list[Any]] = []
    unseen: list[list[Any]] = [[]]
    errors: list[Exception] = []
    builds = 0
    while unseen:
        hp = known.copy()
        hp.active_scopes, hp.inactive_scopes = [], []
        for condition in unseen.pop(0):
            hp.values[condition.name] = condition.values[0]
        hp.ensure_active_values()
        builds += 1
        try:
            space.build(hp)
        except Exception as error:
            errors.append(error)
        known.merge(hp.space, overwrite=False)
        seen += [scope for scope in copy.deepcopy(hp.active_scopes) if scope not in seen]
        unseen += [scope for scope in copy.deepcopy(hp.inactive_scopes) if scope not in seen + unseen]
        unseen = [scope for scope in unseen if scope not in seen]
        seen += unseen[:1]  # a branch that stays closed however it is asked for is not asked for twice
    if len(errors) == builds:
        raise errors[0]
    return read(known)


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
