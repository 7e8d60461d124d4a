"""The hyperparameters of a space that does not declare them: found by building its model for one value after the other.

KerasTuner learns such a space while it searches. A search that is spread over machines has to know it before, so every
value of every discrete hyperparameter is tried once. A hyperparameter that is asked for under some values of another
one only (`for i in range(hp.Int("layers", 1, 3)): hp.Int(f"units_{i}", ...)`) becomes conditional on it. Building
computes, so this belongs in a worker.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import keras_tuner
import numpy as np

from search_spaces.declaration import read
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Value
from search_spaces.space import targets
from search_spaces.task import Task

MOST_BUILDS = 64
MOST_VALUES = 8
"""Of a discrete hyperparameter with more values only the first and the last are tried."""


def discovered(space: keras_tuner.HyperModel, task: Task) -> list[Hyperparameter]:
    """What `build` asks for, and `fit` once, parents before children; what some values cannot build is left to them.

    Raises:
        Exception: what the first build raised, if none of them succeeds.
    """
    known = keras_tuner.HyperParameters()
    probes: dict[str, _Probe] = {}
    waiting: list[tuple[_Probe | None, dict[str, Value]]] = [(None, {})]
    built: list[keras_tuner.HyperParameters] = []
    errors: list[Exception] = []
    while waiting and len(built) + len(errors) < MOST_BUILDS:
        probe, values = waiting.pop(0)
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        try:
            model = space.build(hp)
        except Exception as error:
            errors.append(error)
        else:
            built.append(hp)
            if probe:
                probe.asked_for[values[probe.name]] = _names(hp)
        for one in read(hp):
            if one.name not in probes and one.is_active(hp.values):
                seen = {one.default: _names(hp)} if hp in built else {}
                probes[one.name] = _Probe(one.name, one.default, seen)
                waiting += [(probes[one.name], values | {one.name: value}) for value in _others(one)]
        if [hp] == built and type(space).fit is not keras_tuner.HyperModel.fit:
            _ask_fit(space, hp, model, task)
        known.merge(hp.space, overwrite=False)
        keras.utils.clear_session()
    if not built:
        raise errors[0]
    return [_conditional(one, list(probes.values())) for one in read(known)]


def _names(hp: keras_tuner.HyperParameters) -> set[str]:
    return {one.name for one in hp.space}


@dataclass
class _Probe:
    """One hyperparameter, and which others were asked for under each of its values."""

    name: str
    default: Value
    asked_for: dict[Value, set[str]] = field(default_factory=dict)


def _others(one: Hyperparameter) -> Sequence[Value]:
    """The values of a discrete hyperparameter besides its default."""
    if isinstance(one.allowed, Choices):
        values = list(one.allowed.values)
    elif one.allowed.whole and one.allowed.scale == "linear":
        values = list(range(int(one.allowed.low), int(one.allowed.high) + 1, int(one.allowed.step or 1)))
    else:
        return []
    few = values if len(values) <= MOST_VALUES else [values[0], values[-1]]
    return [value for value in few if value != one.default]


def _conditional(one: Hyperparameter, probes: Sequence[_Probe]) -> Hyperparameter:
    """With conditions on what it was seen to depend on; two that each bring it in on their own cannot be said."""
    needs: list[Condition] = []
    brings: list[Condition] = []
    for probe in probes:
        under = tuple(value for value, names in probe.asked_for.items() if one.name in names)
        if probe.name != one.name and under and len(under) < len(probe.asked_for):
            is_said = any(condition.name == probe.name for condition in one.conditions)
            if not is_said:
                (needs if probe.default in under else brings).append(Condition(probe.name, under))
    found = needs + (brings if len(brings) == 1 else [])
    return dataclasses.replace(one, conditions=(*one.conditions, *found))


class _Enough(BaseException):
    """`fit` has come to the training itself; no `except Exception` on the way holds it."""


def _ask_fit(space: keras_tuner.HyperModel, hp: keras_tuner.HyperParameters, model: Any, task: Task) -> None:
    """Have a `fit` of the space's own register what it asks for.

    It gets two blank images for one epoch; one that trains by `model.fit` does not even begin with them.

    What it raises says nothing: images and labels are none.
    """

    def enough(*arguments: object, **options: object) -> None:
        raise _Enough

    images = np.zeros((2, *task.input_shape), np.uint8)
    try:
        model.fit = enough
        labels = targets(model, np.zeros(2, np.int64), task.classes)
        data: Mapping[str, Any] = {"x": images, "y": labels, "validation_data": (images, labels)}
        space.fit(hp, model, **data, epochs=1, callbacks=[], verbose=0)
    except (_Enough, Exception):
        return
