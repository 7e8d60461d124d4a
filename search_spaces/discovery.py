"""The hyperparameters of a space that does not declare them: found by building its model for one value after the other.

KerasTuner learns such a space while it searches. A search that is spread over machines has to know it before, so the
values of every discrete hyperparameter are tried, one at a time. A hyperparameter that is asked for under some values
of another one only (`for i in range(hp.Int("layers", 1, 3)): hp.Int(f"units_{i}", ...)`) becomes conditional on it.
What needs two others away from their defaults at once is not found. Building computes, so this belongs in a worker.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import keras_tuner
import numpy as np

from search_spaces.declaration import read
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Value
from search_spaces.space import targets
from search_spaces.task import Task

MOST_BUILDS = 200
MOST_VALUES = 32
"""Of a hyperparameter with more only the first and the last are tried, and nothing is made conditional on it."""

Values = Mapping[str, Value]


class Discovery(NamedTuple):
    """What was found, parents before children, and whether all that should be tried was."""

    hyperparameters: list[Hyperparameter]
    is_whole: bool


def discovered(space: keras_tuner.HyperModel, task: Task) -> Discovery:
    """What `build` asks for, and `fit` once; a model that some values cannot build says nothing of the others.

    Raises:
        Exception: what the first build raised, if none of them succeeds.
    """
    known = keras_tuner.HyperParameters()
    builds: list[_Build] = []
    errors: list[Exception] = []
    tried: set[str] = set()
    waiting = [_Attempt({})]
    while waiting and len(builds) + len(errors) < MOST_BUILDS:
        attempt = waiting.pop(0)
        hp = keras_tuner.HyperParameters()
        hp.values = dict(attempt.wanted)
        try:
            space.declare_hyperparameters(hp)
            model = space.build(hp)
        except Exception as error:
            errors.append(error)
        else:
            builds.append(_Build(attempt.wanted, dict(hp.values), _names(hp)))
            if builds[-1].asked != attempt.asked_before:
                waiting += [_Attempt(wanted) for wanted in attempt.between]
        for one in read(hp):
            if one.name not in tried and one.is_active(hp.values):
                tried.add(one.name)
                waiting += _attempts(one, attempt.wanted, _names(hp))
        if len(builds) == 1 and not known.space and type(space).fit is not keras_tuner.HyperModel.fit:
            _ask_fit(space, hp, model, task)
        known.merge(hp.space, overwrite=False)
        keras.utils.clear_session(free_memory=False)  # a collection with TensorFlow takes longer than a build
    if not builds:
        raise errors[0]
    found = read(known)
    return Discovery([_conditional(one, found[:place], builds) for place, one in enumerate(found)], not waiting)


def _names(hp: keras_tuner.HyperParameters) -> set[str]:
    return {one.name for one in hp.space}


@dataclass(frozen=True)
class _Attempt:
    """Values to build with; and, if then other names are asked for than before, further values in between to try."""

    wanted: Values
    asked_before: set[str] | None = None
    between: Sequence[Values] = ()


@dataclass(frozen=True)
class _Build:
    """A model that could be built: with which values, those of all that it asked for, and their names."""

    wanted: Values
    values: Values
    asked: set[str]


def _attempts(one: Hyperparameter, wanted: Values, asked: set[str]) -> list[_Attempt]:
    """All other values of a choice; of a range its ends first."""
    values = _values(one)
    if isinstance(one.allowed, Choices):
        return [_Attempt({**wanted, one.name: value}) for value in values if value != one.default]
    inside = [value for value in values[1:-1] if value != one.default] if len(values) <= MOST_VALUES else []
    between = [{**wanted, one.name: value} for value in inside]
    ends = [value for value in dict.fromkeys([*values[-1:], *values[:1]]) if value != one.default]
    return [_Attempt({**wanted, one.name: end}, asked, between if end == ends[0] else ()) for end in ends]


def _values(one: Hyperparameter) -> list[Value]:
    """Of a discrete hyperparameter, in their order."""
    if isinstance(one.allowed, Choices):
        return list(one.allowed.values)
    if one.allowed.whole and one.allowed.scale == "linear":
        return list(range(int(one.allowed.low), int(one.allowed.high) + 1, int(one.allowed.step or 1)))
    return []


def _conditional(one: Hyperparameter, before: Sequence[Hyperparameter], builds: Sequence[_Build]) -> Hyperparameter:
    """With conditions on what it was seen to depend on."""
    said = {condition.name for condition in one.conditions}
    found = {
        parent.name: Condition(parent.name, tuple(value for value in _values(parent) if value not in refused))
        for parent in before
        if parent.name not in said and parent.name != one.name and (refused := _refused(one.name, parent, builds))
    }
    return dataclasses.replace(one, conditions=(*one.conditions, *found.values()))


def _refused(name: str, parent: Hyperparameter, builds: Sequence[_Build]) -> set[Value]:
    """The values of `parent` under which `name` is not asked for, though it is under another one, all else equal."""
    lacking = [build for build in builds if name not in build.asked and parent.name in build.values]
    if not lacking or len(_values(parent)) > MOST_VALUES:
        return set()
    asking = [build for build in builds if name in build.asked]
    if any(parent.name not in build.asked for build in asking):
        return set()
    accepted = {build.values.get(parent.name) for build in asking}
    others = [_without(build.wanted, parent.name) for build in asking]
    return {
        build.values[parent.name]
        for build in lacking
        if build.values[parent.name] not in accepted and _without(build.wanted, parent.name) in others
    }


def _without(values: Values, name: str) -> dict[str, Value]:
    return {other: value for other, value in values.items() if other != name}


class _Enough(BaseException):
    """`fit` has come to the training itself; no `except Exception` on the way holds it."""


def _ask_fit(space: keras_tuner.HyperModel, hp: keras_tuner.HyperParameters, model: Any, task: Task) -> None:
    """Have a `fit` of the space's own register what it asks for.

    It gets two blank images for one epoch; one that trains by `model.fit` does not even begin with them. What it raises
    says nothing: images and labels are none.
    """

    def enough(*arguments: object, **options: object) -> None:
        raise _Enough

    images = np.zeros((2, *task.input_shape), np.uint8)
    try:
        model.fit = enough
        labels = targets(model, np.zeros(2, np.int64), task.classes)
        space.fit(hp, model, images, labels, validation_data=(images, labels), epochs=1, callbacks=[], verbose=0)
    except (_Enough, Exception):
        return
