"""The hyperparameters of a space that does not declare them: found by building its model for one value after the other.

KerasTuner learns such a space while it searches. A search that is spread over machines has to know it before, so the
values of every discrete hyperparameter are tried, one at a time. A hyperparameter that is asked for under some values
of another one only (`for i in range(hp.Int("layers", 1, 3)): hp.Int(f"units_{i}", ...)`) becomes conditional on it.
What needs two others away from their defaults at once is found where KerasTuner's conditional scopes say so, or where
the source names a hyperparameter that no model has asked for yet. Building computes, so this belongs in a worker.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import keras
import keras_tuner
import numpy as np

from search_spaces.declaration import read
from search_spaces.fit_call import call_fit
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range, Value
from search_spaces.source import lacking
from search_spaces.task import Task
from search_spaces.varying import Ranges, ranges_of, split

MOST_BUILDS = 200
MOST_SEARCHED = 60
"""Builds with pairs of values, to find what the source names and no model has asked for."""
MOST_VALUES = 32
"""Of a hyperparameter with more only the first and the last are tried, and nothing is made conditional on it."""

Values = Mapping[str, Value]


class Discovery(NamedTuple):
    """What was found, parents before children, and whether all that should be tried was."""

    hyperparameters: list[Hyperparameter]
    is_whole: bool
    buildable: Values
    """Values, beside the defaults, that a model could be built with."""
    varying: tuple[str, ...]
    """Names whose range depends on others in a way that was not understood: the first range is searched."""
    lacking: tuple[str, ...]
    """Names that the source has and no model asked for."""


def discovered(space: keras_tuner.HyperModel, task: Task) -> Discovery:
    """What `build` and `fit` ask for; a model that some values cannot build says nothing of the others.

    Raises:
        Exception: what the first build raised, if none of them succeeds.
    """
    attempts = _Attempts(space, _Fit(space, task))
    attempts.run([_Attempt({})])
    if not attempts.builds:
        raise attempts.errors[0]
    if has_own_fit(space) and lacking(space, attempts.names()):
        attempts = _Attempts(space, _Fit(space, task, always=True))
        attempts.run([_Attempt({})])
    before = lacking(space, attempts.names())
    if before:
        attempts.search(_pairs(read(attempts.known), are_all=False))
        if lacking(space, attempts.names()) != before:
            attempts.search(_pairs(read(attempts.known), are_all=True))
    found, builds = read(attempts.known), attempts.builds
    conditional = [_conditional(one, found[:place], builds) for place, one in enumerate(found)]
    whole, varying = split(conditional, [(build.values, build.ranges) for build in builds], values_of)
    return Discovery(whole, attempts.is_whole, builds[0].wanted, varying, lacking(space, attempts.names()))


@dataclass(frozen=True)
class _Attempt:
    """Values to build with; and, if then other names are asked for than before, further values in between to try."""

    wanted: Values
    asked_before: set[str] | None = None
    between: Sequence[Values] = ()


@dataclass(frozen=True)
class _Build:
    """A model that could be built: with which values, those of all that it asked for, and their names and ranges."""

    wanted: Values
    values: Values
    asked: set[str]
    ranges: Ranges


class _Attempts:
    """Builds a space's model with some values after others, and collects what it asks for."""

    def __init__(self, space: keras_tuner.HyperModel, fit: "_Fit") -> None:
        self.known = keras_tuner.HyperParameters()
        self.builds: list[_Build] = []
        self.errors: list[Exception] = []
        self.is_whole = True
        self._space, self._fit = space, fit
        self._seen: set[Any] = set()

    def names(self) -> set[str]:
        """Of all that was asked for so far."""
        return _names(self.known)

    def run(self, waiting: list[_Attempt]) -> None:
        """Try these, and what they lead to."""
        self._run(waiting, MOST_BUILDS)
        self.is_whole = self.is_whole and not waiting

    def search(self, waiting: list[_Attempt]) -> None:
        """Try some of these: what they look for may not be there."""
        self._run(waiting, min(MOST_BUILDS, len(self.builds) + len(self.errors) + MOST_SEARCHED))

    def _run(self, waiting: list[_Attempt], most: int) -> None:
        while waiting and len(self.builds) + len(self.errors) < most:
            attempt = waiting.pop(0)
            if any(build.wanted == attempt.wanted for build in self.builds):
                continue
            hp = keras_tuner.HyperParameters()
            hp.values = dict(attempt.wanted)
            build = self._built(attempt.wanted, hp)
            if build is not None and build.asked != attempt.asked_before:
                waiting += [_Attempt(wanted) for wanted in attempt.between]
            for one in read(hp):
                if one.is_active(hp.values) and self._is_new((one.name, one.conditions)):
                    waiting += _attempts(one, attempt.wanted, _names(hp))
            for opening in _openings(hp):
                if self._is_new(tuple(opening.items())):
                    waiting.append(_Attempt({**attempt.wanted, **opening}))
            self.known.merge(hp.space, overwrite=False)
            keras.utils.clear_session(free_memory=False)  # a collection with TensorFlow takes longer than a build

    def _built(self, wanted: Values, hp: keras_tuner.HyperParameters) -> _Build | None:
        try:
            self._space.declare_hyperparameters(hp)
            model = self._space.build(hp)
        except Exception as error:
            self.errors.append(error)
            return None
        asked = _names(hp) | self._fit.asks(hp, model)
        self.builds.append(_Build(wanted, dict(hp.values), asked, ranges_of(read(hp))))
        return self.builds[-1]

    def _is_new(self, key: Any) -> bool:
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new


