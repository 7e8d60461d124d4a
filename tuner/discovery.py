"""The hyperparameters of a space: declared, or found by building once a branch of its conditions."""

import copy
from typing import Any

import keras_tuner
from keras_tuner.engine.hyperparameters import HyperParameter


def declared(space: keras_tuner.HyperModel) -> list[HyperParameter]:
    """What `space.declare(hp)` registers; builds nothing."""
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    return list(hp.space)


def discovered(space: keras_tuner.HyperModel) -> list[HyperParameter]:
    """The hyperparameters of a space that has no `declare`: built with its defaults, then once a branch not seen yet.

    The way of KerasTuner's own tuners (`BaseTuner._activate_all_conditions`); it computes, so it belongs in a worker.
    """
    known = keras_tuner.HyperParameters()
    seen: list[list[Any]] = []
    unseen: list[list[Any]] = [[]]
    while unseen:
        hp = known.copy()
        hp.active_scopes, hp.inactive_scopes = [], []
        for condition in unseen.pop(0):
            hp.values[condition.name] = condition.values[0]
        hp.ensure_active_values()
        space.build(hp)
        known.merge(hp.space, overwrite=False)
        seen += [scope for scope in copy.deepcopy(hp.active_scopes) if scope not in seen]
        unseen += [scope for scope in copy.deepcopy(hp.inactive_scopes) if scope not in seen + unseen]
        unseen = [scope for scope in unseen if scope not in seen]
        seen += unseen[:1]  # a branch that stays closed however it is asked for is not asked for twice
    return list(known.space)