def _names(hp: keras_tuner.HyperParameters) -> set[str]:
    return {one.name for one in hp.space}


def _attempts(one: Hyperparameter, wanted: Values, asked: set[str]) -> list[_Attempt]:
    """All other values of a choice; of a range its ends first."""
    values = values_of(one)
    if isinstance(one.allowed, Choices):
        return [_Attempt({**wanted, one.name: value}) for value in values if value != one.default]
    inside = [value for value in values[1:-1] if value != one.default] if len(values) <= MOST_VALUES else []
    between = [{**wanted, one.name: value} for value in inside]
    ends = [value for value in dict.fromkeys([*values[-1:], *values[:1]]) if value != one.default]
    return [_Attempt({**wanted, one.name: end}, asked, between if end == ends[0] else ()) for end in ends]


def _openings(hp: keras_tuner.HyperParameters) -> Iterator[dict[str, Value]]:
    """Values that open a conditional scope which these left shut, as KerasTuner's own tuner tries them."""
    allowed = {one.name: one.allowed for one in read(hp)}
    for scope in hp.inactive_scopes:
        opening = {condition.name: condition.values[0] for condition in scope}
        if all(allowed[name].nearest(value) is not None for name, value in opening.items()):
            yield opening


def _pairs(found: Sequence[Hyperparameter], are_all: bool) -> list[_Attempt]:
    """Each two hyperparameters away from their defaults at once; of ranges the ends, or all values of a short one."""

    def others(one: Hyperparameter) -> list[Value]:
        values = values_of(one)
        if isinstance(one.allowed, Range) and (not are_all or len(values) > MOST_VALUES):
            values = [*values[-1:], *values[:1]]
        return [value for value in dict.fromkeys(values) if value != one.default]

    free = [one for one in found if not one.conditions]
    return [
        _Attempt({one.name: value, other.name: another})
        for one, other in combinations(free, 2)
        for value in others(one)
        for another in others(other)
    ]


def values_of(one: Hyperparameter) -> list[Value]:
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
        parent.name: Condition(parent.name, tuple(value for value in values_of(parent) if value not in refused))
        for parent in before
        if parent.name not in said and parent.name != one.name and (refused := _refused(one.name, parent, builds))
    }
    return dataclasses.replace(one, conditions=(*one.conditions, *found.values()))


def _refused(name: str, parent: Hyperparameter, builds: Sequence[_Build]) -> set[Value]:
    """The values of `parent` under which `name` is not asked for, though it is under another one, all else equal."""
    lacking = [build for build in builds if name not in build.asked and parent.name in build.values]
    if not lacking or len(values_of(parent)) > MOST_VALUES:
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


class _Fit:
    """Has a `fit` of the space's own register what it asks for. What it raises says nothing: images are blank.

    It is asked once, with the defaults, because it may do more than to train. `always` asks it for every model: so what
    it asks for under some values is found. One with a loop of its own, which would train each time, is asked once.
    """

    def __init__(self, space: keras_tuner.HyperModel, task: Task, always: bool = False) -> None:
        self._space, self._task, self._always = space, task, always
        self._is_asked = has_own_fit(space)
        self._asked: set[str] = set()

    def asks(self, hp: keras_tuner.HyperParameters, model: Any) -> set[str]:
        """The names that are registered when it is asked; none where it is not asked for every model."""
        if not self._is_asked:
            return set()
        before = _names(hp)
        try:
            has_come = ask_fit(self._space, hp, model, self._task)
        except Exception:
            has_come = False
        if has_come and self._always:
            self._asked = _names(hp) - before
        else:
            self._is_asked = self._always and bool(self._asked)
        return self._asked


def has_own_fit(space: keras_tuner.HyperModel) -> bool:
    """Whether it does not leave the training to KerasTuner."""
    return type(space).fit is not keras_tuner.HyperModel.fit


def ask_fit(space: keras_tuner.HyperModel, hp: keras_tuner.HyperParameters, model: Any, task: Task) -> bool:
    """Call the space's `fit` with two blank images, for one epoch; return whether it came to its `model.fit`.

    Raises:
        Exception: what `fit` raised before.
    """

    def enough(*arguments: object, **options: object) -> None:
        raise _Enough

    images = np.zeros((2, *task.input_shape), np.uint8)
    data = (images, np.zeros(2, np.int64))
    model.fit = enough
    try:
        call_fit(
            space, hp, model, data, lambda: False, validation_data=data, epochs=1, callbacks=[], verbose=0
        )  # fmt: skip
    except _Enough:
        return True
    return False
